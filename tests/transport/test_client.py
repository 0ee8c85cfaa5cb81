"""The HTTP client against servers that misbehave, byte by byte over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.egress_guard import EgressGuard
from support.patience import PATIENCE
from support.scripted_server import ScriptedServer
from support.tcp_server import tcp_server

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async with tcp_server(handler) as port:
        yield f"http://127.0.0.1:{port}/hook?x=1"


def answering(*pieces: bytes, close: bool = False) -> Handler:
    """Answers each request with these bytes, piece by piece."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(4)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.001)
                if close:
                    break
        writer.close()

    return handler


@pytest.fixture
async def sender() -> AsyncIterator[HttpClient]:
    result = HttpClient(EgressGuard(["127.0.0.0/8"]), body_limit=1000)
    yield result
    await result.close()
    assert result.open_connections == 0


async def post(sender: HttpClient, url: str, timeout: float = 2.0) -> Response | Failure:
    answered: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()
    target = parse_target(url)
    head = f"POST {target.path} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n".encode()
    sender.post(target, head, b"body", timeout, answered.set_result)  # a second call would raise
    return await asyncio.wait_for(answered, timeout + PATIENCE)


@pytest.mark.parametrize(
    ("pieces", "close", "status", "body"),
    [
        ((OK,), False, 200, b"ok"),
        (tuple(bytes((byte,)) for byte in OK), False, 200, b"ok"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), False, 204, b""),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK), False, 200, b"ok"),
        ((b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",), False,
         500, b"no"),
        ((b"HTTP/1.1 200 OK\r\n\r\nuntil the end",), True, 200, b"until the end"),
        ((b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",), True, 200, b"ok"),
        ((b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",),
         False, 302, b""),
    ],
)  # fmt: skip
async def test_responses(
    sender: HttpClient, pieces: tuple[bytes, ...], close: bool, status: int, body: bytes
) -> None:
    async with serving(answering(*pieces, close=close)) as url:
        for _ in range(3):  # the second and third may use the connection of the first
            result = await post(sender, url)
            assert isinstance(result, Response), result
            assert (result.status, result.body, result.truncated) == (status, body, False)


@pytest.mark.parametrize(
    ("pieces", "close", "error"),
    [
        ((b"",), True, AttemptErrorType.CONNECTION_RESET),
        ((b"HTTP/1.1 200 OK\r\ncontent-le",), True, AttemptErrorType.CONNECTION_RESET),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), False, AttemptErrorType.PROTOCOL_ERROR),
        ((b"\x15\x03\x01\x00\x02\x02\x46",), False, AttemptErrorType.PROTOCOL_ERROR),
        ((b"HTTP/1.1 103 Early\r\n" + b"x: " + b"y" * 70_000 + b"\r\n\r\n",), False,
         AttemptErrorType.RESPONSE_TOO_LARGE),
        ((b"HTTP/1.1 103 Early\r\n" + b"x: y\r\n" * 300 + b"\r\n",), False,
         AttemptErrorType.RESPONSE_TOO_LARGE),
    ],
)  # fmt: skip
async def test_failures(
    sender: HttpClient, pieces: tuple[bytes, ...], close: bool, error: AttemptErrorType
) -> None:
    async with serving(answering(*pieces, close=close)) as url:
        result = await post(sender, url)
        assert isinstance(result, Failure), result
        assert result.error_type == error
        assert result.message


async def test_an_endless_body_is_cut_and_the_status_kept(sender: HttpClient) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"400\r\n" + b"z" * 1024 + b"\r\n")
                await writer.drain()

    async with serving(endless) as url:
        result = await post(sender, url)
        assert isinstance(result, Response)
        assert (result.status, len(result.body), result.truncated) == (503, 1000, True)
        assert sender.open_connections == 0


async def test_one_deadline_covers_a_body_that_drips(sender: HttpClient) -> None:
    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.05)

    async with serving(drips) as url:
        result = await post(sender, url, timeout=1.5)
    # The head was complete in time: the status counts, and the connection is closed.
    assert isinstance(result, Response)
    assert (result.status, result.truncated) == (200, True)
    assert sender.open_connections == 0


