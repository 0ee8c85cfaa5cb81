"""Messages of the log are decoded in one place, for every reader."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from event_gateway.broker.pull import Pulled
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.observability.metrics import MAX_ORIGINS, Metrics
from event_gateway.pipeline.decoding import EventDecoder


def message(seq: int, headers: dict[str, str] | None = None, **data: object) -> Pulled:
    return Pulled("user.x", headers, json.dumps(data).encode(), "", seq, seq, 1, 1000.0)


def admit(received: Received) -> None:
    data = received.payload()
    if "refused" in data:
        raise InvalidEvent("schema", "refused")
    if "fault" in data:
        raise ZeroDivisionError


class Enriched:
    """Records the events that were to be enriched."""

    def __init__(self) -> None:
        self.sequences: list[int] = []

    async def __call__(self, events: Sequence[Received], /) -> None:
        self.sequences += [received.seq for received in events]


def test_a_message_that_is_not_an_event_does_not_stop_the_others() -> None:
    not_json = Pulled("user.x", None, b"{", "", 2, 2, 1, 1000.0)
    batch = [message(1, a=1), not_json, message(3, refused=1), message(4, fault=1), message(5, a=2)]
    decoded = EventDecoder(admit, Enriched()).decode("ORDERS", batch)
    assert [(pulled.seq, received.stream, received.seq) for pulled, received in decoded.events] == [
        (1, "ORDERS", 1), (5, "ORDERS", 5),
    ]  # fmt: skip
    assert [(pulled.seq, error.reason) for pulled, error in decoded.rejected] == [
        (2, "malformed"), (3, "schema"), (4, "failed"),
    ]  # fmt: skip


def test_only_selected_events_are_enriched() -> None:
    enriched = Enriched()
    decoder = EventDecoder(admit, enriched)
    batch = [message(1, a=1), message(2, a=2), message(3, refused=1)]
    decoded = asyncio.run(decoder.read(EVENTS, batch, lambda received: received.seq == 2))
    assert [received.seq for _, received in decoded.events] == enriched.sequences == [2]
    assert len(decoded.rejected) == 1


def test_an_event_of_a_named_stream_has_its_original_position() -> None:
    copied = {"Nats-Stream-Source": f"{EVENTS} 70 user.x"}
    decoder = EventDecoder(admit, Enriched())
    ((pulled, received),) = decoder.decode("GATEWAY_STREAM_users", [message(7, copied)]).events
    assert (pulled.seq, received.stream, received.seq) == (7, EVENTS, 70)
    # In any other stream a publisher may have written that header.
    ((pulled, received),) = decoder.decode(EVENTS, [message(7, copied)]).events
    assert (pulled.seq, received.stream, received.seq) == (7, EVENTS, 7)


def published(seq: int, event_type: str, source: str, subject: str = "webhook.failed") -> Pulled:
    event = {
        "specversion": "1.0", "id": str(seq), "source": source, "type": event_type,
        "data": {"refused": 1},
    }  # fmt: skip
    return Pulled(subject, None, json.dumps(event).encode(), "", seq, seq, 1, 1000.0)


def test_only_the_gateway_publishes_lifecycle_events_and_they_are_not_enriched() -> None:
    enriched = Enriched()
    batch = [
        published(1, "webhook.failed", "event-gateway"),
        published(2, "webhook.failed", "somebody"),
        published(3, "orders.placed", "event-gateway"),
        message(4),
    ]
    decoded = asyncio.run(EventDecoder(admit, enriched).read(LIFECYCLE, batch))
    assert [received.seq for _, received in decoded.events] == [1]
    assert [(pulled.seq, error.reason) for pulled, error in decoded.rejected] == [
        (2, "reserved"), (3, "reserved"), (4, "reserved"),
    ]  # fmt: skip
    assert enriched.sequences == []


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        (None, "nats"),
        ({"X": "1"}, "nats"),
        ({"Eg-Origin": "http"}, "http"),
        ({"Eg-Origin": "gh"}, "gh"),
    ],
)
def test_an_event_has_its_origin(headers: dict[str, str] | None, origin: str) -> None:
    decoded = EventDecoder(admit, Enriched()).decode(EVENTS, [message(1, headers)])
    assert [received.origin for _, received in decoded.events] == [origin]


async def test_the_number_of_origin_labels_is_limited() -> None:
    metrics = Metrics()
    for number in range(MAX_ORIGINS + 10):
        metrics.received(f"source-{number}", 2)
    metrics.received("x" * 1000, 1)
    metrics.received("nats", 3)
    lines = [
        line
        for line in (await metrics.text())[0].decode().splitlines()
        if line.startswith("event_gateway_events_received_total{")
    ]
    assert 'event_gateway_events_received_total{origin="nats"} 3.0' in lines
    assert 'event_gateway_events_received_total{origin="source-0"} 2.0' in lines
    assert 'event_gateway_events_received_total{origin="other"} 25.0' in lines
    assert len(lines) == MAX_ORIGINS + 1
