"""Messages that JetStream confirms, published many at a time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import StreamSource
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker import event_log, publisher
from event_gateway.broker.connection import Broker, connect
from event_gateway.broker.event_log import EventLog, NewEvent, NotTaken
from event_gateway.broker.log_search import copy_of, read_back
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.publisher import Appended, Message
from support.patience import PATIENCE


def _message(subject: str, payload: bytes, message_id: str = "") -> Message:
    headers = f"Nats-Msg-Id: {message_id}\r\nX-Some: text\r\n" if message_id else ""
    return subject.encode(), headers.encode(), payload


@contextlib.asynccontextmanager
async def _broker(url: str):  # type: ignore[no-untyped-def]
    broker = await connect(url)
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
        # What a subscriber of the subject answers is no confirmation, and no refusal.
        for said in (b"", b"ok", b"\xff", b'{"seq": 7}', b'{"error": "no"}', b'{"error": {}}'):
            await broker.nc.subscribe(f"heard.x{said.hex()}", cb=_answering(said))
            (answer,) = await broker.publisher.publish([_message(f"heard.x{said.hex()}", b"x")])
            assert isinstance(answer, NatsTimeout), said
        assert [type(late[1]), type(taken[0])] == [Appended, Appended]


def _answering(said: bytes) -> Callable[[Msg], Awaitable[None]]:
    async def answer(message: Msg) -> None:
        await message.respond(said)

    return answer


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


async def test_an_event_is_refused_while_too_much_waits_to_be_sent(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where NATS holds the connection open, and reads nothing."""
    async with _broker(servers[0]) as broker:
        log = EventLog(broker, ("s.>",))
        monkeypatch.setattr(event_log, "MAX_PENDING", 1000)
        first = asyncio.create_task(log.append([NewEvent("s.a", "c", "1", b"x" * 2000)]))
        second = asyncio.create_task(log.append([NewEvent("s.a", "c", "2", b"x")]))
        assert isinstance((await first)[0], Appended)
        assert isinstance((await second)[0], NotTaken)
        assert isinstance((await log.append([NewEvent("s.a", "c", "3", b"x")]))[0], Appended)


async def test_reading_back_passes_over_sequences_without_messages(
    servers: tuple[str, str],
) -> None:
    async with _broker(servers[0]) as broker:
        await broker.js.add_stream(name="L", subjects=["l.*"], max_msgs_per_subject=1)
        subjects = ["l.old"] + ["l.new"] * 2000
        answers = await broker.publisher.publish([_message(each, b"x") for each in subjects])
        assert answers[-1] == Appended(2001)
        newest = await read_back(broker, "L", before=2002, floor=1, wanted=10)
        assert [message.seq for message in newest.messages] == [1, 2001]
        older = await read_back(broker, "L", before=2001, floor=1, wanted=10)
        assert ([message.seq for message in older.messages], older.begin) == ([1], 1)


async def test_a_copy_is_found_among_those_of_other_streams(servers: tuple[str, str]) -> None:
    async with _broker(servers[0]) as broker:
        await broker.js.add_stream(name="A", subjects=["a.*"])
        await broker.js.add_stream(name="B", subjects=["b.*"])
        await broker.js.add_stream(
            name=stream_name("both"), sources=[StreamSource(name="A"), StreamSource(name="B")],
            allow_direct=True,
        )  # fmt: skip
        count = 0
        for _ in range(8):
            for subject in ("a.x", *["b.x"] * 5):
                await broker.publisher.publish([_message(subject, b"x")])
                count += 1
                async with asyncio.timeout(PATIENCE):
                    while (await broker.js.stream_info(stream_name("both"))).state.messages < count:
                        await asyncio.sleep(0.05)
        found = [(await copy_of(broker, "both", "A", seq))[0] for seq in range(1, 10)]
        assert found == [1, 7, 13, 19, 25, 31, 37, 43, None]
