"""Metrics and lifecycle events."""
