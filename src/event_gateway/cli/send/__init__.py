"""``event-gateway send`` and ``trigger``: publish events from files, options and templates."""
