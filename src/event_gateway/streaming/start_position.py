"""Where a subscription starts that names a sequence, by what the stream has."""

from typing import Any, NamedTuple

from event_gateway.broker.named_streams import Bounds


class Gap(NamedTuple):
    """Sequences that a client has not received, and that the stream does not have any more; none if
    ``last`` is lower than ``first``.

    ``recreated``: the client's position is none of this stream, but of a former one of its name.
    """

    first: int
    last: int
    recreated: bool

    def members(self) -> dict[str, Any]:
        """The members of a notice of what was missed."""
        members: dict[str, Any] = {"first": self.first, "last": self.last}
        return members | {"code": "stream_recreated"} if self.recreated else members


def former_position(stream: Bounds) -> Gap:
    """The gap for a client whose position is of a former stream: it gets all that there is."""
    return Gap(stream.begin, stream.first - 1, recreated=True)


def position_of(stream: Bounds, requested: int) -> tuple[int, Gap | None]:
    """The sequence before the first message of a subscription that requests all from ``requested``
    on, and the gap before it, if there is one.

    A position behind the end is none of this stream: the stream was created again, or has lost its
    end. Which of its events the client has is not known, so it gets all of them.
    """
    if requested > stream.last + 1:
        return stream.first - 1, former_position(stream)
    if requested < stream.first:
        return stream.first - 1, Gap(
            requested, stream.first - 1, recreated=1 < requested < stream.begin
        )
    return requested - 1, None
