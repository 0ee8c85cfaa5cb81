"""What changes in the API of a running process: some settings, and whether it drains."""

import time

from event_gateway.config.model import Config


class ApiState:
    """Read by routes at each request; changed only by the two methods.

    ``max_body``: bytes of a request's body; ``retention``: seconds for which the log keeps events;
    ``allowed_origins``: the origins that may send events (``*``: any); ``draining``: whether the
    process shuts down, so that it takes no more events and no more subscribers; ``docs``: who gets
    the OpenAPI document (``public``, ``key`` or ``off``); ``config``: the whole configuration in
    force, and since when (Unix time).
    """

    __slots__ = (
        "allowed_origins", "config", "docs", "draining", "in_force_since", "max_body", "retention",
    )  # fmt: skip

    def __init__(self, config: Config) -> None:
        self.draining = False
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Applies a configuration, at the start and at each reload."""
        self.config = config
        self.in_force_since = time.time()
        self.max_body = config.server.max_body
        self.docs = config.server.docs
        self.retention = config.ingest.retention
        self.allowed_origins = frozenset(config.ingest.allowed_origins)

    def drain(self) -> None:
        """From now on the process is not ready, and refuses events and subscribers."""
        self.draining = True
