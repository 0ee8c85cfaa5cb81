"""Past events for a replay: those that match a webhook as it is now, whenever it was registered."""

import msgspec
from nats.js.errors import APIError, NotFoundError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import NotRegistered
from event_gateway.core.matching.pattern import matches
from event_gateway.core.webhook.replay import Replay
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.routing.index import Index

PART = 256  # messages of the log in one part


class Part(msgspec.Struct, frozen=True):
    """A part of the log. ``events``: those that match; ``looked``: how many messages were read;
    ``first``: the first sequence; ``position``: the sequence at which the next part begins;
    ``last``: whether there is none."""

    events: list[Received]
    looked: int
    first: int
    position: int
    last: bool


class PastEvents:
    """Reads the log part by part for a replay."""

    def __init__(self, broker: Broker, decoder: EventDecoder) -> None:
        self._broker = broker
        self._decoder = decoder

    async def read(self, webhook: Webhook, replay: Replay, position: int) -> Part:
        """The part of a replay's stream that begins at a sequence; at 0, with the replay's first.

        Raises LogUnavailable, and NotRegistered where the stream is gone.
        """
        assert replay.stream is not None
        index = Index()
        index.put(msgspec.structs.replace(webhook, since=0, since_in={}))
        since = replay.since if position == 0 else None
        begin = max(position, replay.from_seq)
        try:
            page = await read_page(
                self._broker, replay.stream, from_seq=begin, from_time=since, limit=PART
            )
        except NotFoundError:
            raise NotRegistered(f"there is no stream {replay.stream}") from None
        except (*BrokerError, APIError) as error:
            raise LogUnavailable(str(error) or type(error).__name__) from None
        messages = page.messages
        within = _within(messages, replay)
        position = messages[within - 1].seq + 1 if within else position
        # With a time as well as a sequence, the later of them counts.
        read = [pulled for pulled in messages[:within] if pulled.seq >= replay.from_seq]
        decoded = self._decoder.decode(replay.stream, read)
        events = [
            received
            for _, received in decoded.events
            if _has_type(replay, received) and index.match_safely(received)
        ]
        first = messages[0].seq if messages else begin
        last = page.remaining == 0 or within < len(messages) or position > replay.until_seq
        return Part(events, within, first, max(position, begin), last)


def _within(messages: list[Pulled], replay: Replay) -> int:
    """How many of the messages are before the end of the replay."""
    for count, pulled in enumerate(messages):
        if pulled.seq > replay.until_seq:
            return count
        if replay.until is not None and pulled.time >= replay.until:
            return count
    return len(messages)


def _has_type(replay: Replay, received: Received) -> bool:
    event_type = received.event.type
    return not replay.types or any(matches(pattern, event_type) for pattern in replay.types)
