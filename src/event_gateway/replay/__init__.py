"""Replays from the log and from dead letters, and retries by hand."""