async def test_a_connection_ends_after_its_age(sender: HttpClient) -> None:
    """However steady the requests are, so that a receiver that moved gets them."""
    server = ScriptedServer([OK])
    young = HttpClient(EgressGuard(["127.0.0.0/8"]), max_age=0.0)
    async with server.running() as url:
        for _ in range(3):
            assert isinstance(await post(young, url), Response)
            assert young.open_connections == 0
        assert server.connections == 3
        await young.close()
        for _ in range(3):
            assert isinstance(await post(sender, url), Response)
        assert server.connections == 4


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://h", "/"),
        ("http://h?", "/?"),
        ("http://h/p?", "/p?"),
        ("http://h/p?q=%3f", "/p?q=%3f"),
        ("http://h/p??", "/p??"),
    ],
)
def test_the_path_of_a_url_is_sent_as_it_is_written(url: str, path: str) -> None:
    assert parse_target(url).path == path


async def test_nothing_wakes_up_for_requests_that_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweeps = 0
    sweep = HttpClient._sweep

    def counted(client: HttpClient) -> None:
        nonlocal sweeps
        sweeps += 1
        sweep(client)

    monkeypatch.setattr(HttpClient, "_sweep", counted)
    client = HttpClient(EgressGuard(["127.0.0.0/8"]), idle_timeout=60.0)
    async with serving(answering(OK)) as url:
        for _ in range(20):
            assert isinstance(await post(client, url, timeout=60.0), Response)
            await asyncio.sleep(0.05)
    await client.close()
    assert not sweeps


async def test_an_idle_connection_is_closed_though_nothing_else_happens() -> None:
    closed = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(OK)(reader, writer)
        closed.set()

    client = HttpClient(EgressGuard(["127.0.0.0/8"]), idle_timeout=0.2)
    async with serving(handler) as url:
        assert isinstance(await post(client, url, timeout=60.0), Response)
        async with asyncio.timeout(PATIENCE):
            await closed.wait()
    assert client.open_connections == 0
    await client.close()


async def test_a_silent_server_and_a_missing_one(sender: HttpClient) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with serving(silent) as url:
        result = await post(sender, url, timeout=1.0)
        assert isinstance(result, Failure)
        assert result.error_type == AttemptErrorType.RESPONSE_TIMEOUT
    result = await post(sender, url)
    assert isinstance(result, Failure)
    assert result.error_type == AttemptErrorType.CONNECTION_REFUSED
    result = await post(sender, "http://no-such-host.invalid/")
    assert isinstance(result, Failure)
    assert result.error_type == AttemptErrorType.NAME_RESOLUTION


async def test_a_server_that_does_not_speak_tls(sender: HttpClient) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await reader.read()
        writer.close()

    async with serving(plain) as url:
        result = await post(sender, url.replace("http:", "https:"))
        assert isinstance(result, Failure)
        assert result.error_type == AttemptErrorType.TLS_ERROR


async def test_a_request_on_a_stale_connection_is_sent_once_more(sender: HttpClient) -> None:
    """The server closes each connection after its first response, without announcing it."""
    seen = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(4)
        seen += 1
        writer.write(OK)
        await reader.read(1)  # the next request starts, and is dropped
        writer.close()

    async with serving(once) as url:
        for _ in range(3):
            result = await post(sender, url)
            assert isinstance(result, Response), result
    assert seen == 3


async def test_connections_are_reused_unless_unrequested_bytes_arrive(sender: HttpClient) -> None:
    connections = 0
    plain = answering(OK)

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await plain(reader, writer)

    async with serving(counted) as url:
        for _ in range(20):
            await post(sender, url)
        assert connections == 1

    smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    async with serving(answering(OK + smuggled)) as url:
        for _ in range(3):
            result = await post(sender, url)
            assert isinstance(result, Response)
            assert result.body == b"ok"


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://u:p@x/", "http://x/#a", "http://", "http://x/ y", "http://x:0/"]
)
def test_urls_that_cannot_be_sent_to(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_target(url)
