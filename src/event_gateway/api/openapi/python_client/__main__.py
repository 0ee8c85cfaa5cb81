"""``python -m event_gateway.api.openapi.python_client`` writes the files."""

from event_gateway.api.openapi.python_client import write

write()
