"""Dialing: many connections do not delay others, and local faults are not the receiver's."""

import asyncio
import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from event_gateway.cli.process.limits import attempts_within
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.racing import ATTEMPT_DELAY, first_connected, interleaved
from event_gateway.transport.resolver import MAX_LOOKUPS, Resolver
from support.certificates import Authority
from support.patience import PATIENCE
from support.scripted_server import OK, ScriptedServer
from support.sending import post
from support.tcp_server import tcp_server

LOOPBACK = EgressGuard(["127.0.0.0/8"])


def _nobody(result: Response | Failure) -> None:
    """The client that started the look-up has given up."""


async def test_dialing_many_hosts_does_not_delay_an_open_connection() -> None:
    sender = HttpClient(LOOPBACK)
    silent = ScriptedServer([9.0])
    async with ScriptedServer([OK]).running() as healthy, silent.running() as hanging:
        assert isinstance(await post(sender, healthy), Response)
        for _ in range(400):
            sender.post(parse_target(hanging), b"POST / HTTP/1.1\r\n\r\n", b"body", 5.0, _nobody)
        assert isinstance(await post(sender, healthy), Response)
        assert silent.connections < 200, "it waited for the dialed connections"
        async with asyncio.timeout(PATIENCE):
            while silent.connections < 400:
                await asyncio.sleep(0.01)
        await sender.close()


async def test_a_client_that_is_closed_while_it_dials_leaves_no_connection_open() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        target = parse_target(f"http://127.0.0.1:{server.getsockname()[1]}")
        for turns in range(12):  # of the event loop, until it is closed
            sender = HttpClient(LOOPBACK)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(6):
                sender.post(target, b"POST / HTTP/1.1\r\n\r\n", b"body", PATIENCE, _nobody)
            for _ in range(turns):
                await asyncio.sleep(0)
            await sender.close()
            await asyncio.sleep(0)  # transports close in the next turn
            assert len(os.listdir("/proc/self/fd")) == before, turns
        result = await post(sender, f"http://127.0.0.1:{server.getsockname()[1]}")
        assert isinstance(result, Failure)
        assert "closed" in result.message


async def test_names_that_hang_do_not_delay_others() -> None:
    request: Counter[str] = Counter()
    release = threading.Event()

    def look(host: str) -> list[str]:
        request[host] += 1
        if host.startswith("hangs"):
            release.wait(PATIENCE)
        elif host == "unknown":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return ["127.0.0.1"]

    sender = HttpClient(LOOPBACK, resolver=Resolver(look))
    async with ScriptedServer([OK]).running() as url:
        port = url.rsplit(":", 1)[1]
        hanging = [post(sender, f"http://hangs{n}:{port}", timeout=PATIENCE) for n in range(20)]
        waiting = asyncio.gather(*hanging)
        async with asyncio.timeout(PATIENCE):
            while request.total() < 20:
                await asyncio.sleep(0.01)
        assert isinstance(await post(sender, f"http://well:{port}"), Response)
        # A second request for the same name waits for the same answer: no second thread.
        result = await post(sender, f"http://hangs1:{port}", timeout=0.1)
        assert isinstance(result, Failure)
        assert result.error_type == AttemptErrorType.NAME_RESOLUTION
        assert request["hangs1"] == 1
        assert not waiting.done()
        release.set()
        assert all(isinstance(result, Response) for result in await waiting)
        result = await post(sender, f"http://unknown:{port}")
        assert isinstance(result, Failure)
        assert (result.error_type, result.message) == (
            AttemptErrorType.NAME_RESOLUTION, "unknown: no such name",
        )  # fmt: skip
    await sender.close()


async def test_an_address_that_cannot_be_connected_to_keeps_no_other_from_being_dialed() -> None:
    """Such as no system should give: what is wrong is known only when it is used."""
    guard = EgressGuard(["127.0.0.0/8", "::1/128"])
    resolver = Resolver(lambda host: ["::1%\0"] if host == "odd" else ["127.0.0.1"])
    sender = HttpClient(guard, resolver=resolver)
    async with ScriptedServer([OK]).running() as url:
        port = url.rsplit(":", 1)[1]
        for _ in range(2):  # the second time its address is known
            result = await post(sender, f"http://odd:{port}", timeout=PATIENCE)
            assert isinstance(result, Failure)
            assert result.error_type == AttemptErrorType.CONNECTION_RESET
        assert isinstance(await post(sender, f"http://well:{port}"), Response)
    await sender.close()


async def test_a_known_name_does_not_wait_for_its_next_look_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("event_gateway.transport.resolver.CACHED", 0.05)
    release = threading.Event()
    looked = 0

    def look(host: str) -> list[str]:
        nonlocal looked
        looked += 1
        if looked > 1:
            release.wait(PATIENCE)
        return [f"127.0.0.{looked}"]

    names = Resolver(look)
    assert await names.addresses("crm") == ["127.0.0.1"]
    await asyncio.sleep(0.1)
    assert await names.addresses("crm") == ["127.0.0.1"]
    release.set()
    async with asyncio.timeout(PATIENCE):
        while await names.addresses("crm") != ["127.0.0.2"]:
            await asyncio.sleep(0.05)


