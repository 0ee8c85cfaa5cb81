"""The Event Gateway: CloudEvents from NATS and HTTP to webhooks and live subscribers."""

from importlib.metadata import version

__version__ = version("event-gateway")
