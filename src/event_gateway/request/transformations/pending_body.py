"""The type of a transformation, and the body that a function makes in a thread."""

import asyncio
from collections.abc import Callable

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.transformation.definition import TransformationError

JSON_TYPE = b"application/json"
RETRY_AFTER = 0.5  # seconds between a failure that is not final and the next try


class BodyPending(Exception):
    """The body is being made; ``source.fetch()`` waits for it."""

    def __init__(self, source: "PendingBody") -> None:
        super().__init__("the body is being made")
        self.source = source


class PendingBody:
    """The body that a function makes from an event, for all webhooks with the same transformation.

    ``started`` is when a thread called the function, on the monotonic clock; 0 before.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        self.started = 0.0
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._result: tuple[bytes, bytes] | TransformationError | None = None
        self._ended_at = 0.0

    @property
    def ended(self) -> bool:
        """Whether there is a result."""
        return self._result is not None

    def end(self, result: tuple[bytes, bytes] | TransformationError) -> None:
        """Sets the result; later calls change nothing."""
        if self._result is None:
            self._result = result
            self._ended_at = self._loop.time()
            if not self._done.done():
                self._done.set_result(None)

    def result(self) -> tuple[bytes, bytes]:
        """Content type and body. Raises TransformationError; BodyPending while there is none."""
        if self._result is None:
            raise BodyPending(self)
        if isinstance(self._result, TransformationError):
            raise self._result
        return self._result

    @property
    def may_retry(self) -> bool:
        """Whether the function failed, not finally, and the time until the next try is over."""
        failed = isinstance(self._result, TransformationError) and not self._result.final
        return failed and self._loop.time() - self._ended_at > RETRY_AFTER

    async def fetch(self) -> None:
        """Returns once there is a result, a failure included."""
        await asyncio.shield(self._done)


# From an event and the time at which the log stored it (seconds since the epoch), the content type
# and the body. Raises TransformationError.
Transformation = Callable[[Event, float], tuple[bytes, bytes] | PendingBody]
