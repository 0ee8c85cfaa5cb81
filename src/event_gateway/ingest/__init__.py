"""Intake: events that come in over HTTP."""
