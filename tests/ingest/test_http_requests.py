"""HTTP as RFC 9110 and RFC 9112 have it, on a socket: what is wrong, odd, large or hostile."""

import asyncio
import contextlib
import json
import random
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.program import LOOPBACK, Program
from support.raw_http import RawClient, Response, ask

MIB = 1024 * 1024
HOST = b"Host: x\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
EVENT = b'{"specversion":"1.0","id":"%b","source":"s","type":"user.made"}'


@dataclass
class Served:
    """A gateway for all tests of this module."""

    url: str
    key: bytes
    pid: int

    def post(self, headers: bytes, body: bytes = b"", key: bool = True) -> bytes:
        """A request with an event."""
        head = b"POST /v1/events HTTP/1.1\r\n" + HOST
        head += b"Content-Type: application/cloudevents+json\r\n" + headers
        return head + (self.key if key else b"") + b"\r\n" + body

    def chunked(self, body: bytes, key: bool = True) -> bytes:
        """A request with the body as it is given."""
        return self.post(b"Transfer-Encoding: chunked\r\n", body, key)

    def memory(self) -> int:
        """Bytes of memory that the process uses."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    config = LOOPBACK | {"streams": {"work": {"subjects": ["user.*"]}}}
    program = Program(tmp_path_factory.mktemp("http"), config)
    at = asyncio.run(program.start())
    yield Served(at["http"], b"X-API-Key: %b\r\n" % at["key"].encode(), at["pid"])
    asyncio.run(program.stop())
    assert "Traceback" not in program.output, program.output


# Each is refused before any route sees it, and the connection is closed.
WRONG = {
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "two Hosts, HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n" + HOST + HOST + b"\r\n", 400),
    "an empty Host": (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "Host with a space": (b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "Host with a path": (b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "Host with a user": (b"GET /healthz HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "Host that is a list": (b"GET /healthz HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    "Host with a bad port": (b"GET /healthz HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    "an unknown method": (b"FOO /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "a method in lower case": (b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "no HTTP": (b'{"specversion": "1.0"}\r\n\r\n', 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/2.0": (b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "HTTP/1.2": (b"GET /healthz HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", 505),
    "no version": (b"GET /healthz x\r\n" + HOST + b"\r\n", 400),
    "no URL": (b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a URL that is no path": (b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a URL with a space": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a URL that is not ASCII": (b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a URL with a fragment": (b"GET /healthz#a HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a URL of another scheme": (b"GET ftp://x/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an asterisk": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a long URL": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "an endless URL": (b"GET /" + b"a" * 3 * MIB, 414),
    "a long header": (b"GET / HTTP/1.1\r\na: " + b"b" * 3 * MIB, 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000, 431),
    "LF alone": (b"GET /healthz HTTP/1.1\nHost: x\n\n", 400),
    "a folded header": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"a: b\r\n c\r\n\r\n", 400),
    "a space before the colon": (b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "a NUL": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"a: \0\r\n\r\n", 400),
    "both lengths": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "two lengths": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        400,
    ),
    "a negative length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\n", 400),
    "a coding": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "another coding": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\n\r\n", 501),
    "chunked HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "no chunk": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    "an expectation": (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: more\r\n\r\n", 417),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_http_is_answered_with_a_problem(served: Served, name: str) -> None:
    request, status = WRONG[name]
    response = ask(served.url, request)
    assert (response.status, response.closed) == (status, True), response
    assert response.problem["detail"]


def test_what_is_odd_is_answered(served: Served) -> None:
    with RawClient(served.url) as client:
        for host in (b"x:80", b"x", b"[::1]:80", b"127.0.0.1", b"a-b.c%41:", b"X_y.z"):
            client.send(b"GET /healthz HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            assert client.response().status == 200, host
        for target in (b"http://x/healthz", b"/healthz?a", b"/health%7a"):
            client.send(b"\r\nGET %b HTTP/1.1\r\n" % target + HOST + b"\r\n")
            assert client.response().status == 200, target
        client.send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
        assert client.response().status == 204
        client.send(b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        got = client.response(head_only=True)
        assert (got.status, int(got.headers["content-length"]) > 0) == (200, True)
        client.send(HEALTH)
        assert client.response().status == 200
    # HTTP/1.0 needs no Host, and its connection ends with the response.
    assert ask(served.url, b"GET /healthz HTTP/1.0\r\n\r\n").status == 200


def test_requests_in_a_row_are_answered_in_their_order(served: Served) -> None:
    with RawClient(served.url) as client:
        for number in range(500):
            client.send(HEALTH if number % 2 else b"GET /no HTTP/1.1\r\n" + HOST + b"\r\n")
        client.send(b"FOO / HTTP/1.1\r\n\r\n")
        statuses = [client.response().status for _ in range(500)]
        assert statuses == [404, 200] * 250
        last = client.last_response()
        assert (last.status in (400, 501), last.closed) == (True, True)
    # A body belongs to its request, also if the answer comes before the body.
    with RawClient(served.url) as client:
        client.send(served.post(b"Content-Length: 9\r\n", HEALTH[:9], key=False) + HEALTH)
        assert [client.response().status for _ in range(2)] == [401, 200]


def test_trailers_count_for_nothing(served: Served) -> None:
    with RawClient(served.url) as client:
        body = b"2\r\n{}\r\n0\r\n" + served.key + b"Host: y\r\n\r\n"
        client.send(served.chunked(body, key=False))
        assert client.response().status == 401
    with RawClient(served.url) as client:
        head = b"POST /v1/events HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n"
        head += served.key + b"ce-specversion: 1.0\r\nce-source: s\r\nce-type: user.made\r\n\r\n"
        client.send(head + b"0\r\nce-id: in-a-trailer\r\n\r\n")
        assert "id" in client.response().problem["detail"]
        body = EVENT % b"with-trailers"
        client.send(served.chunked(b"%x;a=b\r\n%b\r\n0\r\na: b\r\n\r\n" % (len(body), body)))
        answer = client.response()
        assert answer.status == 202, answer


HOSTILE = {
    "trailers": (b"2\r\n{}\r\n0\r\n", b"a: b\r\n"),
    "one trailer": (b"2\r\n{}\r\n0\r\na: ", b"b"),
    "the name of a trailer": (b"2\r\n{}\r\n0\r\n", b"b"),
    "a chunk extension": (b"2;", b"a"),
    "chunk extensions": (b"", b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=b\r\n{\r\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_surrounds_chunks_is_bounded(served: Served, name: str) -> None:
    begin, endless = HOSTILE[name]
    piece = endless * (MIB // len(endless))
    before = served.memory()
    with RawClient(served.url) as client:
        client.send(served.chunked(begin))
        for _ in range(100):
            client.send(piece)
        assert ask(served.url, HEALTH.replace(HOST, HOST + b"Connection: close\r\n")).status == 200
        response = client.response()
    assert response.status in (413, 431), response
    assert response.problem
    assert served.memory() - before < 32 * MIB


def test_many_small_chunks_are_a_body(served: Served) -> None:
    text = EVENT % b"small-chunks"
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n"
    with RawClient(served.url) as client:
        client.send(served.chunked(body))
        answer = client.response()
        assert (answer.status, json.loads(answer.body)["items"][0]["id"]) == (202, "small-chunks")


def test_pipelined_requests_take_bounded_memory(served: Served) -> None:
    with RawClient(served.url) as client:
        client.send(HEALTH)
        assert client.response().status == 200
        before = served.memory()
        client.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):  # the gateway stops to read, as nobody reads its answers
            client.send(HEALTH * 2_000_000)
        assert served.memory() - before < 32 * MIB


EARLY = {
    "no key": (b"POST /v1/events HTTP/1.1\r\n", False, 401),
    "no key, managed": (b"PUT /v1/webhooks/w HTTP/1.1\r\n", False, 401),
    "too large": (b"POST /v1/events HTTP/1.1\r\n", True, 413),
    "no path": (b"POST /nothing HTTP/1.1\r\n", True, 404),
    "no method": (b"DELETE /v1/events HTTP/1.1\r\n", True, 405),
    "HTTP/1.0": (b"POST /v1/events HTTP/1.0\r\n", False, 401),
}


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize(
    ("name", "chunked"),
    [(name, chunked) for name in EARLY for chunked in (False, True) if name != "HTTP/1.0"]
    + [("HTTP/1.0", False)],
)
def test_an_early_answer_arrives(served: Served, name: str, close: bool, chunked: bool) -> None:
    line, key, status = EARLY[name]
    size = 8 * MIB
    head = line + HOST + (served.key if key else b"") + (b"Connection: close\r\n" if close else b"")
    if chunked:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"
    else:
        head += b"Content-Length: %d\r\n\r\n" % size
        body = b"x" * size
    with RawClient(served.url) as client:
        client.send(head)
        client.send(body)  # all of it, before anything is read: as most clients do
        response = client.last_response()
    assert (response.status, response.closed) == (status, True)
    assert response.problem


def test_an_invalid_event_is_answered_to_urllib(served: Served) -> None:
    key = served.key.decode().partition(": ")[2].strip()
    for body, sent_key, status in (
        (b"x" * 4 * MIB, "", 401), (b"x" * 4 * MIB, key, 413), (b'{"specversion":"1.0"}', key, 422),
    ):  # fmt: skip
        request = urllib.request.Request(
            f"{served.url}/v1/events",
            body,
            {"X-API-Key": sent_key, "Content-Type": "application/cloudevents+json"},
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        assert (caught.value.code, json.load(caught.value)["status"]) == (status, status)


def test_100_continue_comes_only_for_a_body_that_is_read(served: Served) -> None:
    body = EVENT % b"continued"
    headers = b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(body)
    with RawClient(served.url) as client:
        client.send(served.post(headers))
        assert client.response().status == 100
        client.send(body)
        assert client.response().status == 202
        # Without a key there is no use in the body. A client that sends it all the same gets the
        # answer.
        client.send(served.post(headers, key=False))
        got = client.response()
        assert (got.status, got.headers["connection"]) == (401, "close")
        client.send(body)
        assert client.rest() == b""
    with RawClient(served.url) as client:  # it does not wait
        client.send(served.post(headers, body))
        assert client.response().status == 202
    old = served.post(headers).replace(b"HTTP/1.1", b"HTTP/1.0")
    with RawClient(served.url) as client:  # HTTP/1.0 has no interim responses
        client.send(old + body)
        assert client.last_response().status == 202


def test_an_upgrade_to_http_2_is_ignored(served: Served) -> None:
    body = EVENT % b"upgraded"
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    headers = upgrade + b"Content-Length: %d\r\n" % len(body)
    with RawClient(served.url) as client:
        client.send(served.post(headers, body) + HEALTH)
        assert [client.response().status for _ in range(2)] == [202, 200]
    with RawClient(served.url) as client:  # it waits for its turn, and keeps its body
        client.send(HEALTH + served.post(headers, body) + HEALTH)
        assert [client.response().status for _ in range(3)] == [200, 202, 200]
    with RawClient(served.url) as client:
        client.send(served.post(headers))
        client.send(body)
        assert client.response().status == 202
    assert ask(served.url, b"GET /healthz HTTP/1.1\r\n" + upgrade + b"\r\n").status == 400


def test_a_handshake_that_is_none_is_answered_with_a_problem(served: Served) -> None:
    upgrade = HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for path, more, status in (
        (b"/v1/ws", b"", 400), (b"/v1/ws", key + b"Sec-WebSocket-Version: 8\r\n", 426),
        (b"/no", key + b"Sec-WebSocket-Version: 13\r\n", 404),
        (b"/v1/ws", key + b"Sec-WebSocket-Protocol: \xff\r\n", 400),
    ):  # fmt: skip
        got = ask(served.url, b"GET %b HTTP/1.1\r\n" % path + upgrade + more + b"\r\n")
        assert got.problem["status"] == status, got


def test_a_client_that_sends_no_more_gets_its_answer(served: Served) -> None:
    for request, statuses in (
        (HEALTH, [200]), (HEALTH * 3, [200, 200, 200]), (HEALTH + HEALTH[:20], [200, 400]),
        (served.post(b"Content-Length: 9\r\n", b"{"), [400]), (HEALTH[:20], [400]),
    ):  # fmt: skip
        with RawClient(served.url) as client:
            client.send(request)
            client.socket.shutdown(socket.SHUT_WR)
            assert [client.response().status for _ in statuses] == statuses
            assert client.rest() == b""


def test_server_sent_events_over_http_1_0_are_not_chunked(served: Served) -> None:
    head = b"GET /v1/streams/work/sse?from=first HTTP/1.%d\r\n" + HOST + served.key + b"\r\n"
    with RawClient(served.url) as client, RawClient(served.url) as newer:
        client.send(head % 0)
        got = client.response()
        assert (got.status, got.headers.get("transfer-encoding")) == (200, None)
        assert got.headers["connection"] == "close"
        newer.send(head % 1)
        assert newer.response().headers["transfer-encoding"] == "chunked"
        body = EVENT % b"for-sse"
        with RawClient(served.url) as sender:
            sender.send(served.post(b"Content-Length: %d\r\n" % len(body), body))
            assert sender.response().status == 202
        text = b""
        while b"for-sse" not in text:
            text += client.socket.recv(65536)
    lines = text.split(b"\n")
    assert all(not line or b":" in line for line in lines), lines  # no sizes of chunks


def test_nothing_redirects_to_the_host_that_a_request_names(served: Served) -> None:
    with RawClient(served.url) as client:
        for path in (
            b"/v1/webhooks/",
            b"/v1/nothing",
            b"/v1/webhooks/w/",
            b"/v1/streams/work/sse/",
        ):
            for key, status in ((b"", 401), (served.key, 404)):
                client.send(b"GET %b HTTP/1.1\r\nHost: evil.example\r\n%b\r\n" % (path, key))
                got = client.response()
                assert (got.problem["status"], got.headers.get("location")) == (status, None)
        client.send(b"DELETE /v1/webhooks HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert client.response().status == 401
        client.send(b"DELETE /v1/webhooks HTTP/1.1\r\nHost: x\r\n" + served.key + b"\r\n")
        got = client.response()
        assert (got.status, "POST" in got.headers["allow"]) == (405, True)
        client.send(b"GET /healthz/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert client.response().status == 404


def test_whatever_comes_the_gateway_goes_on(served: Served) -> None:
    chance = random.Random(4711)
    parts = [
        HEALTH, HOST, b"\r\n", b"POST / HTTP/1.1\r\n", b"Content-Length: 5\r\n\r\nhello",
        b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"0\r\na: b\r\n\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"a: b\r\n", b"\0",
        b"x" * 9000, b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", b"Connection: close\r\n",
        b"3;" + b"e" * 40_000,
    ]  # fmt: skip
    for _ in range(300):
        request = bytearray(b"".join(chance.choices(parts, k=chance.randrange(1, 12))))
        request[chance.randrange(len(request))] = chance.randrange(256)
        with RawClient(served.url) as client, contextlib.suppress(OSError):
            client.send(bytes(request))
            client.socket.shutdown(socket.SHUT_WR)
            answers = client.rest()  # to its end: no connection stays open
            assert not answers or answers.startswith(b"HTTP/1.1 ")
    assert ask(served.url, b"GET /healthz HTTP/1.0\r\n\r\n").status == 200


def test_others_are_answered_while_a_large_body_is_dropped(served: Served) -> None:
    answers: list[Response] = []
    done = threading.Event()

    def ask_meanwhile() -> None:
        with RawClient(served.url) as client:
            while not done.is_set():
                client.send(HEALTH)
                answers.append(client.response())

    meanwhile = threading.Thread(target=ask_meanwhile)
    before = served.memory()
    with RawClient(served.url) as client:
        meanwhile.start()
        client.send(served.post(b"Connection: close\r\nContent-Length: %d\r\n" % (200 * MIB)))
        for _ in range(200):
            client.send(b"x" * MIB)
        during = len(answers)
        assert client.last_response().status == 413
    done.set()
    meanwhile.join()
    assert during > 1
    assert {answer.status for answer in answers} == {200}
    assert served.memory() - before < 32 * MIB
