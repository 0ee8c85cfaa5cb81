"""Past events that match a webhook as it is now, whenever it was registered."""

import msgspec
from nats.js.errors import APIError, NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.page import page
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent, Unknown
from event_gateway.core.matching.pattern import matches
from event_gateway.core.webhook.replay import Replay
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.index import Index
from event_gateway.routing.ordered_events import Admitted, matched

PART = 256  # messages of the log in one part


class Part(msgspec.Struct, frozen=True):
    """A part of the log: what matched, how many were looked at, their first place, the place to go
    on at, and whether there is nothing more."""

    events: list[Received]
    looked: int
    first: int
    position: int
    last: bool


async def replayed(
    broker: Broker, admitted: Admitted, webhook: Webhook, replay: Replay, position: int
) -> Part:
    """The part of a replay's stream that begins at a place; at 0, with the replay's first.

    Raises LogUnavailable, and Unknown where the stream is gone.
    """
    assert replay.stream is not None
    index = Index()
    index.put(msgspec.structs.replace(webhook, since=0, since_in={}))
    since = replay.since if position == 0 else None
    begin = max(position, replay.from_seq)
    try:
        found = await page(broker, replay.stream, from_seq=begin, from_time=since, limit=PART)
    except NotFoundError:
        raise Unknown(f"there is no stream {replay.stream}") from None
    except (*BrokerError, APIError) as error:
        raise LogUnavailable(str(error) or type(error).__name__) from None
    events: list[Received] = []
    looked = 0
    last = found.behind == 0
    for pulled in found.messages:
        if pulled.seq > replay.until_seq or (
            replay.until is not None and pulled.time >= replay.until
        ):
            last = True
            break
        looked += 1
        position = pulled.seq + 1
        if pulled.seq < replay.from_seq:
            continue  # with a time as well as a place, the later of them counts
        try:
            received = from_message(
                pulled.headers, pulled.data, subject=pulled.subject, stream=replay.stream,
                seq=pulled.seq, time=pulled.time,
            )  # fmt: skip
            admitted(received, pulled.headers)
        except InvalidEvent:
            continue
        wanted = not replay.types or any(matches(p, received.event.type) for p in replay.types)
        if wanted and matched(index, received):
            events.append(received)
    first = found.messages[0].seq if found.messages else begin
    return Part(events, looked, first, max(position, begin), last or position > replay.until_seq)
