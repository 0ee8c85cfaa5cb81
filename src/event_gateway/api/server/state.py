"""What changes in the API of a running process: some settings, and whether it drains."""

from event_gateway.config.model import Config


class ApiState:
    """Read by routes at each request; changed only by the two methods.

    ``max_body``: bytes of a request's body; ``retention``: seconds for which the log keeps events;
    ``allowed_origins``: the origins that may send events (``*``: any); ``draining``: whether the
    process shuts down, so that it takes no more events and no more subscribers; ``docs``: who gets
    the OpenAPI document (``public``, ``key`` or ``off``).
    """

    __slots__ = ("allowed_origins", "docs", "draining", "max_body", "retention")

    def __init__(self, config: Config) -> None:
        self.draining = False
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Applies a configuration, at the start and at each reload."""
        self.max_body = config.server.max_body
        self.docs = config.server.docs
        self.retention = config.ingest.retention
        self.allowed_origins = frozenset(config.ingest.allowed_origins)

    def drain(self) -> None:
        """From now on the process is not ready, and refuses events and subscribers."""
        self.draining = True
