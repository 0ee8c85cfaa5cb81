"""What many named streams hold, in few requests."""

import asyncio
from collections.abc import Sequence

import msgspec

from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker
from event_gateway.broker.named_streams import stream_contents, stream_name
from event_gateway.core.streams.definition import StreamContents
from event_gateway.core.text.times import parse_time

FEW = 8  # streams of which each is asked for
MAX_LISTED = 4096  # streams in NATS, those of others too, of which all are listed
AT_ONCE = 64  # streams that are asked for at a time, where NATS has more

_LIST = "$JS.API.STREAM.LIST"  # 256 streams in an answer


class _State(msgspec.Struct):
    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    first_ts: str = ""


class _Config(msgspec.Struct):
    name: str


class _Info(msgspec.Struct):
    config: _Config
    state: _State


class _Answer(msgspec.Struct):
    """An answer of JetStream; an error has no streams."""

    total: int = 0
    streams: list[_Info] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


async def contents_of(broker: Broker, names: Sequence[str]) -> list[StreamContents]:
    """The contents of named streams; empty contents where a stream does not exist. Raises the
    exceptions in BrokerError, and APIError."""
    if len(names) > FEW and (found := await _listed(broker)) is not None:
        return [found.get(stream_name(name), StreamContents()) for name in names]
    contents: list[StreamContents] = []
    for at in range(0, len(names), AT_ONCE):
        some = names[at : at + AT_ONCE]
        contents += await asyncio.gather(*(stream_contents(broker, name) for name in some))
    return contents


async def _listed(broker: Broker) -> dict[str, StreamContents] | None:
    """The contents of all streams in NATS, by JetStream's names; None if there are too many, or
    NATS does not list them."""
    found: dict[str, StreamContents] = {}
    offset, total = 0, 1
    while offset < total:
        request = msgspec.json.encode({"offset": offset})
        answer = _decode((await broker.nc.request(_LIST, request, REQUEST_TIMEOUT)).data)
        total = answer.total
        if not answer.streams or total > MAX_LISTED:
            return None
        offset += len(answer.streams)
        for info in answer.streams:
            state = info.state
            first_time = parse_time(state.first_ts) if state.messages else None
            found[info.config.name] = StreamContents(
                state.messages, state.bytes, state.first_seq, state.last_seq, first_time
            )
    return found
