"""What a transformation is, and what it makes."""

import asyncio
from collections.abc import Callable

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.transformation.definition import TransformationError

JSON_TYPE = b"application/json"


RETRY_AFTER = 0.5  # seconds after a failure in which those who have waited for the body hear of it


class BodyPending(Exception):
    """The body is being made; ``source`` says when it is there."""

    def __init__(self, source: "PendingBody") -> None:
        super().__init__("the body is being made")
        self.source = source


class PendingBody:
    """A body that is made of an event elsewhere, for all who want the same. ``started`` is when
    somebody began with it, 0 until then."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.started = 0.0
        self._loop = asyncio.get_running_loop()
        self._there: asyncio.Future[None] = self._loop.create_future()
        self._made: tuple[bytes, bytes] | TransformationError | None = None
        self._ended_at = 0.0

    @property
    def ended(self) -> bool:
        """Whether it is known what became of it."""
        return self._made is not None

    def end(self, made: tuple[bytes, bytes] | TransformationError) -> None:
        """Says what became of it; only the first word counts."""
        if self._made is None:
            self._made = made
            self._ended_at = self._loop.time()
            if not self._there.done():
                self._there.set_result(None)

    def result(self) -> tuple[bytes, bytes]:
        """Content type and body. Raises TransformationError, and BodyPending until it is there."""
        if self._made is None:
            raise BodyPending(self)
        if isinstance(self._made, TransformationError):
            raise self._made
        return self._made

    @property
    def again(self) -> bool:
        """Whether it failed a while ago, in a way that another try may not."""
        failed = isinstance(self._made, TransformationError) and not self._made.final
        return failed and self._loop.time() - self._ended_at > RETRY_AFTER

    async def fetch(self) -> None:
        """Returns once it is there, or has failed."""
        await asyncio.shield(self._there)


# Content type and body of an event, and of when the log took it (seconds since the epoch); raises
# TransformationError.
Transformation = Callable[[Event, float], tuple[bytes, bytes] | PendingBody]
