"""Messages to NATS without confirmation: acknowledgements and lifecycle events."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from event_gateway.broker import outbox
from event_gateway.broker.connection import Broker, connect
from support.patience import PATIENCE

BOTH_LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@BOTH_LOOPS
async def test_a_cut_that_the_client_meets_in_writing_is_no_fault(
    servers: tuple[str, str],
    run: Callable[[Coroutine[Any, Any, None]], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The socket is closed, and the client takes itself for connected until it reads."""
    await asyncio.to_thread(run, _cut_and_closed(servers[0]))
    if run is uvloop.run:  # asyncio drops what is written to a closed socket
        await asyncio.to_thread(run, _cut_and_connected_again(servers[0]))
    assert "messages cannot be published" not in "".join(capfd.readouterr())


async def _cut_and_closed(url: str) -> None:
    broker = await connect(url)
    await _cut(broker)
    await _post(broker, "s.cut")
    await broker.close()


async def _cut_and_connected_again(url: str) -> None:
    broker, other = await connect(url), await connect(url)
    messages = await other.nc.subscribe("s.*")
    await other.nc.flush()
    await _cut(broker)
    await _post(broker, "s.cut")
    await broker.nc._process_op_err(OSError("cut"))  # as what reads does
    assert (await messages.next_msg(PATIENCE)).subject == "s.cut"
    await broker.close()
    await other.close()


async def _cut(broker: Broker) -> None:
    """Closes the socket, which the client has not noted: what reads and writes for it has ended."""
    nc: Any = broker.nc
    tasks = [nc._flusher_task, nc._reading_task]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    nc._transport._io_writer.transport.abort()
    async with asyncio.timeout(PATIENCE):
        while not nc._transport._io_reader.at_eof():
            await asyncio.sleep(0)
    assert broker.connected


async def _post(broker: Broker, subject: str) -> None:
    """Posts a message, and waits until it has been written, or could not be."""
    broker.post(subject, b"x")
    async with asyncio.timeout(PATIENCE):
        while broker.outbox:
            await asyncio.sleep(0.01)
    assert broker.outbox.dropped == 0


async def test_a_payload_that_cannot_be_made_takes_no_other_message_along(
    servers: tuple[str, str],
) -> None:
    def impossible() -> bytes:
        raise ValueError("no payload")

    broker, other = await connect(servers[0]), await connect(servers[0])
    messages = await other.nc.subscribe("s.*")
    await other.nc.flush()
    for subject, payload in (("s.one", b"x"), ("s.none", impossible), ("s.two", lambda: b"y")):
        broker.post(subject, payload)
    received = [(await messages.next_msg(PATIENCE)).subject for _ in range(2)]
    assert received == ["s.one", "s.two"]
    assert broker.outbox.dropped == 1
    await broker.close()
    await other.close()


async def test_messages_leave_at_once_and_together_when_nothing_follows(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "GATHER", 10 * PATIENCE)  # else they would wait for more
    monkeypatch.setattr(outbox, "QUIET", 0.0)
    broker, other = await connect(servers[0]), await connect(servers[0])
    messages = await other.nc.subscribe("s.*")
    await other.nc.flush()
    for subject in ("s.one", "s.two"):
        broker.post(subject, b"x")
    await asyncio.sleep(0.01)
    assert len(broker.outbox) == 2
    broker.outbox.nothing_follows()
    received = [(await messages.next_msg(PATIENCE)).subject for _ in range(2)]
    assert received == ["s.one", "s.two"]
    await broker.close()
    await other.close()


async def test_at_its_limit_the_outbox_drops_the_oldest_message(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "GATHER", 10 * PATIENCE)
    monkeypatch.setattr(outbox, "QUIET", 0.0)
    monkeypatch.setattr(outbox, "LIMIT", 3)
    broker, other = await connect(servers[0]), await connect(servers[0])
    messages = await other.nc.subscribe("s.*")
    await other.nc.flush()
    for number in range(5):
        broker.post(f"s.{number}", b"x")
    assert (len(broker.outbox), broker.outbox.dropped) == (3, 2)
    broker.outbox.nothing_follows()
    received = [(await messages.next_msg(PATIENCE)).subject for _ in range(3)]
    assert received == ["s.2", "s.3", "s.4"]
    await broker.close()
    await other.close()


async def test_what_is_posted_for_now_takes_along_what_waits(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "GATHER", 10 * PATIENCE)
    monkeypatch.setattr(outbox, "QUIET", 10 * PATIENCE)
    broker, other = await connect(servers[0]), await connect(servers[0])
    messages = await other.nc.subscribe("s.*")
    await other.nc.flush()
    broker.post("s.one", b"x")
    broker.outbox.post_now("s.two", b"x")
    received = [(await messages.next_msg(PATIENCE)).subject for _ in range(2)]
    assert received == ["s.one", "s.two"]
    await broker.close()
    await other.close()
