"""How many connections there may be, and how long each may take."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from event_gateway.api.http import limits, open_connections
from event_gateway.api.http.limits import AddressBound, ConnectionLimits
from event_gateway.cli.process.limits import OTHERS, attempts_within, connections_within
from event_gateway.cli.process.serve import Running
from event_gateway.core.access.trusted_proxies import TrustedProxies
from event_gateway.observability.metrics import families
from support.fixtures import Start
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.raw_http import RawClient, ask

HOST = b"Host: x\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
LATE = b"POST /v1/events HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n"


class Bounded:
    """A gateway with few connections and short deadlines."""

    def __init__(self, directory: Path, **server: Any) -> None:
        streams = {"work": {"subjects": ["user.*"]}}
        self.program = Program(directory, LOOPBACK | {"streams": streams, "server": server})
        at = asyncio.run(self.program.start())
        self.url: str = at["http"]
        self.key = b"X-API-Key: %b\r\n" % at["key"].encode()

    def metric(self, name: str, label: str) -> float:
        """The value of a metric of the HTTP layer."""
        with RawClient(self.url) as client:
            client.send(
                b"GET /metrics HTTP/1.1\r\nConnection: close\r\n" + HOST + self.key + b"\r\n"
            )
            text = client.response().body.decode()
        lines = [line for line in text.splitlines() if line.startswith(f"event_gateway_{name}{{")]
        return sum(float(line.split()[-1]) for line in lines if f'"{label}"' in line)

    def stop(self) -> None:
        """Ends it."""
        asyncio.run(self.program.stop())
        assert "Traceback" not in self.program.output, self.program.output


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[Any]:
    begun: list[Bounded] = []

    def begin(**server: Any) -> Bounded:
        begun.append(Bounded(tmp_path, **server))
        return begun[-1]

    yield begin
    for gateway in begun:
        gateway.stop()


def _dribble(client: RawClient, byte: bytes) -> None:
    """Sends a byte at a time, until the connection is closed."""
    with contextlib.suppress(OSError):
        while True:
            client.send(byte)
            time.sleep(0.2)


def _end(client: RawClient) -> bytes:
    """All that comes until the connection is closed, in order or by a reset."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := client.socket.recv(65536):
            got += data
    return got


def test_each_part_of_a_request_has_its_time(bounded: Any) -> None:
    gateway: Bounded = bounded(body_timeout="2s", keep_alive_timeout="2s")
    authorized = LATE + gateway.key + b"\r\n"
    cases: dict[str, tuple[bytes, bytes, list[bytes]]] = {
        "silent": (b"", b"", []),
        "blank lines": (b"", b"\r\n", []),
        "half a head": (HEALTH[:-2], b"", [b"408"]),
        "a slow head": (HEALTH[:-2], b"a", [b"408"]),
        "half a second head": (HEALTH + HEALTH[:-2], b"", [b"200", b"408"]),
        "no body": (authorized, b"", [b"408"]),
        "a slow body": (authorized, b"a", [b"408"]),
        "half a chunk": (authorized.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked")
                         + b"9\r\na", b"", [b"408"]),
        "a body after its 401": (LATE + b"\r\n", b"a", [b"401"]),
        "a slow body after its 401": (LATE + b"Connection: close\r\n\r\n", b"a", [b"401"]),
        "a body that does not come after its 401": (LATE + b"\r\n", b"", [b"401"]),
        "trailers": (authorized.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked")
                     + b"0\r\n", b"a: b\r\n", [b"408"]),
        "idle": (HEALTH, b"", [b"200"]),
    }  # fmt: skip
    clients = {name: RawClient(gateway.url) for name in cases}
    threads = []
    for name, (begin, byte, _) in cases.items():
        clients[name].send(begin)
        if byte:
            threads.append(threading.Thread(target=_dribble, args=(clients[name], byte)))
            threads[-1].start()
    for name, (_, _, statuses) in cases.items():
        got = _end(clients[name])
        lines = [part.split()[0] for part in got.split(b"HTTP/1.1 ")[1:]]
        assert lines == statuses, (name, got)
        assert got.count(b"problem+json") == len(
            [status for status in statuses if status != b"200"]
        )
        clients[name].socket.close()
    for thread in threads:
        thread.join()
    for waiting_for, at_least in (("head", 3), ("body", 4), ("idle", 3)):
        counted = gateway.metric("http_connections_timed_out_total", waiting_for)
        assert counted >= at_least, (waiting_for, counted)


