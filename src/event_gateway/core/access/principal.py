"""Who talks to the gateway, and which streams that one may read."""

from collections.abc import Sequence

import msgspec

from event_gateway.core.matching.pattern import covers


class Principal(msgspec.Struct, frozen=True):
    """``streams`` None: all of them, and all subjects of the log; otherwise these, and subjects
    that one of the patterns in ``subjects`` covers."""

    name: str
    streams: tuple[str, ...] | None = None
    subjects: tuple[str, ...] = ()

    def may_read(self, stream: str) -> bool:
        """Whether a named stream is open to it."""
        return self.streams is None or stream in self.streams

    def may_listen(self, patterns: Sequence[str]) -> bool:
        """Whether all that fits these patterns is open to it."""
        return self.streams is None or all(
            any(covers(own, one) for own in self.subjects) for one in patterns
        )


ADMIN = Principal("admin")