async def test_without_threads_left_a_look_up_fails_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = Resolver(lambda host: ["127.0.0.1"])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="new thread"):
            await names.addresses("a")
    assert await names.addresses("b") == ["127.0.0.1"]


async def test_look_ups_are_limited() -> None:
    running = most = 0
    release = threading.Event()
    lock = threading.Lock()

    def look(host: str) -> list[str]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(PATIENCE)
        with lock:
            running -= 1
        return ["127.0.0.1"]

    names = Resolver(look)
    asking = [asyncio.create_task(names.addresses(f"name{n}")) for n in range(3 * MAX_LOOKUPS)]
    async with asyncio.timeout(PATIENCE):
        while running < MAX_LOOKUPS:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # for look-ups beyond the limit
    release.set()
    await asyncio.gather(*asking)
    assert most == MAX_LOOKUPS


async def test_the_next_address_is_tried_after_a_refusal() -> None:
    sender = HttpClient(
        LOOPBACK, resolver=Resolver(lambda host: ["127.0.0.9", "127.0.0.8", "127.0.0.1"])
    )
    async with ScriptedServer([OK]).running() as url:
        assert isinstance(await post(sender, url.replace("127.0.0.1", "several")), Response)
    await sender.close()


async def test_an_address_that_never_answers_leaves_time_for_the_others() -> None:
    sender = HttpClient(LOOPBACK, resolver=Resolver(lambda host: ["127.0.0.9", "127.0.0.1"]))
    async with ScriptedServer([OK]).running() as url:
        port = int(url.rstrip("/").rsplit(":", 1)[1])
        with socket.socket() as full:
            full.bind(("127.0.0.9", port))
            full.listen(0)
            # Two connections that are never accepted fill the queue: the next gets no answer.
            others = [socket.socket() for _ in range(2)]
            for other in others:
                other.setblocking(False)
                other.connect_ex(("127.0.0.9", port))
            # The other address is tried after 0.25 s, not after its share of the timeout, which is
            # five times as long as this test waits.
            started = time.monotonic()
            async with asyncio.timeout(PATIENCE):
                result = await post(sender, f"http://several:{port}/", timeout=10 * PATIENCE)
            assert time.monotonic() - started > 0.2, "the first address has answered"
            for other in others:
                other.close()
        assert isinstance(result, Response), result
    await sender.close()


async def test_without_file_descriptors_the_dialer_waits() -> None:
    sender = HttpClient(LOOPBACK)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with ScriptedServer([OK]).running() as url:
        # All numbers below the limit are taken, also those between open descriptors.
        highest = max(int(number) for number in os.listdir("/proc/self/fd"))
        spare = [os.open(os.devnull, os.O_RDONLY)]
        while spare[-1] < highest:
            spare.append(os.open(os.devnull, os.O_RDONLY))
        posting = asyncio.create_task(post(sender, url, timeout=PATIENCE))
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare[-1] + 1, hard))
        try:
            await asyncio.sleep(0.3)
            assert not posting.done()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in spare:
                os.close(number)
        assert isinstance(await posting, Response)
    await sender.close()


async def test_idle_connections_are_limited_and_the_oldest_close_first() -> None:
    sender = HttpClient(LOOPBACK, max_idle=2)
    servers = [ScriptedServer([OK]) for _ in range(3)]
    async with servers[0].running() as a, servers[1].running() as b, servers[2].running() as c:
        for url in (a, b, c):
            assert isinstance(await post(sender, url), Response)
        assert sender.open_connections == 2
        for url in (b, c, a):
            assert isinstance(await post(sender, url), Response)
        assert [server.connections for server in servers] == [2, 1, 1]
        await sender.close()
    assert sender.open_connections == 0


@pytest.mark.parametrize(("max_idle", "kept"), [(400, 200), (100, 50)])
async def test_half_of_the_idle_connections_may_be_to_one_origin(max_idle: int, kept: int) -> None:
    """As many as its requests at once have needed: another burst opens none."""
    burst = 200
    arrived = opened = 0
    all_here = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived, opened
        opened += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\nbody")
                arrived += 1
                if arrived % burst == 0:
                    all_here.set()
                await all_here.wait()
                writer.write(OK)
        writer.close()

    sender = HttpClient(LOOPBACK, max_idle=max_idle)
    async with tcp_server(handler) as port:
        url = f"http://127.0.0.1:{port}/"
        for opened_so_far in (burst, 2 * burst - kept):
            all_here.clear()
            results = await asyncio.gather(*(post(sender, url, PATIENCE) for _ in range(burst)))
            assert all(isinstance(result, Response) for result in results)
            assert (opened, sender.open_connections) == (opened_so_far, kept)
        await sender.close()


def test_the_limit_of_open_files_is_raised_and_respected() -> None:
    code = (
        "import resource; from event_gateway.cli.process.limits import raise_file_limit;"
        "print(raise_file_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    shown = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -Sn 200 && ulimit -Hn 900 && exec "$0" -c "$1"',
         sys.executable, code],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert shown == "900 (900, 900)\n"


