"""Recognises that the sequences of a log have gone back, and adopts the log as it is now.

A client of NATS has deleted the stream and created it again, or an operator has restored an older
copy, or the server has lost the end of it in a power failure. Then new events get sequences for
which there are registrations, records, checkpoints and positions already, which would hide them. So
a sequence that was noted before the adoption is lowered to the floor: what the gateway had noted of
higher ones was of messages that the log does not hold. The routers wait until that is in force.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker
from event_gateway.broker.known_sequences import SEQ_MARGIN
from event_gateway.broker.provision import ROUTER, has_leader
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.broker.stream_page import read_page
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.streams.known_log import KnownLog, LogLoss
from event_gateway.state.checkpoints import Checkpoints

log = structlog.get_logger(__name__)

APPLIED = 5.0  # seconds until this process has what another one has written
UNSEEN = 60.0  # seconds before a start in which a log may have got events after it had gone back


class LogAdoption:
    """Keeps in the registry what is known of each log. ``logs``: the streams that routers read;
    ``copy_again`` has the named streams copy a stream from behind a sequence."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        checkpoints: Checkpoints,
        *,
        logs: Sequence[str],
        copy_again: Callable[[str, int], Awaitable[None]],
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._checkpoints = checkpoints
        self._logs = tuple(logs)
        self._copy_again = copy_again
        self._looked: dict[str, float] = {}  # when each stream was last the known one, Unix time
        # Adoptions that have begun, by stream: what was known of it, and when the stream that is
        # adopted was created. An adoption that fails is tried again; it is logged once, and the
        # stream is copied once.
        self._logged: dict[str, tuple[KnownLog | None, str]] = {}
        self._copied: dict[str, tuple[KnownLog | None, str]] = {}
        # When the events log that is not the known one was created, and the loss of the former one
        # as it was found at first: later looks note the sequences of the new one.
        self._found: tuple[str, LogLoss | None] | None = None
        # Adopted streams whose routers' consumers are still at a place of the former stream.
        self._routed_before: set[str] = set()

    async def check_all(self) -> None:
        """Compares all logs with what is known of them, before a process reads them.

        Raises the exceptions in BrokerError and StateError.
        """
        for stream in self._logs:
            info = await self._broker.js.stream_info(stream)
            if self.is_other(stream, info):
                await self.adopt(stream, info)
            with contextlib.suppress(NotFoundError):
                router = await self._broker.js.consumer_info(stream, ROUTER)
                info = await self._broker.js.stream_info(stream)  # not before the other
                if router.delivered and router.delivered.stream_seq > info.state.last_seq:
                    # The process that adopted the log has ended before it had finished.
                    self._routed_before.add(stream)
                    await self.finish(stream)

    def is_other(self, stream: str, info: StreamInfo) -> bool:
        """Whether a stream is not the known one, or its sequences have gone back. No, where that
        cannot be known, as a stream without a leader is described as an empty one."""
        if not has_leader(info):
            return False
        known = self._registry.logs.get(stream)
        if known is None or known.created != str(info.created):
            self._loss(stream, info)
            return True
        if info.state.last_seq < self._broker.known_sequences.last(stream):
            return True
        self._looked[stream] = time.time()
        return False

    async def adopt(self, stream: str, info: StreamInfo) -> None:
        """Makes this stream the known one, and lowers what was noted of the former one.

        Raises the exceptions in BrokerError and StateError.
        """
        created, last = str(info.created), info.state.last_seq
        known = self._registry.logs.get(stream)
        former = max(self._broker.known_sequences.last(stream), self._registered(stream))
        is_same = known is not None and known.created == created
        loss = None if is_same else self._loss(stream, info)
        if known is None and last >= former:
            await self._put(stream, KnownLog(created, loss=loss))
            self._tell(stream, loss)
            return
        now = time.time()
        floor = await self._floor(stream, info) if is_same else max(info.state.first_seq, 1) - 1
        attempt = known, created
        if floor < former and self._logged.get(stream) != attempt:
            self._logged[stream] = attempt
            log.error(
                "the sequences of a stream have gone back, what was known of them is lowered",
                stream=stream, known_last_seq=former, first_seq=info.state.first_seq,
                last_seq=last, floor=floor,
            )  # fmt: skip
        reset = (known or KnownLog(created)).after_reset(created, now, floor)
        if loss is not None:
            reset = msgspec.structs.replace(reset, loss=loss)
        if stream in self._logs:
            since = now if is_same or info.created is None else info.created.timestamp()
            await self._checkpoints.reset(stream, since, floor)
        if floor < former and self._copied.get(stream) != attempt:
            # Once, also if what follows fails and is tried again: named streams would get the same
            # events twice.
            await self._copy_again(stream, floor)
            self._copied[stream] = attempt
        if is_same and stream in self._logs:
            self._routed_before.add(stream)
        await self._put(stream, reset)
        self._tell(stream, loss)
        for attempts in (self._logged, self._copied):
            attempts.pop(stream, None)
        if known is None:  # no change of what was known, which would have it forgotten
            self._broker.known_sequences.forget(stream)
        await self.finish(stream)

    def _loss(self, stream: str, info: StreamInfo) -> LogLoss | None:
        """The loss of the former events log, whose place this one has taken: the gateway has
        created it behind what it knew of the former one."""
        if stream != EVENTS:
            return None
        created = str(info.created)
        if self._found is None or self._found[0] != created:
            former = self._broker.known_sequences.last(stream)
            # Another process may have created it, which had seen less of the former one, or more.
            begins_behind = 0 < former <= info.state.first_seq - SEQ_MARGIN // 2
            self._found = created, LogLoss(time.time(), former) if begins_behind else None
        return self._found[1]

    def _tell(self, stream: str, loss: LogLoss | None) -> None:
        if loss is not None:
            log.error(
                "NATS has lost the log, or is another server than before", stream=stream,
                known_last_seq=loss.last_seq,
            )  # fmt: skip

    async def finish(self, stream: str) -> None:
        """Ends what :meth:`adopt` began: deletes the router's consumer of a stream that has lost
        its end, as that consumer is at a sequence that the stream does not have any more. The
        router creates it again.

        Raises the exceptions in BrokerError.
        """
        if stream in self._routed_before:
            with contextlib.suppress(NotFoundError):
                await self._broker.js.delete_consumer(stream, ROUTER)
            self._routed_before.discard(stream)

    async def expect_new(self, stream: str) -> None:
        """Prepares for a stream that is about to be created again, behind the sequences of the
        former one."""
        floor = (self._broker.known_sequences.first_of_new(stream) or 1) - 1
        await self._checkpoints.reset(stream, time.time(), floor)

    async def _put(self, stream: str, known: KnownLog) -> None:
        try:
            await self._registry.put_log(stream, known)
        except RegistryConflict:  # another process was first
            async with asyncio.timeout(APPLIED):
                while stream not in self._registry.logs:
                    await asyncio.sleep(0.01)

    def _registered(self, stream: str) -> int:
        """The highest sequence of a stream at which a webhook was registered."""
        sequences = [hook.since_of(stream) for hook in self._registry.webhooks.values()]
        return max(sequences, default=0)

    async def _floor(self, stream: str, info: StreamInfo) -> int:
        """The last sequence of the log that the gateway has surely seen there."""
        last = info.state.last_seq
        seen = self._looked.get(stream, time.time() - UNSEEN)
        registered = [
            hook.created_at
            for hook in self._registry.webhooks.values()
            if hook.since_of(stream) > last
        ]
        page = await read_page(self._broker, stream, from_time=min([seen, *registered]), limit=1)
        return page.messages[0].seq - 1 if page.messages else last