def test_silent_connections_make_room(bounded: Any) -> None:
    gateway: Bounded = bounded(max_connections=40)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(RawClient(gateway.url)) for _ in range(200)]
        for client in silent[::2]:
            with contextlib.suppress(OSError):  # it may be closed already
                client.send(HEALTH[:10])
        for _ in range(50):
            with RawClient(gateway.url) as client:
                client.send(HEALTH)
                assert client.response().status == 200
        assert gateway.metric("http_connections_refused_total", "idle") >= 180
    assert gateway.program.output.count("connections are over a bound") == 1


def test_live_connections_make_no_room(bounded: Any) -> None:
    gateway: Bounded = bounded(max_connections=16)  # 8 for HTTP, 12 live ones
    upgrade = (
        b"GET /v1/ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    )
    events = b"GET /v1/streams/work/sse HTTP/1.1\r\n"
    with contextlib.ExitStack() as stack:
        subscribers = [stack.enter_context(RawClient(gateway.url)) for _ in range(4)]
        for client, head in zip(subscribers, [upgrade, events] * 2, strict=True):
            client.send(head + HOST + gateway.key + b"\r\n")
            assert client.response().status in (101, 200)
        silent = [stack.enter_context(RawClient(gateway.url)) for _ in range(40)]
        for client in silent:
            with contextlib.suppress(OSError):  # it may be closed already
                client.send(HEALTH[:10])
        assert gateway.metric("http_connections_refused_total", "idle") >= 30
        for client in subscribers[::2]:  # WebSockets: each answers a ping
            client.send(b"\x89\x80\0\0\0\0")
            assert client.socket.recv(2) == b"\x8a\0"
        subscribers[1].socket.settimeout(0.1)
        with contextlib.suppress(TimeoutError):  # nothing, or a heartbeat: not the end
            assert subscribers[1].socket.recv(4096)


def test_over_the_bound_is_refused_at_once(bounded: Any) -> None:
    gateway: Bounded = bounded(max_connections=40)
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(RawClient(gateway.url)) for _ in range(20)]
        for client in busy:
            client.send(LATE + gateway.key + b"Expect: 100-continue\r\n\r\n")
            assert client.response().status == 100  # the route waits for the body
        for _ in range(30):
            response = ask(gateway.url, LATE + b"\r\n" + b"x" * 100)
            assert (response.status, response.headers["retry-after"]) == (503, "2")
            assert "connections" in response.problem["detail"]
        busy[0].send(b"x" * 100)
        assert busy[0].response().status == 415
        deadline = time.monotonic() + PATIENCE
        answered = 0
        while answered != 200:  # that connection is idle now
            assert time.monotonic() < deadline
            with RawClient(gateway.url) as client:
                client.send(HEALTH)
                answered = client.response().status
        busy[1].send(b"x" * 100)
        assert busy[1].response().status == 415
        assert gateway.metric("http_connections_refused_total", "total") >= 30
    assert gateway.program.output.count("connections are over a bound") == 2  # idle and total


def test_an_address_has_a_bound_of_its_own(bounded: Any) -> None:
    gateway: Bounded = bounded(
        max_connections_per_address=3, trusted_proxies=["127.0.0.9/32"], max_connections=100
    )
    with contextlib.ExitStack() as stack:

        def connect(source: str) -> int:
            client = stack.enter_context(RawClient(gateway.url, source))
            client.send(HEALTH)
            return client.response().status

        assert [connect("127.0.0.2") for _ in range(5)] == [200] * 3 + [503] * 2
        assert [connect("127.0.0.3") for _ in range(4)] == [200] * 3 + [503]
        assert [connect("127.0.0.9") for _ in range(10)] == [200] * 10
    with contextlib.ExitStack() as stack:  # those that are closed count no more
        deadline = time.monotonic() + PATIENCE
        while connect("127.0.0.2") != 200:
            assert time.monotonic() < deadline
    assert gateway.metric("http_connections_refused_total", "address") >= 3


