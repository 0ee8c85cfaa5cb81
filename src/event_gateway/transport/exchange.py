"""A request to a receiver, and its result: a response, or why there is none."""

import asyncio
from collections.abc import Callable

import msgspec

from event_gateway.transport.target import Origin, Target
from event_gateway.transport.tls_files import Identity


class Response(msgspec.Struct, gc=False):
    """A receiver's response. ``truncated``: ``body`` is not complete: it is over the client's
    limit, or the response was damaged or ended early after its status."""

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool


class Failure(msgspec.Struct):
    """Why there is no response. ``error_type`` is a value of :class:`ErrorType`. ``final``: a
    retry would fail in the same way."""

    error_type: str
    message: str
    final: bool = False


class OutgoingExchange(msgspec.Struct, gc=True):
    """A request in flight. ``timeout`` is in seconds; ``deadline`` in the event loop's time, 0
    until the request starts; ``done`` is called once with the result. ``generation`` counts the
    changes of proxy and egress rules up to when the request was made."""

    target: Target
    data: bytes
    timeout: float
    done: Callable[[Response | Failure], None]
    generation: int = 0
    identity: Identity | None = None
    deadline: float = 0.0
    may_retry: bool = False

    def __repr__(self) -> str:  # the event loop logs the arguments of a callback that raises
        return f"OutgoingExchange({self.target.host}, {len(self.data)} bytes)"

    def end_body_within(self, seconds: float) -> None:
        """Moves the deadline forward, where that is later."""
        self.deadline = min(self.deadline, asyncio.get_running_loop().time() + seconds)

    @property
    def origin(self) -> Origin:
        """Exchanges with the same origin may use the same connections."""
        target, identity = self.target, self.identity
        return target.origin if identity is None else (*target.origin[:3], identity.key)
