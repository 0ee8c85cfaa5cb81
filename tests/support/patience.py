"""How long a test waits for a condition: long enough for a busy machine."""

PATIENCE = 90.0  # seconds