def test_live_connections_have_a_bound_of_their_own(bounded: Any) -> None:
    gateway: Bounded = bounded(max_connections=8)  # 4 for HTTP, 6 live ones
    events = b"GET /v1/streams/work/sse HTTP/1.1\r\n" + HOST + gateway.key + b"\r\n"
    upgrade = (
        b"GET /v1/ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    )
    with contextlib.ExitStack() as stack:

        def connect(request: bytes) -> tuple[int, RawClient]:
            client = stack.enter_context(RawClient(gateway.url))
            client.send(request)
            return client.response().status, client

        assert [connect(events)[0] for _ in range(3)] == [200] * 3
        sockets = [connect(upgrade + HOST + gateway.key + b"\r\n") for _ in range(3)]
        assert [status for status, _ in sockets] == [101] * 3
        assert connect(events)[0] == 503
        assert connect(upgrade + HOST + gateway.key + b"\r\n")[0] == 503
        assert ask(gateway.url, HEALTH.replace(HOST, HOST + b"Connection: close\r\n")).status == 200
        sockets[0][1].socket.close()
        deadline = time.monotonic() + PATIENCE
        while connect(events)[0] != 200:
            assert time.monotonic() < deadline
    assert gateway.metric("http_connections_refused_total", "live") >= 2


async def test_a_client_that_does_not_read_is_closed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WRITE_TIMEOUT", 0.5)
    monkeypatch.setattr(open_connections, "CHECK_INTERVAL", 0.1)
    gateway: Running = await start({"server": {"docs": "public"}})  # something large

    def overwhelm() -> None:
        with RawClient(gateway.http_url, receive_buffer=4096) as client:
            with contextlib.suppress(OSError):
                client.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
            deadline = time.monotonic() + PATIENCE
            while ("response",) not in figures.labels_of(families.HTTP_TIMED_OUT):
                assert time.monotonic() < deadline
                time.sleep(0.05)

    figures = gateway.gateway.stages.adapters.metrics.figures
    await asyncio.to_thread(overwhelm)
    # A client that reads, however slowly, gets all.
    reader, writer = await asyncio.open_connection(
        *gateway.http_url.removeprefix("http://").split(":"), limit=2**20
    )
    writer.write(b"GET /openapi.json HTTP/1.0\r\n\r\n")
    parts = []
    while part := await reader.read(20_000):
        parts.append(part)
        await asyncio.sleep(0.02)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    writer.close()


def test_the_bounds_are_below_the_limit_of_files() -> None:
    for files in (1024, 4096, 20_000, 65_536):
        attempts = attempts_within(files)
        assert connections_within(files) + attempts + attempts // 4 + OTHERS <= files
        assert connections_within(files) >= 250


def test_the_name_and_bound_of_an_address() -> None:
    def bound(per_address: int | None = None, *proxies: str) -> AddressBound:
        return AddressBound(
            ConnectionLimits(
                total=80, per_address=per_address, proxies=TrustedProxies(proxies), body_timeout=1,
                keep_alive_timeout=1,
            )
        )  # fmt: skip

    assert bound().of("192.0.2.1") == ("192.0.2.1", 10)
    assert bound(3).of("192.0.2.1") == ("192.0.2.1", 3)
    for local in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert bound().of(local)[1] is None
        assert bound(3).of(local)[1] == 3
    assert bound().of("2001:db8:1:2::1") == bound().of("2001:db8:1:2:ff::2%eth0")
    assert bound().of("2001:db8:1:2::1") != bound().of("2001:db8:1:3::1")
    assert bound().of("::ffff:192.0.2.1") == ("192.0.2.1", 10)
    assert bound(3, "192.0.2.0/24", "2001:db8::/32").of("192.0.2.7")[1] is None
    assert bound(3, "192.0.2.0/24", "2001:db8::/32").of("2001:db8::7")[1] is None
    assert bound(3, "192.0.2.0/24").of("198.51.100.1")[1] == 3
    assert bound().of("")[1] is None  # a socket that is no TCP
