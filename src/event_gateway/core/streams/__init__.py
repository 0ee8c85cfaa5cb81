"""Named streams, the subjects of the log, and what a subscriber requests."""
