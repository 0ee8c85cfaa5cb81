"""AsyncAPI documents: event types out of versions 2 and 3, and into version 3."""
