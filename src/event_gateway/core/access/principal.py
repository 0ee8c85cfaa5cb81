"""The caller of a request, and the streams and subjects that it may read."""

from collections.abc import Sequence

import msgspec

from event_gateway.core.matching.pattern import covers


class Principal(msgspec.Struct, frozen=True):
    """A caller. ``streams`` None: it may read every stream and every subject of the log; otherwise
    these streams, and the subjects that a pattern in ``subjects`` covers."""

    name: str
    streams: tuple[str, ...] | None = None
    subjects: tuple[str, ...] = ()

    def may_read(self, stream: str) -> bool:
        """Whether the caller may read a named stream."""
        return self.streams is None or stream in self.streams

    def may_listen(self, patterns: Sequence[str]) -> bool:
        """Whether the caller may read every subject that matches one of these patterns."""
        return self.streams is None or all(
            any(covers(allowed, pattern) for allowed in self.subjects) for pattern in patterns
        )


ADMIN = Principal("admin")
