"""The transport of the tests' HTTP clients takes every form of response, and tells of errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest

from support.http_transport import PlainTransport
from support.tcp_server import tcp_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def _client_of(
    *answers: bytes | Answer,
) -> AsyncIterator[tuple[httpx.AsyncClient, list[str]]]:
    """A client of a server that sends these responses, and the requests' first lines with the
    number of the connection. After an answer that is a function, the server ends the connection."""
    left = list(answers)
    requests: list[str] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while left:
                head = await reader.readuntil(b"\r\n\r\n")
                requests.append(f"{number} {head.split(b' HTTP')[0].decode()}")
                answer = left.pop(0)
                if not isinstance(answer, bytes):
                    await answer(reader, writer)
                    return
                writer.write(answer)
            await reader.read()

    async with (
        tcp_server(serve) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", transport=PlainTransport(), timeout=30
        ) as client,
    ):
        yield client, requests


async def test_every_form_of_response() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 895616\r\n\r\n"
    async with _client_of(
        chunked, early + OK, b"HTTP/1.1 204 No Content\r\nX: y\r\nX: z\r\n\r\n", head, head
        + b"x" * 895_616, OK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        OK,
    ) as (client, requests):  # fmt: skip
        assert (await client.get("/a")).content == b"abc"
        answer = await client.post("/b")
        assert (answer.status_code, answer.content, "link" in answer.headers) == (200, b"ok", False)
        answer = await client.delete("/c")
        assert (answer.status_code, answer.headers.get_list("x")) == (204, ["y", "z"])
        answer = await client.head("/d")
        assert (answer.headers["content-length"], answer.content) == ("895616", b"")
        assert (await client.get("/e?f=g h")).content == b"x" * 895_616
        for path in "ghi":
            assert (await client.get(path)).status_code == 200
    # The connection is used again unless the end of the response is unknown, or it says otherwise.
    assert requests == [
        "1 GET /a", "1 POST /b", "1 DELETE /c", "1 HEAD /d", "2 GET /e?f=g%20h", "2 GET /g",
        "2 GET /h", "3 GET /i",
    ]  # fmt: skip


async def test_a_body_in_parts_is_sent_and_received_as_it_comes() -> None:
    async def parts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for part in range(3):
            writer.write(b"%d" % part)
            await asyncio.wait_for(taken.acquire(), 30)

    async def given() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    taken = asyncio.Semaphore(0)
    async with (
        _client_of(parts) as (client, _),
        client.stream("POST", "/", content=given()) as answer,
    ):
        received = []
        async for part in answer.aiter_raw():
            received.append(part)
            taken.release()
    assert received == [b"0", b"1", b"2"]


async def test_a_server_waits_for_a_client_that_reads_nothing() -> None:
    written = 0

    async def much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while written < 1000:
            writer.write(b"x" * 64 * 1024)
            await writer.drain()
            written += 1

    async with _client_of(much) as (client, _), client.stream("GET", "/") as answer:
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.2)
        assert written < 1000
        assert sum([len(part) async for part in answer.aiter_raw()]) == 1000 * 64 * 1024


@pytest.mark.parametrize(
    ("sent", "error"),
    [(b"", httpx.RemoteProtocolError),
     (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", httpx.RemoteProtocolError),
     (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", httpx.RemoteProtocolError),
     (b"SSH-2.0-OpenSSH\r\n", httpx.RemoteProtocolError),
     (b"HTTP/1.1 200 OK\r\n\r\nabc", None)],
)  # fmt: skip
async def test_a_response_that_breaks_off(
    sent: bytes, error: type[httpx.TransportError] | None
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()

    async with _client_of(answer, OK) as (client, requests):
        if error is None:
            assert (await client.get("/")).content == b"abc"
        else:
            with pytest.raises(error):
                await client.get("/")
        assert (await client.get("/")).content == b"ok"
        assert requests == ["1 GET /", "2 GET /"]


async def test_nobody_answers() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with _client_of(silent, OK) as (client, _):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=0.1)
        assert (await client.get("/")).content == b"ok"
        url = client.base_url
    async with httpx.AsyncClient(transport=PlainTransport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_a_connection_that_the_server_has_ended_is_not_used_again() -> None:
    ended = asyncio.Event()

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with _client_of(end, OK) as (client, requests):
        assert (await client.get("/")).content == b"ok"
        await ended.wait()
        assert (await client.get("/")).content == b"ok"
        assert requests == ["1 GET /", "2 GET /"]
