"""Streaming: named streams and their live subscribers."""
