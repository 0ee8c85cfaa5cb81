"""Deliveries whose event cannot be loaded: it is gone, or not to be read now, or is no event."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from event_gateway.broker import log_reader
from event_gateway.broker.event_reader import EventReader
from event_gateway.core.errors import InvalidEvent
from event_gateway.delivery import expiry
from support.client import Client, event
from support.receiver import Receiver

pytestmark = pytest.mark.shared


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired delivery that could not be handed over is leased again soon."""
    monkeypatch.setattr(expiry, "BACKLOG_LEASE", 0.0)
    monkeypatch.setattr(expiry, "LEASE_MARGIN", 0.5)


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are read from the log, not from this process's memory."""
    monkeypatch.setattr(EventReader, "cache", lambda self, received: None)


async def _waiting(client: Client, receiver: Receiver) -> dict[str, Any]:
    """An event whose delivery waits in the queue, as its webhook is paused."""
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a"], enabled=False)
    sent = event("a", {"n": 1})
    await client.send(sent)
    await client.until("w", sent["id"], "pending")
    return sent


async def _change(client: Client, **change: Any) -> None:
    answer = await client.http.patch("/v1/webhooks/w", json=change)
    assert answer.status_code == 200, answer.text


EXPIRES = {"retry_policy": {"max_age": "1s"}}


async def _dead_letter(client: Client, sent: dict[str, Any]) -> dict[str, Any]:
    await client.until("w", sent["id"], "dead_letter")
    messages = await client.stream_messages("GATEWAY_DEAD_LETTERS")
    letters: list[dict[str, Any]] = [json.loads(message.data) for message in messages]
    (letter,) = [letter for letter in letters if letter["event"]["id"] == sent["id"]]
    return letter


class _Unreadable:
    """Makes reading from the log fail with an error that nobody has foreseen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = True
        self.failed = 0
        read_many = EventReader.read_many

        async def fail(
            reader: EventReader, positions: Sequence[tuple[str, int]]
        ) -> list[tuple[Any, bool]]:
            if not self.on:
                return await read_many(reader, positions)
            self.failed += 1
            return [(ValueError("unreadable"), False) for _ in positions]

        monkeypatch.setattr(EventReader, "read_many", fail)


async def test_one_that_cannot_be_read_now_expires_with_its_payload_once_it_can(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = _Unreadable(monkeypatch)
    sent = await _waiting(client, receiver)
    await _change(client, **EXPIRES)
    while unreadable.failed < 2:
        await client.until("w", sent["id"], "pending", "in_progress")
    unreadable.on = False
    letter = await _dead_letter(client, sent)
    assert (letter["reason"], letter["event"]["data"]) == ("Expired", {"n": 1})


async def test_one_that_can_never_be_read_is_given_up_once_the_log_has_dropped_it(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The least retention is a minute: here an event counts as dropped as soon as it came in.
    monkeypatch.setattr(expiry, "LONGEST_WAIT", float("inf"))
    unreadable = _Unreadable(monkeypatch)
    sent = await _waiting(client, receiver)
    await _change(client, **EXPIRES)
    letter = await _dead_letter(client, sent)
    assert letter["reason"] == "EventLost"
    assert "data" not in letter["event"]
    assert unreadable.failed


async def test_one_that_is_gone_for_good_is_lost(client: Client, receiver: Receiver) -> None:
    sent = await _waiting(client, receiver)
    await client.nats.jetstream().purge_stream("GATEWAY_EVENTS")
    await _change(client, enabled=True)
    letter = await _dead_letter(client, sent)
    assert letter["reason"] == "EventLost"
    assert "data_base64" not in letter["event"]
    assert not receiver.requests


@pytest.mark.parametrize(
    ("error", "change"),
    [(InvalidEvent("invalid", "not any more"), {"enabled": True}), (KeyError("x"), EXPIRES)],
)
async def test_one_that_is_no_event_any_more_is_lost_with_its_bytes(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch,
    error: Exception, change: dict[str, Any],
) -> None:  # fmt: skip
    """What no version can decode is lost at once; a fault of the decoder has time to be mended."""
    sent = await _waiting(client, receiver)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(log_reader, "from_message", fail)
    await _change(client, **change)
    letter = await _dead_letter(client, sent)
    assert letter["reason"] == "EventLost"
    assert letter["event"]["datacontenttype"] == "application/octet-stream"
    assert json.loads(base64.b64decode(letter["event"]["data_base64"])) == sent
    assert not receiver.requests
