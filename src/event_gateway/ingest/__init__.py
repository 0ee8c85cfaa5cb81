"""Intake: checks events and appends them to the log; the catalog of event types."""
