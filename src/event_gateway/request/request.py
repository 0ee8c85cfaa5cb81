"""A request to a receiver, and the error if none can be built."""

import msgspec

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.tls_files import Identity


class Unsendable(Exception):
    """No request can be built, for a reason on the gateway's side; the text holds no secret.

    ``final``: a later attempt would fail in the same way.
    """

    def __init__(self, error_type: AttemptErrorType, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.final = final


class Request(msgspec.Struct, gc=False):
    """One request. ``head`` ends with its empty line; ``identity``: the TLS files that its
    connection needs."""

    head: bytes
    body: bytes
    identity: Identity | None = None

    def __repr__(self) -> str:  # the event loop logs the repr of a callback that fails
        return f"Request({len(self.head)} + {len(self.body)} bytes)"
