"""Inbound sources: what third parties send, how it is verified, and the events that it becomes."""
