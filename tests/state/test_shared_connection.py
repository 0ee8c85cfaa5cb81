"""The connection that scripts share, on a real Valkey: answers, errors, loss, cancellation."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from event_gateway.beats import at_beat
from event_gateway.core.text.urls import parse_server_url
from event_gateway.embedded.servers import EmbeddedServers
from event_gateway.state import shared_connection
from event_gateway.state.connection import connect
from event_gateway.state.pool import Pool
from event_gateway.state.scripts import Run, script
from event_gateway.state.shared_connection import SharedConnection
from support.answer_loss import losing_answers
from support.patience import PATIENCE
from support.relay import Relay

pytestmark = pytest.mark.shared


class Patience:
    """For how many seconds calls wait, the first one perhaps for others."""

    first: float | None = None

    def __call__(self) -> float:
        seconds, self.first = self.first, None
        return PATIENCE if seconds is None else seconds


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
async def shared(servers: tuple[str, str], patience: Patience) -> AsyncIterator[SharedConnection]:
    pool = Pool.from_url(parse_server_url(servers[1]).encoded)
    shared = SharedConnection(pool.make_connection, patience)
    yield shared
    await shared.close()
    await pool.aclose()


async def test_calls_at_once_get_their_own_answers(shared: SharedConnection) -> None:
    texts = [f"{number}" * (number * 37 % 5000 + 1) for number in range(500)]
    answers = await asyncio.gather(*(shared.call("ECHO", text) for text in texts))
    assert [answer.decode() for answer in answers] == texts
    clients = await shared.call("CLIENT", "LIST")
    assert len([line for line in clients.splitlines() if b"cmd=echo" in line]) == 0  # one, this one


async def test_an_answer_that_comes_in_pieces_is_one_answer(shared: SharedConnection) -> None:
    large = "x" * 3_000_000
    first, second = await asyncio.gather(shared.call("ECHO", large), shared.call("PING"))
    assert (len(first), second) == (len(large), b"PONG")


async def test_an_error_is_that_of_the_client_and_of_its_call_only(
    shared: SharedConnection,
) -> None:
    results = await asyncio.gather(
        shared.call("PING"),
        shared.call("EVALSHA", "0" * 40, 0),
        shared.call("NO-COMMAND"),
        shared.call("PING"),
        return_exceptions=True,
    )
    assert (results[0], results[3]) == (b"PONG", b"PONG")
    assert isinstance(results[1], NoScriptError)
    assert isinstance(results[2], ResponseError)


async def test_calls_in_one_write_are_answered_together(shared: SharedConnection) -> None:
    many, pong = await asyncio.gather(
        shared.call_all([("ECHO", str(number)) for number in range(50)]), shared.call("PING")
    )
    assert many == [str(number).encode() for number in range(50)]
    assert pong == b"PONG"


async def test_of_calls_in_one_write_the_first_error_is_raised_once_all_are_answered(
    shared: SharedConnection,
) -> None:
    calls = [("PING",), ("EVALSHA", "0" * 40, 0), ("NO-COMMAND",), ("SET", "done", "1")]
    with pytest.raises(NoScriptError):
        await shared.call_all(calls)
    assert await shared.call("GET", "done") == b"1"


async def test_a_lost_connection_fails_calls_in_one_write_once(shared: SharedConnection) -> None:
    await shared.call("PING")
    waiting = asyncio.ensure_future(shared.call_all([("PING",), ("BLPOP", "nothing", 0)]))
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(RedisConnectionError):
        await waiting


async def test_calls_in_one_write_that_are_cancelled_leave_the_answers_to_the_others(
    shared: SharedConnection,
) -> None:
    await shared.call("PING")
    together = asyncio.ensure_future(shared.call_all([("ECHO", "a"), ("ECHO", "b")]))
    other = asyncio.ensure_future(shared.call("ECHO", "c"))
    await asyncio.sleep(0)
    together.cancel()
    assert await other == b"c"
    assert together.cancelled()


async def test_a_cancelled_call_leaves_the_answers_to_the_others(shared: SharedConnection) -> None:
    await shared.call("PING")
    calls = [asyncio.ensure_future(shared.call("ECHO", str(number))) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert answers[1::2] == [str(number).encode() for number in range(1, 20, 2)]
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])


async def test_who_is_cancelled_while_it_opens_does_not_fail_the_others(
    shared: SharedConnection,
) -> None:
    first, second = (asyncio.ensure_future(shared.call("PING")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"PONG"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_lost_connection_fails_what_waits_and_is_opened_again(
    shared: SharedConnection, servers: tuple[str, str]
) -> None:
    own = await shared.call("CLIENT", "ID")
    other = await connect(servers[1])
    waiting = asyncio.ensure_future(shared.call("BLPOP", "nothing", 0))
    async with asyncio.timeout(PATIENCE):
        while "blpop" not in [each["cmd"] for each in await other.client_list()]:
            await asyncio.sleep(0.05)
    await other.client_kill_filter(_id=str(own))
    with pytest.raises(RedisConnectionError):
        await waiting
    assert await shared.call("PING") == b"PONG"
    assert await shared.call("CLIENT", "ID") != own
    await other.aclose()


async def test_an_answer_that_does_not_come_in_time_fails_all_behind_it(
    shared: SharedConnection, patience: Patience
) -> None:
    patience.first = 0.2
    silent = asyncio.ensure_future(shared.call("BLPOP", "nothing", 0))
    behind = asyncio.ensure_future(shared.call("PING"))
    for call in (silent, behind):
        with pytest.raises(RedisTimeout):
            await call
    # The server would answer on the former connection only after the list has an element.
    assert await shared.call("PING") == b"PONG"


async def test_more_calls_than_may_wait_fail_at_once(
    shared: SharedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared.call("PING")
    monkeypatch.setattr(shared_connection, "MAX_WAITING", 3)
    results = await asyncio.gather(*(shared.call("PING") for _ in range(5)), return_exceptions=True)
    assert results[:3] == [b"PONG"] * 3
    assert all(isinstance(result, RedisConnectionError) for result in results[3:])


async def test_a_server_that_is_away_is_an_error_of_each_call_and_no_fault(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pool = Pool.from_url("redis://127.0.0.1:1")
    shared = SharedConnection(pool.make_connection, Patience())
    results = await asyncio.gather(*(shared.call("PING") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, RedisError) for result in results)
    await shared.close()
    await pool.aclose()
    assert "a background task failed" not in "".join(capfd.readouterr())


async def test_what_waits_fails_when_the_connection_is_closed(shared: SharedConnection) -> None:
    await shared.call("PING")
    waiting = asyncio.ensure_future(shared.call("BLPOP", "nothing", 0))
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(RedisConnectionError):
        await waiting


async def test_what_waits_fails_when_another_server_is_the_primary(
    shared: SharedConnection,
) -> None:
    own = await shared.call("CLIENT", "ID")
    waiting = asyncio.ensure_future(shared.call("BLPOP", "nothing", 0))
    await asyncio.sleep(0)
    shared.abandon()
    with pytest.raises(RedisConnectionError):
        await waiting
    assert await shared.call("CLIENT", "ID") != own


async def test_a_script_that_the_server_has_forgotten_is_loaded_again(
    servers: tuple[str, str],
) -> None:
    client = await connect(servers[1])
    due = script(client, "queues/due.lua")
    first = await due("0", 10)
    await client.script_flush()
    again = await due("0", 10)
    assert (first[0], again[0]) == ([], [])
    await client.aclose()


async def test_a_script_is_loaded_into_the_server_that_lacks_it(
    servers: tuple[str, str], tmp_path: Path
) -> None:
    former = urlsplit(servers[1])
    others = EmbeddedServers(tmp_path / "other", nats=False)
    _, url = await others.start()
    assert former.port
    assert former.password
    assert url
    other = await connect(url)
    await other.config_set("requirepass", former.password)
    async with Relay(former.port).running() as relay:
        client = await connect(f"redis://:{former.password}@127.0.0.1:{relay.port}")
        due = script(client, "queues/due.lua")
        await due("0", 10)
        # The address leads to another server from now on. What is open in the pool stays.
        relay.lead_to(urlsplit(url).port)
        direct = await connect(servers[1])
        scripts = [each["id"] for each in await direct.client_list() if each["cmd"] == "evalsha"]
        assert len(scripts) == 1
        await direct.client_kill_filter(_id=scripts[0])
        await _until_answered(due)
        await client.aclose()
    await asyncio.gather(other.aclose(), direct.aclose())
    await others.stop()


async def test_a_server_that_has_become_a_replica_is_left_by_all_connections(
    servers: tuple[str, str],
) -> None:
    client = await connect(servers[1])
    other = await connect(servers[1])
    take = script(client, "leases/take_or_renew.lua")
    await take("holder", 1000, key="lease")
    before = await client.client_id()
    await other.replicaof("127.0.0.1", 1)
    with pytest.raises(ReadOnlyError):
        await take("holder", 1000, key="lease")
    assert await client.client_id() != before  # it may be another server's
    await other.replicaof("NO", "ONE")
    assert await take("holder", 1000, key="lease")
    await asyncio.gather(client.aclose(), other.aclose())


async def _until_answered(due: Run) -> None:
    """A script that the other server has not loaded yet answers, once the loss was noticed."""
    for _ in range(2):
        try:
            assert (await due("0", 10))[0] == []
            return
        except RedisConnectionError:
            continue
    pytest.fail("the script does not answer")


async def test_a_lost_answer_is_an_error_and_no_answer_of_the_next_call(
    servers: tuple[str, str],
) -> None:
    async with losing_answers(servers[1]) as (relay, client):
        due = script(client, "queues/due.lua")
        await due("0", 10)
        relay.to_lose = 1
        with pytest.raises(RedisError):
            await due("0", 10)
        webhooks, until, *_ = await due("0", 10)
        assert (webhooks, until > 0) == ([], True)


class CountedWrites:
    """A transport that counts its writes."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_what_is_asked_on_a_beat_leaves_in_one_write(shared: SharedConnection) -> None:
    await shared.call("PING")
    opened = shared._open
    assert opened is not None
    counted = CountedWrites(opened._transport)
    opened._transport = cast(Any, counted)

    async def on_a_beat(number: int, reached: asyncio.Event) -> bytes:
        await reached.wait()
        return cast(bytes, await shared.call("ECHO", str(number)))

    reached = asyncio.Event()
    asking = [asyncio.create_task(on_a_beat(number, reached)) for number in range(10)]
    at_beat(0.01, reached.set)
    assert await asyncio.gather(*asking) == [b"%d" % number for number in range(10)]
    assert counted.writes == 1
    assert await shared.call("ECHO", "later") == b"later"
    assert counted.writes == 2