@pytest.mark.parametrize(("files", "attempts"), [(900, 322), (65536, 4096), (100, 16)])
def test_attempts_stay_below_the_limit_of_open_files(files: int, attempts: int) -> None:
    assert attempts_within(files) == attempts


async def test_a_former_answer_is_used_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("event_gateway.transport.resolver.CACHED", 0.0)
    release = threading.Event()
    answers = iter(["127.0.0.1"])

    def look(host: str) -> list[str]:
        if (address := next(answers, None)) is None:
            release.wait(PATIENCE)
        return [address or "127.0.0.2"]

    names = Resolver(look, max_stale=0.0)
    assert await names.addresses("moved.example") == ["127.0.0.1"]
    await asyncio.sleep(0.05)  # the answer is no longer cached
    pending = asyncio.create_task(names.addresses("moved.example"))
    await asyncio.sleep(0.05)
    assert not pending.done()
    release.set()
    assert await pending == ["127.0.0.2"]


async def test_a_dot_at_the_end_of_a_name_is_not_sent_in_the_handshake(tmp_path: Path) -> None:
    """RFC 6066, 3: the server's name has no dot at its end, and certificates have none."""
    authority = Authority(tmp_path)
    sender = HttpClient(
        LOOPBACK, ssl_context=authority.client(), resolver=Resolver(lambda host: ["127.0.0.1"])
    )
    server = ScriptedServer([OK])
    async with server.running(authority.server("receiver.example")) as url:
        port = url.rsplit(":", 1)[1]
        for name in ("receiver.example", "receiver.example."):
            result = await post(sender, f"https://{name}:{port}")
            assert isinstance(result, Response), result
        result = await post(sender, f"https://other.example.:{port}")
        assert isinstance(result, Failure)
        assert result.error_type == AttemptErrorType.TLS_ERROR
    await sender.close()


async def test_an_international_name_is_converted_for_dns_tls_and_the_host_header(
    tmp_path: Path,
) -> None:
    looked: list[str] = []

    def look(host: str) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"]

    shown: list[str | None] = []
    authority = Authority(tmp_path)
    context = authority.server("xn--bcher-kva.example")
    context.sni_callback = lambda _socket, name, _context: shown.append(name)
    sender = HttpClient(LOOPBACK, ssl_context=authority.client(), resolver=Resolver(look))
    async with ScriptedServer([OK]).running(context) as url:
        port = url.rsplit(":", 1)[1].strip("/")
        for name in ("bücher.example", "BÜCHER。example", "xn--Bcher-kva.EXAMPLE"):
            target = parse_target(f"https://{name}:{port}/")
            assert target.host_header == f"xn--bcher-kva.example:{port}".encode()
            result = await post(sender, f"https://{name}:{port}/")
            assert isinstance(result, Response), result
        result = await post(sender, f"https://bücher。example.:{port}/")
        assert isinstance(result, Response), result
        result = await post(sender, f"https://bucher.example:{port}/")
        assert isinstance(result, Failure)
        assert result.error_type == AttemptErrorType.TLS_ERROR
    await sender.close()
    assert looked == ["xn--bcher-kva.example", "xn--bcher-kva.example.", "bucher.example"]
    assert shown == ["xn--bcher-kva.example", "xn--bcher-kva.example", "bucher.example"]


def test_the_families_of_addresses_take_turns() -> None:
    """RFC 8305, 4: a broken family must not fill the addresses that are tried."""
    assert interleaved(["::1", "::2", "::3", "1.1.1.1", "1.1.1.2"]) == [
        "::1", "1.1.1.1", "::2", "1.1.1.2", "::3",
    ]  # fmt: skip
    assert interleaved(["1.1.1.1", "::1"]) == ["1.1.1.1", "::1"]
    assert interleaved([]) == []


async def test_a_connection_that_lost_the_race_is_closed() -> None:
    """Both are open in the same turn of the event loop: the first is returned."""
    pairs = [socket.socketpair() for _ in range(2)]
    both = asyncio.Event()
    begun: list[str] = []

    async def connect(address: str) -> socket.socket:
        begun.append(address)
        if len(begun) == 2:
            both.set()
        await both.wait()
        return pairs[int(address)][0]

    address, won = await first_connected(connect, ["0", "1"])
    lost = pairs[1 - int(address)][0]
    assert (won.fileno() >= 0, lost.fileno()) == (True, -1)
    for near, far in pairs:
        near.close()
        far.close()


async def test_a_race_that_is_cancelled_at_its_end_leaves_no_connection_open() -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    cancelled, late = asyncio.Event(), asyncio.Event()

    async def connect(address: str) -> socket.socket:
        if address == "1":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # as a library that forgets a cancellation
                cancelled.set()
                await late.wait()
        else:
            await asyncio.sleep(2 * ATTEMPT_DELAY)
        return pairs[int(address)][0]

    racing = asyncio.create_task(first_connected(connect, ["0", "1"]))
    await cancelled.wait()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    late.set()
    async with asyncio.timeout(PATIENCE):
        while any(near.fileno() >= 0 for near, _ in pairs):
            await asyncio.sleep(0.01)
    for _, far in pairs:
        far.close()
