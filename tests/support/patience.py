"""How long a test waits for what must come: so long that a busy machine is no failure."""

PATIENCE = 90.0  # seconds
