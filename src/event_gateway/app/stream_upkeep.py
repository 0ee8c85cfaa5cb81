"""Creates streams of the gateway again that somebody has deleted.

A stream that is created again begins behind the last sequence of the deleted one, so that delivery
records, checkpoints, ordered webhooks and durable positions, which name sequences, neither skip its
messages nor take them for others.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.js.api import StreamInfo
from nats.js.errors import APIError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import DEAD_LETTERS, LIFECYCLE, REJECTED, ProvisionError
from event_gateway.broker.registry import Registry
from event_gateway.broker.registry_bucket import BUCKET_STREAM
from event_gateway.core.streams.definition import EVENTS

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two looks
MANY = 1000  # streams, above which there are fewer looks
OWN = (EVENTS, LIFECYCLE, DEAD_LETTERS, REJECTED)


class StreamUpkeep:
    """Looks whether the streams of the gateway exist, and creates those that do not.

    ``create_own`` creates the streams in :data:`OWN`, ``create_named`` one named stream.
    ``recreated`` gets the name of each JetStream stream that is another one than before: its
    subscribers are told.
    """

    def __init__(
        self,
        broker: Broker,
        peers: Peers,
        registry: Registry,
        *,
        create_own: Callable[[], Awaitable[None]],
        create_named: Callable[[str], Awaitable[None]],
        recreated: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._peers = peers
        self._registry = registry
        self._create_own = create_own
        self._create_named = create_named
        self._recreated = recreated
        self._created: dict[str, object] = {}  # when each stream was created
        self._missing: dict[str, str] = {}  # why each stream is missing still

    @property
    def reasons(self) -> list[str]:
        """Why the gateway's health is degraded."""
        return [
            f"the stream {name} was deleted, the gateway creates it again{why and f' ({why})'}"
            for name, why in self._missing.items()
        ]

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await asyncio.sleep(INTERVAL * max(1, len(self._created) // MANY))
            try:
                await self._look()
            except (*BrokerError, APIError) as error:
                log.debug("the streams cannot be read", error=str(error))

    async def _look(self) -> None:
        named = {
            stream_name(name): name
            for name, definition in list(self._registry.streams.items())
            if not definition.deleting
        }
        infos = await self._infos()
        for name in (*OWN, BUCKET_STREAM, *named):
            info = infos.get(name)
            if info is not None:
                self._seen(name, info)
        # A named stream that was never seen is just being created.
        missing = [
            name for name in (*OWN, BUCKET_STREAM, *named)
            if name not in infos and (name in self._created or name not in named)
        ]  # fmt: skip
        for name in missing:
            if name not in self._missing:
                log.error("a stream was deleted, the gateway creates it again", stream=name)
                self._missing[name] = ""
        self._created = {
            name: created
            for name, created in self._created.items()
            if name in infos or name in missing
        }
        self._missing = {name: why for name, why in self._missing.items() if name in missing}
        index, _ = self._peers.index_and_count
        if index == 0:
            for name in missing:
                await self._create(name, named.get(name))

    def _seen(self, name: str, info: StreamInfo) -> None:
        before = self._created.get(name)
        self._created[name] = info.created
        self._broker.note_last_seq(name, info.state.last_seq)
        if before is not None and before != info.created:
            log.info("a stream was created again", stream=name, first_seq=info.state.first_seq)
            self._recreated(name)

    async def _create(self, stream: str, named: str | None) -> None:
        try:
            if named is not None:
                await self._create_named(named)
            elif stream == BUCKET_STREAM:
                await self._registry.restore()
            else:
                await self._create_own()
        except (*BrokerError, APIError, ProvisionError) as error:
            self._missing[stream] = str(error) or type(error).__name__

    async def _infos(self) -> dict[str, StreamInfo]:
        infos: dict[str, StreamInfo] = {}
        offset = 0
        while page := await self._broker.js.streams_info(offset):
            offset += len(page)
            infos |= {info.config.name: info for info in page if info.config.name}
        return infos
