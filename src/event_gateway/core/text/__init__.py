"""Times, durations, sizes, URLs and JSON values as text."""
