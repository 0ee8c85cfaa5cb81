"""Creates streams of the gateway again that were deleted in NATS.

A stream that is created again begins behind the last sequence of the deleted one, so that delivery
records, checkpoints, ordered webhooks and durable positions, which name sequences, neither skip its
messages nor take them for others. A stream that another client of NATS has created again counts
from 1: :mod:`.log_adoption` lowers what is known of its sequences.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import structlog
from nats.js.api import StreamInfo
from nats.js.errors import APIError, NotFoundError

from event_gateway.app.copy_watch import CopyWatch
from event_gateway.app.log_adoption import LogAdoption
from event_gateway.app.stream_looks import SettledLook, StreamSize, size_of
from event_gateway.beats import beat
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import OWN, ProvisionError, has_leader
from event_gateway.broker.registry import Registry
from event_gateway.broker.registry_bucket import BUCKET_STREAM
from event_gateway.broker.stream_list import StreamList
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import (
    JETSTREAM,
    LOG_NEARLY_FULL,
    STREAM_DELETED,
    STREAM_WENT_BACK,
    STREAM_WITHOUT_LEADER,
)
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE, StreamDefinition
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two looks
CALM = 2.0  # the same while nothing changes
UNANSWERED_LOOKS = 2  # in a row, after which the health is degraded
NEARLY_FULL = 0.9  # of the bytes that the events log may have
AT_ONCE = 64  # streams that are asked for by name
MANY = 1000  # streams, above which there are fewer looks
LOOKED_AGAIN = 10.0  # seconds after which streams that have not changed are compared all the same
ROUTED = (EVENTS, LIFECYCLE)  # from which webhooks get events


class StreamUpkeep:
    """Looks whether the streams of the gateway exist, and creates those that do not.
    ``sizes``: what each of them held at the latest look.

    ``create_own`` creates the streams in :data:`OWN`, ``create_named`` one named stream.
    ``external`` are the names of external streams, which are only looked at.
    ``recreated`` gets the name of each JetStream stream that is another one than before: its
    subscribers are told.
    """

    def __init__(
        self,
        broker: Broker,
        streams: StreamList,
        peers: Peers,
        registry: Registry,
        *,
        adoption: LogAdoption,
        external: Sequence[str],
        create_own: Callable[[], Awaitable[None]],
        create_named: Callable[[str], Awaitable[None]],
        recreated: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._list = streams
        self._peers = peers
        self._registry = registry
        self._adoption = adoption
        self._external = tuple(external)
        self._create_own = create_own
        self._create_named = create_named
        self._recreated = recreated
        self._copies = CopyWatch(broker)
        self._created: dict[str, datetime] = {}  # when each stream was created
        self._infos: dict[str, StreamInfo] = {}  # what was said of each stream at the latest look
        self._missing: dict[str, str] = {}  # why each stream is missing still
        # Why each stream that is not the known one is not adopted yet.
        self._other: dict[str, str] = {}
        self._unanswered = 0  # looks in a row to which JetStream gave no answer
        self._error = ""  # of the latest of them
        self.sizes: dict[str, StreamSize] = {}
        self._leaderless: set[str] = set()  # streams that no server of the cluster answers for
        self._settled: SettledLook | None = None
        registry.notify(stream=self._on_stream)

    @property
    def log_size(self) -> StreamSize | None:
        """What the events log held at the latest look."""
        return self.sizes.get(EVENTS)

    @property
    def reasons(self) -> list[Reason]:
        """Why the gateway's health is degraded."""
        external = self._external
        reasons = [
            *(
                Reason(
                    STREAM_DELETED,
                    f"the stream {name} was deleted"
                    f"{'' if name in external else ', the gateway creates it again'}"
                    f"{why and f' ({why})'}",
                    name,
                )
                for name, why in self._missing.items()
            ),
            *(
                Reason(
                    STREAM_WENT_BACK,
                    f"the sequences of the stream {name} have gone back, the gateway lowers what "
                    f"it knows of them{why and f' ({why})'}",
                    name,
                )
                for name, why in self._other.items()
            ),
            *(
                Reason(
                    STREAM_WITHOUT_LEADER,
                    f"the stream {name} has no leader in the NATS cluster",
                    name,
                )
                for name in sorted(self._leaderless)
            ),
            *self._copies.reasons,
        ]
        if self._unanswered >= UNANSWERED_LOOKS:
            reasons.append(Reason(JETSTREAM, f"JetStream does not answer: {self._error}"))
        if self.log_size is not None and self.log_size.share > NEARLY_FULL:
            reasons.append(
                Reason(
                    LOG_NEARLY_FULL,
                    f"the events log holds {self.log_size.share:.0%} of ingest.max_bytes",
                )
            )
        return reasons

    async def run(self) -> None:
        """Looks for ever."""
        is_calm = False
        while True:
            interval = CALM if is_calm else INTERVAL
            await beat(interval * max(1, len(self._created) // MANY))
            is_calm = False
            try:
                is_calm = await self._look()
            except (*BrokerError, APIError) as error:
                self._settled = None
                self._unanswered += 1
                self._error = str(error) or type(error).__name__
                log.debug("the streams cannot be read", error=self._error)
            else:
                self._unanswered = 0

    async def _look(self) -> bool:
        """Looks at all streams; returns whether there is nothing new and nothing to do."""
        revision = self._registry.revision
        named = {
            stream_name(name): name
            for name, definition in list(self._registry.streams.items())
            if not definition.deleting
        }
        own = (*OWN, BUCKET_STREAM, *named)
        listed, leads, now = await self._list.read(), self._peers.leads, time.monotonic()
        settled, self._settled = self._settled, None
        is_new = settled is None or settled.differs(listed, revision, leads)
        if not is_new and settled is not None and now - settled.at < LOOKED_AGAIN:
            self._settled = settled
            return True
        infos = dict(listed)
        before, self._infos = self._infos, infos
        self.sizes = {
            name: size_of(infos[name]) for name in (*own, *self._external) if name in infos
        }
        # A named stream that was never seen is just being created.
        absent, silent = await self._confirmed(infos, [
            name for name in (*own, *self._external)
            if name not in infos and (name in self._created or name not in named)
        ])  # fmt: skip
        # What the cluster says of a stream without a leader is not what the stream has.
        looked_at = infos.keys() & {*own, *self._external}
        leaderless = {name for name in looked_at if not has_leader(infos[name])}
        self._leaderless = leaderless | silent
        for name in (*own, *self._external):
            info = infos.get(name)
            if info is None or name in self._leaderless:
                continue
            compare = name in named or name in ROUTED or name in self._external
            is_new_info = info is not before.get(name) or name not in self._created
            if compare or is_new_info or name in self._other:
                await self._seen(name, info, compare=compare, leads=leads, named=named.get(name))
        for name in absent:
            if name not in self._missing:
                remedy = ", the gateway creates it again" if name in own else ""
                log.error(f"a stream was deleted{remedy}", stream=name)
        self._missing = {name: self._missing.get(name, "") for name in absent}
        tracked = {*own, *self._external}
        for known in (self._created, self._other):
            for name in known.keys() - tracked:
                del known[name]
        await self._copies.look(infos, named, change=leads)
        if leads:
            for name in absent:
                if name in own:
                    await self._create(name, named.get(name))
        # What a named stream has heard from its sources is another thing at each look.
        is_open = named or self._leaderless or self._other or not listed.keys() >= tracked
        if not is_open:
            self._settled = SettledLook(listed, revision, leads, now)
        return not (is_open or is_new)

    async def _confirmed(
        self, infos: dict[str, StreamInfo], absent: list[str]
    ) -> tuple[list[str], set[str]]:
        """Those of these streams that do not exist, and those that do not answer. A cluster leaves
        streams whose servers are slow out of its list: ``infos`` gets them."""
        confirmed, silent = list[str](), set[str]()

        async def confirm(name: str) -> None:
            try:
                infos[name] = await self._broker.js.stream_info(name)
            except NotFoundError:
                confirmed.append(name)
            except (*BrokerError, APIError) as error:
                log.debug("a stream does not answer", stream=name, error=str(error))
                silent.add(name)

        # At the same time, as one that does not answer takes seconds.
        for start in range(0, len(absent), AT_ONCE):
            await asyncio.gather(*map(confirm, absent[start : start + AT_ONCE]))
        return confirmed, silent

    async def _seen(
        self, name: str, info: StreamInfo, *, compare: bool, leads: bool, named: str | None
    ) -> None:
        before = self._created.get(name)
        begins_later = info.state.first_seq > self._broker.known_sequences.last(name)
        # One that was missing at the very first look was not seen before.
        is_another = name in self._missing if before is None else before != info.created
        is_replaced = is_another and name == BUCKET_STREAM and leads and not begins_later
        if is_replaced:
            try:
                await self._registry.restore()
            except (*BrokerError, APIError, ProvisionError) as error:
                self._other[name] = str(error) or type(error).__name__
                return  # the next look finds it as this one has
            self._other.pop(name, None)
        self._created[name] = info.created or datetime.fromtimestamp(0, UTC)
        if is_another:
            log.info("a stream was created again", stream=name, first_seq=info.state.first_seq)
            self._recreated(name)
        if is_replaced:
            return
        if compare:
            await self._compare(name, info, leads=leads, named=named)
        self._broker.known_sequences.note(name, info.state.last_seq)

    async def _compare(
        self, name: str, info: StreamInfo, *, leads: bool, named: str | None
    ) -> None:
        """Adopts a stream that is not the known one, or whose sequences have gone back."""
        if not self._adoption.is_other(name, info):
            try:
                await self._adoption.finish(name)
            except (*BrokerError, APIError) as error:
                self._other[name] = str(error) or type(error).__name__
            else:
                self._other.pop(name, None)
            return
        if name in self._registry.logs:
            self._other.setdefault(name, "")
        if not leads:
            return
        try:
            info = await self._broker.js.stream_info(name)  # the list may be an older one
            if not self._adoption.is_other(name, info):
                return
            begins_later = info.state.first_seq > self._broker.known_sequences.last(name)
            is_known = name in self._registry.logs  # else it is one that was just registered
            if named is not None and is_known and not begins_later and not info.state.messages:
                # Another client of NATS created it: the gateway fills its own with what the log
                # has.
                await self._broker.js.delete_stream(name)
                await self._create_named(named)
                info = await self._broker.js.stream_info(name)
            await self._adoption.adopt(name, info)
            if not begins_later and name not in self._external:
                await self._create(name, named)  # with the settings of the gateway
        except (*BrokerError, *StateError, APIError, ProvisionError) as error:
            self._other[name] = str(error) or type(error).__name__

    def _on_stream(self, name: str, definition: StreamDefinition | None) -> None:
        if definition is None or definition.deleting:
            # A later one of the name is not this one, created again.
            self._created.pop(stream_name(name), None)

    async def _create(self, stream: str, named: str | None) -> None:
        try:
            if named is not None:
                await self._create_named(named)
            elif stream == BUCKET_STREAM:
                await self._registry.restore()
            else:
                if stream in ROUTED:
                    await self._adoption.expect_new(stream)
                await self._create_own()
        except (*BrokerError, *StateError, APIError, ProvisionError) as error:
            self._missing[stream] = str(error) or type(error).__name__
