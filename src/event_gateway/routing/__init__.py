"""Routing: from the log to the webhooks that match."""
