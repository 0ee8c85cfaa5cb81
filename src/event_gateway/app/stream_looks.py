"""What a look at the streams has found."""

from typing import NamedTuple

from nats.js.api import StreamInfo


class StreamSize(NamedTuple):
    """What a JetStream stream holds. ``max_bytes``: at most; 0 without a limit."""

    messages: int
    bytes: int
    max_bytes: int

    @property
    def share(self) -> float:
        """How full the stream is, from 0 to 1; 0 without a limit."""
        return self.bytes / self.max_bytes if self.max_bytes else 0.0


class SettledLook(NamedTuple):
    """A look that has left nothing to do: what NATS said, what it was compared with, and when, on
    the monotonic clock."""

    infos: dict[str, StreamInfo]
    revision: int  # of the registry
    leads: bool
    at: float

    def differs(self, infos: dict[str, StreamInfo], revision: int, leads: bool) -> bool:
        """Whether something has changed since. The same dictionary has the same streams."""
        return infos is not self.infos or (revision, leads) != (self.revision, self.leads)


def size_of(info: StreamInfo) -> StreamSize:
    """What NATS says of the size of a stream."""
    return StreamSize(info.state.messages, info.state.bytes, max(info.config.max_bytes or 0, 0))
