"""Messages that JetStream confirms, published many at a time."""

import asyncio
import contextlib

import pytest
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker import publisher
from event_gateway.broker.connection import Broker, connect
from event_gateway.broker.publisher import Appended, Message
from event_gateway.tasks import Supervisor


def _message(subject: str, payload: bytes, message_id: str = "") -> Message:
    headers = f"Nats-Msg-Id: {message_id}\r\nX-Some: text\r\n" if message_id else ""
    return subject.encode(), headers.encode(), payload


@contextlib.asynccontextmanager
async def _broker(url: str):  # type: ignore[no-untyped-def]
    broker = await connect(url, Supervisor())
    await broker.js.add_stream(name="S", subjects=["s.>"], max_msgs=400, discard="new")
    try:
        yield broker
    finally:
        await broker.close()


async def test_each_message_has_its_answer(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _broker(servers[0]) as broker:
        await _check_answers(broker)
        monkeypatch.setattr(publisher, "TIMEOUT", 0.2)
        await broker.nc.subscribe("silent")  # somebody listens, and does not answer
        late, taken = await asyncio.gather(
            broker.publisher.publish([_message("silent", b"x"), _message("s.a", b"x")]),
            broker.publisher.publish([_message("s.a", b"y")]),
        )
        assert isinstance(late[0], NatsTimeout)
        assert [type(late[1]), type(taken[0])] == [Appended, Appended]


async def _check_answers(broker: Broker) -> None:
    publish = broker.publisher.publish
    # Those of one call and of many calls at once, each with its own answer.
    first = await publish([_message("s.a", b"%d" % n, f"id{n}") for n in range(100)])
    assert first == [Appended(n + 1, False) for n in range(100)]
    again = await asyncio.gather(*(publish([_message("s.a", b"", f"id{n}")]) for n in range(50)))
    assert [answer for (answer,) in again] == [Appended(n + 1, True) for n in range(50)]
    stored = await broker.js.get_msg("S", seq=7)
    assert (stored.subject, stored.data) == ("s.a", b"6")
    assert stored.headers == {"Nats-Msg-Id": "id6", "X-Some": "text"}
    mixed = await publish([
        _message("nowhere", b"x"), _message("s.b", b"x" * 500_000), _message("s.b", b"\r\n"),
    ])  # fmt: skip
    assert isinstance(mixed[0], NoStreamResponseError)
    assert mixed[1:] == [Appended(101, False), Appended(102, False)]
    full = await publish([_message("s.c", b"") for _ in range(310)])
    assert full[:298] == [Appended(n, False) for n in range(103, 401)]
    assert {error.err_code for error in full[298:] if isinstance(error, APIError)} == {10077}
    await broker.js.purge_stream("S")
