"""The sender against servers that mean it ill: bounded in time and memory, and nothing of one
answer is ever taken for another's."""

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.egress_guard import EgressGuard
from support.certificates import Authority
from support.patience import PATIENCE
from support.scripted_server import OK, ScriptedServer, drip
from support.sending import post

LIMIT = 1000


@pytest.fixture
async def sender() -> AsyncIterator[HttpClient]:
    result = HttpClient(EgressGuard(["127.0.0.0/8"]), body_limit=LIMIT)
    yield result
    await result.close()
    assert result.open_connections == 0
    assert result.in_flight == 0


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(drip(OK, 0.03), AttemptErrorType.RESPONSE_TIMEOUT, id="headers dripped"),
        pytest.param([HEAD + b"x: y\r\n", None], AttemptErrorType.CONNECTION_RESET,
                     id="half a head"),
        pytest.param([b"HTTP/1.1\0200 OK\r\n\r\n"], AttemptErrorType.PROTOCOL_ERROR,
                     id="NUL in the status line"),
        pytest.param([b"HTTP/1.1 2x0 OK\r\n\r\n"], AttemptErrorType.PROTOCOL_ERROR, id="no status"),
        pytest.param([b"\0" * 100], AttemptErrorType.PROTOCOL_ERROR, id="nothing but NUL"),
        pytest.param([b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n"
                      b"\r\n"], AttemptErrorType.PROTOCOL_ERROR, id="switches protocols"),
        pytest.param([b"HTTP/1.1 101 Switching Protocols\r\n\r\nab"],
                     AttemptErrorType.PROTOCOL_ERROR, id="switches to none"),
        pytest.param([b"HTTP/1.1 099 Early\r\ncontent-length: 0\r\n\r\n"],
                     AttemptErrorType.PROTOCOL_ERROR, id="a status below 100"),
        pytest.param([b"HTTP/9.9 200 OK\r\n\r\n"], AttemptErrorType.PROTOCOL_ERROR, id="HTTP/9.9"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n", None], AttemptErrorType.CONNECTION_RESET,
                     id="1xx and no more"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\nx: y\r\n"], AttemptErrorType.PROTOCOL_ERROR,
                     id="1xx and no HTTP"),
        pytest.param([None], AttemptErrorType.CONNECTION_RESET, id="closed without a word"),
    ],
)  # fmt: skip
async def test_invalid_responses(
    sender: HttpClient, script: list[bytes | float | None], error: AttemptErrorType
) -> None:
    async with ScriptedServer(script).running() as url:
        limit = 0.5 if error == AttemptErrorType.RESPONSE_TIMEOUT else PATIENCE
        result = await post(sender, url, timeout=limit)
        assert isinstance(result, Failure), result
        assert result.error_type == error
        assert sender.open_connections == 0


