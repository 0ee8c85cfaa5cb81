"""Anchors of a chain: made from time to time, signed, appended to it, and announced as events.

The event ``stream.anchored`` carries the anchor out of the gateway: an auditor that keeps it
elsewhere can show later that the chain was not rewritten.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from event_gateway.broker.chain_log import ChainLog
from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import stream_contents
from event_gateway.core.compliance.anchor import Anchor, Statement, held_since, public_name, sign
from event_gateway.core.streams.definition import LIFECYCLE_RETENTION, StreamDefinition
from event_gateway.core.text.times import parse_time, rfc3339
from event_gateway.observability.announcements import Announcements

log = structlog.get_logger(__name__)

TYPE = "stream.anchored"
KEY_INTERVAL = 10.0  # seconds between two looks for a key that is missing


class AnchorKey:
    """The key that signs anchors. ``find``: its text (``whsk_…``), None if there is none;
    ``make``: makes one where the gateway can seal it."""

    def __init__(self, find: Callable[[], str | None], make: Callable[[], Awaitable[None]]) -> None:
        self._find = find
        self._make = make
        self._warned = False
        self._asked_at = 0.0

    @property
    def public(self) -> str | None:
        """The public key (``whpk_…``); None if there is no usable key."""
        key = self._find()
        try:
            return None if key is None else public_name(key)
        except ValueError:
            return None

    async def get(self) -> str | None:
        """The private key; None, with a warning, if there is none."""
        key = self._find()
        if key is None:
            now = time.monotonic()
            if self._asked_at and now - self._asked_at < KEY_INTERVAL:
                return None
            self._asked_at = now
            await self._make()
            key = self._find()
        try:
            if key is not None:
                public_name(key)
                return key
            reason = "there is no secret of that name, and no sealing key to make one"
        except ValueError as error:
            reason = str(error)
        if not self._warned:
            self._warned = True
            log.warning("chains of compliance streams get no anchors", reason=reason)
        return None


class Anchoring:
    """Makes the anchors of one stream. ``every``: seconds between two."""

    def __init__(
        self,
        broker: Broker,
        announcements: Announcements,
        key: AnchorKey,
        *,
        every: float,
        anchored: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._announcements = announcements
        self._key = key
        self._every = every
        self._anchored = anchored
        self.last: Anchor | None = None
        self._stated: Statement | None = None  # what it says
        self._sequence = 0
        self._at = 0.0  # seconds since the epoch

    async def resume(self, chain: ChainLog) -> None:
        """Finds the last anchor, and announces it if the process that made it could not. Raises
        LogUnavailable."""
        self.last = await chain.last_anchor()
        if self.last is None:
            self._stated, self._sequence, self._at = None, 0, 0.0
            return
        statement = self._stated = self.last.read()
        self._sequence, self._at = statement.sequence, parse_time(statement.time)
        if time.time() - self._at < LIFECYCLE_RETENTION:
            await self._announce(self.last, statement, perhaps_published=True)

    async def anchor_if_due(
        self, chain: ChainLog, definition: StreamDefinition, covered: int, link: str, after: int
    ) -> int:
        """Anchors the end of the chain if there is something new, and the time has come; at once
        after a change of the stream's limits or holds, which the anchor states.

        Returns the last sequence of the chain's stream, ``after`` if nothing was appended. Raises
        Overtaken, LogUnavailable.
        """
        now = time.time()
        if self._stated is not None and not self._stated.states(definition):
            due = covered >= self._sequence
        else:
            due = covered > self._sequence and now - self._at >= self._every
        if not due:
            return after
        key = await self._key.get()
        if key is None:
            return after
        held = await stream_contents(self._broker, definition.name)
        statement = Statement(
            definition.name, covered, link, rfc3339(now), held.first_seq,
            "" if held.first_time is None else rfc3339(held.first_time),
            definition.retention, "" if self.last is None else self.last.digest,
            definition.max_messages, definition.max_bytes, held_since(definition),
        )  # fmt: skip
        anchor = await asyncio.to_thread(sign, statement, key)
        after = await chain.append("anchor", anchor, after)
        self.last, self._stated, self._sequence, self._at = anchor, statement, covered, now
        self._anchored()
        await self._announce(anchor, statement, perhaps_published=False)
        return after

    async def _announce(
        self, anchor: Anchor, statement: Statement, *, perhaps_published: bool
    ) -> None:
        await self._announcements.announce(
            TYPE, f"stream/{statement.stream}", anchor.shown(), f"anchor-{anchor.digest}",
            at=parse_time(statement.time), perhaps_published=perhaps_published,
        )  # fmt: skip
