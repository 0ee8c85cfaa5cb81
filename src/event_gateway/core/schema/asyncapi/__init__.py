"""AsyncAPI documents: reads event types from versions 2 and 3, and writes version 3."""