@pytest.mark.parametrize("status", [200, 410, 500])
@pytest.mark.parametrize(
    ("rest", "body"),
    [
        pytest.param([b"content-length: 90\r\n\r\n", *drip(b"z" * 90, 0.02)], b"z",
                     id="body dripped"),
        pytest.param([b"\r\nabc", 9.0], b"abc", id="no length and no close"),
        pytest.param([b"content-length: 5\r\n\r\nabc", 9.0], b"abc",
                     id="shorter than its length, open"),
        pytest.param([b"content-length: 5\r\n\r\nabc", None], b"abc",
                     id="shorter than its length, closed"),
        pytest.param([b"content-length: -1\r\n\r\n"], b"", id="negative length"),
        pytest.param([b"content-length: 99999999999999999999999\r\n\r\n"], b"",
                     id="length beyond all bounds"),
        pytest.param([b"content-length: 2\r\ncontent-length: 2\r\n\r\nok!"], b"",
                     id="a length twice"),
        pytest.param([b"content-length: 2\r\ncontent-length: 3\r\n\r\nok!"], b"",
                     id="two lengths"),
        pytest.param([b"transfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n"], b"",
                     id="a chunk's length is none"),
        pytest.param([b"transfer-encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n"], b"ok",
                     id="a chunk longer than it says"),
        pytest.param([b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"], b"",
                     id="a chunk beyond all bounds"),
        pytest.param([b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n", None], b"ok",
                     id="no last chunk"),
        pytest.param([b"transfer-encoding: chunked\n\n2\nok\n0\n\n"], b"",
                     id="chunks with line feeds alone"),
        pytest.param([b"x\0y: z\r\n\r\n"], b"", id="NUL in a header's name"),
        pytest.param([b"no header\r\n\r\n"], b"", id="a header without a colon"),
    ],
)  # fmt: skip
async def test_a_status_counts_whatever_follows_it(
    sender: HttpClient, status: int, rest: list[bytes | float | None], body: bytes
) -> None:
    first = b"HTTP/1.1 %d Status\r\n" % status
    script = [first + rest[0] if isinstance(rest[0], bytes) else first, *rest[1:]]
    async with ScriptedServer(script).running() as url:
        # Only a body that does not end is cut by the timeout.
        waits = any(isinstance(piece, float) for piece in script)
        result = await post(sender, url, timeout=0.5 if waits else PATIENCE)
        assert isinstance(result, Response), result
        assert (result.status, result.truncated) == (status, True)
        assert result.body.startswith(body)
        assert sender.open_connections == 0


@pytest.mark.parametrize(
    ("script", "status", "body"),
    [
        pytest.param([HEAD + b"content-length: 4\r\n\r\n\0\0ok"], 200, b"\0\0ok", id="NUL in body"),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 5 + OK], 200, b"ok",
                     id="1xx first"),
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\nok", None], 200, b"ok", id="HTTP/1.0 until close"),
        pytest.param([b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 0.05], 200, b"ok",
                     id="HTTP/1.0 with a length"),
        pytest.param([b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello"], 204, b"",
                     id="204 with a body"),
        pytest.param([b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello"], 304, b"",
                     id="304 with a body"),
        pytest.param([HEAD + b"content-length: 2\r\n\r\nok and more"], 200, b"ok",
                     id="longer than its length"),
        pytest.param([HEAD + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\nok"], 200, b"ok",
                     id="a folded header"),
        pytest.param([b"HTTP/1.1 200 OK\nx: y\ncontent-length: 2\n\nok"], 200, b"ok",
                     id="line feeds alone"),
        pytest.param([HEAD + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n",
                      b"2\r\nok\r\n0\r\n\r\n"], 200, b"ok", id="a length and chunks"),
        pytest.param([HEAD + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
                      b"2  \r\nok\r\n0\r\n\r\n"], 200, b"ok", id="chunks and a length"),
        pytest.param([OK + b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"], 200, b"ok", id="junk behind"),
        pytest.param([OK, 0.02, b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"], 200, b"ok",
                     id="a second answer, later"),
        pytest.param([HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nok"], 200, b"ok",
                     id="will close"),
        pytest.param([HEAD + b"transfer-encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nt: 1\r\n\r\n"],
                     200, b"ok", id="extension and trailer"),
    ],
)  # fmt: skip
async def test_unusual_responses_are_accepted_and_connections_stay_clean(
    sender: HttpClient, script: list[bytes | float | None], status: int, body: bytes
) -> None:
    server = ScriptedServer(script, [OK])
    async with server.running() as url:
        result = await post(sender, url)
        assert isinstance(result, Response), result
        assert (result.status, result.body) == (status, body)
        async with asyncio.timeout(PATIENCE):
            while server.responses < 1:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # what has been sent is read
        for _ in range(3):
            result = await post(sender, url)
            assert isinstance(result, Response), result
            assert (result.status, result.body) == (200, b"ok")
    assert server.requests == 4


@pytest.mark.parametrize(
    ("first", "more", "answered"),
    [
        pytest.param(HEAD, b"x: y\r\n" * 1000, True, id="headers"),
        pytest.param(HEAD + b"x: ", b"y" * 10_000, True, id="one header's value"),
        pytest.param(HEAD, b"n" * 10_000, True, id="one header's name"),
        pytest.param(b"HTTP/1.1 200 ", b"r" * 10_000, True, id="the reason"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nx: ", b"y" * 10_000, False, id="a 103"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400, False, id="1xx"),
        pytest.param(HEAD + b"\r\n", b"z" * 10_000, True, id="body until close"),
        pytest.param(HEAD + b"content-length: 999999999999\r\n\r\n", b"z" * 10_000, True,
                     id="body of a length"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nz\r\n" * 2000, True,
                     id="chunks of one byte"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n1;", b"e" * 10_000, True,
                     id="a chunk's extension"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nt: ", b"t" * 10_000, True,
                     id="a trailer"),
    ],
)  # fmt: skip
async def test_endless_responses_are_cut_in_limited_memory(
    sender: HttpClient, first: bytes, more: bytes, answered: bool
) -> None:
    async with ScriptedServer([first, *[more] * 5000], reads=False).running() as url:
        tracemalloc.start()
        try:
            result = await post(sender, url, timeout=PATIENCE)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    if answered:
        assert isinstance(result, Response), result
        assert (result.status, result.truncated) == (200, True)
        assert len(result.body) <= LIMIT
    else:
        assert isinstance(result, Failure), result
        assert result.error_type == AttemptErrorType.RESPONSE_TOO_LARGE
    assert peak < 4 * 1024 * 1024
    assert sender.open_connections == 0


@pytest.mark.parametrize("status", [200, 503])
async def test_trailers_say_nothing_of_the_response(sender: HttpClient, status: int) -> None:
    """RFC 9110, 6.5.1: only the head has fields that direct the sender."""
    head = b"HTTP/1.1 %d Status\r\ntransfer-encoding: chunked\r\nx: head\r\n\r\n" % status
    trailers = b"retry-after: 9999\r\nwebhook-delivery: disable\r\nx: trailer\r\n"
    server = ScriptedServer([head + b"2\r\nok\r\n0\r\n" + trailers + b"\r\n"])
    async with server.running() as url:
        for _ in range(2):
            result = await post(sender, url)
            assert isinstance(result, Response), result
            assert (result.status, result.body, result.truncated) == (status, b"ok", False)
            assert result.headers == {"transfer-encoding": "chunked", "x": "head"}
        assert server.connections == 1


@pytest.mark.parametrize("status", [200, 503])
async def test_a_body_that_never_ends_does_not_hold_the_request(status: int) -> None:
    head = b"HTTP/1.1 %d Status\r\ncontent-length: 9\r\nretry-after: 7\r\n\r\n" % status
    sender = HttpClient(EgressGuard(["127.0.0.0/8"]), body_timeout=1.0)
    server = ScriptedServer([head + b"half", 10 * PATIENCE], [1.2, head, 0.1, b"123456789"])
    async with server.running() as url:
        began = asyncio.get_running_loop().time()
        result = await post(sender, url, timeout=10 * PATIENCE)
        assert isinstance(result, Response), result
        assert (result.status, result.body, result.truncated) == (status, b"half", True)
        assert result.headers["retry-after"] == "7"
        assert asyncio.get_running_loop().time() - began < PATIENCE
        # The time runs from the head on, and not before.
        result = await post(sender, url, timeout=10 * PATIENCE)
        assert isinstance(result, Response), result
        assert (result.body, result.truncated) == (b"123456789", False)
    await sender.close()


async def test_a_response_with_a_length_and_chunks_ends_its_connection(sender: HttpClient) -> None:
    """RFC 9112, 6.3: what follows may be the response to another request."""
    head = HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"
    async with ScriptedServer([head + b"2\r\nok\r\n0\r\n\r\n"]).running() as url:
        result = await post(sender, url)
        assert isinstance(result, Response), result
        assert sender.open_connections == 0


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(OK, id="a whole response"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: y", id="half a response"),
        pytest.param(b"garbage", id="no response"),
    ],
)
async def test_what_follows_a_response_does_not_answer_the_next_request(
    sender: HttpClient, more: bytes
) -> None:
    """The next request is sent as soon as the response is there, as by a lane with a backlog."""
    failed = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
    opened: set[object] = set()

    async def receiver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(failed if b"/0 " in head else OK + more)
        opened.discard(writer)
        writer.close()

    statuses: list[int | str] = []
    all_answered = asyncio.Event()

    def post_next() -> None:
        head = b"POST /%d HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        sender.post(target, head % ((len(statuses) + 1) % 2), b"", PATIENCE, answered)

    def answered(result: Response | Failure) -> None:
        statuses.append(result.status if isinstance(result, Response) else result.message)
        if len(statuses) < 6:
            post_next()
        else:
            all_answered.set()

    server = await asyncio.start_server(receiver, "127.0.0.1", 0)
    async with server:
        target = parse_target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        post_next()
        async with asyncio.timeout(PATIENCE):
            await all_answered.wait()
            while len(opened) > 1:  # the others are closed
                await asyncio.sleep(0.01)
        assert statuses == [200, 500] * 3
        assert sender.open_connections == len(opened)
        await sender.close()


async def test_a_response_before_the_request_is_read(sender: HttpClient) -> None:
    script = [b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno"]
    server = ScriptedServer(script, reads=False)
    async with server.running() as url:
        for _ in range(3):
            result = await post(sender, url, body=b"x" * 8_000_000)
            assert isinstance(result, Response), result
            assert (result.status, result.body) == (413, b"no")
            assert sender.open_connections == 0  # half of the request is still on its way there
    assert server.connections == 3


async def test_half_a_response_on_a_reused_connection_is_not_retried(sender: HttpClient) -> None:
    server = ScriptedServer([OK], [HEAD, None], [OK])
    async with server.running() as url:
        assert isinstance(await post(sender, url), Response)
        result = await post(sender, url)
        assert isinstance(result, Failure), result
        assert result.error_type == AttemptErrorType.CONNECTION_RESET
        assert server.requests == 2


async def test_a_connection_closed_while_idle_is_not_used(sender: HttpClient) -> None:
    server = ScriptedServer([OK, None])
    async with server.running() as url:
        for _ in range(5):
            assert isinstance(await post(sender, url), Response)
            async with asyncio.timeout(PATIENCE):
                while sender.open_connections:
                    await asyncio.sleep(0.01)
    assert server.requests == 5


async def test_a_connection_closed_on_reuse_is_retried_once(sender: HttpClient) -> None:
    # Each reused connection closes at the next request; a new one answers only once.
    server = ScriptedServer([OK], [None], [OK], [None], [None], [OK])
    async with server.running() as url:
        assert isinstance(await post(sender, url), Response)
        assert isinstance(await post(sender, url), Response)
        result = await post(sender, url)  # the new one is closed too: that is a failure
        assert isinstance(result, Failure), result
        assert result.error_type == AttemptErrorType.CONNECTION_RESET
    assert (server.requests, server.connections) == (5, 3)


async def test_a_redirect_is_not_followed(sender: HttpClient) -> None:
    other = ScriptedServer([OK])
    async with other.running() as elsewhere:
        script = [b"HTTP/1.1 307 Elsewhere\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n"
                  % elsewhere.encode()]  # fmt: skip
        async with ScriptedServer(script).running() as url:
            result = await post(sender, url)
    assert isinstance(result, Response)
    assert result.status == 307
    assert other.connections == 0


async def test_a_tls_handshake_that_hangs(sender: HttpClient) -> None:
    async with ScriptedServer([10 * PATIENCE], reads=False).running() as url:
        began = asyncio.get_running_loop().time()
        result = await post(sender, url.replace("http:", "https:"), timeout=0.4)
        assert isinstance(result, Failure)
        assert result.error_type == AttemptErrorType.CONNECT_TIMEOUT
        assert asyncio.get_running_loop().time() - began < PATIENCE
        assert sender.in_flight == 0


async def test_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    sender = HttpClient(EgressGuard(["127.0.0.0/8"]), ssl_context=authority.client())
    async with ScriptedServer([OK]).running(authority.server()) as url:
        result = await post(sender, url)
        assert isinstance(result, Response), result
    for context, text in (
        (authority.server(days=-1), "expired"),
        (authority.server(address="127.0.0.2"), "mismatch"),
        (authority.self_signed(), "self-signed|unable to get local issuer"),
    ):
        server = ScriptedServer([OK])
        async with server.running(context) as url:
            result = await post(sender, url)
            assert isinstance(result, Failure), text
            assert result.error_type == AttemptErrorType.TLS_ERROR
            assert any(part in result.message for part in text.split("|")), result.message
            assert server.requests == 0
    await sender.close()
