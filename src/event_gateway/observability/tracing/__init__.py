"""Traces: spans of the gateway's own work, and their export by OTLP."""
