"""Finds events in the log: by id, or by type, source, subject and time; and what became of them."""
