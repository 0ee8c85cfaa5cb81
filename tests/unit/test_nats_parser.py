"""The parser of what NATS sends, beside the client's own."""

import functools
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import __version__
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from event_gateway.broker.headers import parse_headers, read_headers
from event_gateway.broker.login import NatsLogin
from event_gateway.broker.nats_client import NatsClient
from event_gateway.broker.nats_parser import MessageParser, parser_for

_HEADERS = b"NATS/1.0\r\na: b\r\n\r\n"


class _Client:
    """Notes what a parser gives it."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        # Every other subscription is taken.
        self.takes = {sid: functools.partial(self._took, sid) for sid in range(0, 99, 2)}
        self.raw_takes: dict[int, object] = {}
        self.stats = {"in_msgs": 0, "in_bytes": 0}

    def _took(self, *message: Any) -> None:
        self.got.append(message)

    async def _process_msg(self, sid: int, *message: Any) -> None:
        if sid in self.takes:  # only from the client's own parser
            *parts, headers = message
            self._took(sid, *parts, read_headers(headers) if headers else None)
        else:
            self.got.append((sid, *message))

    async def _process_ping(self) -> None:
        self.got.append("ping")

    async def _process_pong(self) -> None:
        self.got.append("pong")

    async def _process_err(self, text: str) -> None:
        self.got.append(text)

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.got.append(info)


def _message(subject: str, sid: int, reply: str, headers: bool, payload: bytes) -> bytes:
    before = f"{subject} {sid}" + (f" {reply}" if reply else "")
    if not headers:
        return b"MSG %b %d\r\n%b\r\n" % (before.encode(), len(payload), payload)
    size = len(_HEADERS)
    return b"HMSG %b %d %d\r\n%b%b\r\n" % (
        before.encode(), size, size + len(payload), _HEADERS, payload,
    )  # fmt: skip


_messages = st.builds(
    _message,
    st.sampled_from(["a.b", "MSG", "_INBOX.x.1"]), st.integers(1, 99),
    st.sampled_from(["", "$JS.ACK.a.b.1.2.3.4.5", "HMSG"]), st.booleans(),
    st.binary(max_size=40) | st.sampled_from([b"", b"\r\n", b"MSG a 1 3\r\nabc\r\n", b"x" * 5000]),
)  # fmt: skip
_lines = st.sampled_from(
    [b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Stale'\r\n", b'INFO {"a": "b c"}\r\n']
)


async def _parsed(parser: type[Parser], pieces: list[bytes]) -> list[Any]:
    client = _Client()
    made = parser(client)
    for piece in pieces:
        await made.parse(piece)
    return client.got


@given(st.lists(_messages | _lines, max_size=8), st.lists(st.integers(0, 400), max_size=12))
async def test_it_gives_what_the_client_s_own_parser_gives(
    sent: list[bytes], cuts: list[int]
) -> None:
    text = b"".join(sent)
    ends = sorted({cut for cut in cuts if cut < len(text)} | {0, len(text)})
    pieces = [text[begin:end] for begin, end in itertools.pairwise(ends)]
    got = await _parsed(MessageParser, pieces)
    assert got == await _parsed(Parser, [text])
    if len(text) < 1000:
        assert got == await _parsed(MessageParser, [bytes((byte,)) for byte in text])
    assert len(got) == sum(not line.startswith(b"+OK") for line in sent)


async def test_what_came_of_a_former_connection_is_forgotten() -> None:
    client = _Client()
    parser = MessageParser(client)
    await parser.parse(b"MSG a 1 5\r\nab")
    parser.reset()
    await parser.parse(b"PING\r\n")
    assert client.got == ["ping"]

    class _Leaving(_Client):
        async def _process_msg(self, *message: Any) -> None:
            self.got.append(message)
            leaving.reset()

    left = _Leaving()
    leaving = MessageParser(left)
    await leaving.parse(b"MSG a 1 1\r\nx\r\nMSG a 1 1\r\ny\r\nMSG a 1 9\r\n")
    assert [message[3] for message in left.got] == [b"x"]
    await leaving.parse(b"MSG a 1 1\r\nz\r\n")
    assert [message[3] for message in left.got] == [b"x", b"z"]


async def test_anything_else_is_refused() -> None:
    with pytest.raises(ProtocolError):
        await _parsed(MessageParser, [b"HTTP/1.1 200 OK\r\n"])


@pytest.mark.parametrize(
    "line",
    [b"MSG a 1 x", b"MSG a b 1", b"MSG a", b"MSG a 1 -9", b"HMSG a 5", b"HMSG a 1 9 5",
     b"HMSG a 1 -4 5"],
)  # fmt: skip
async def test_a_line_that_says_no_size_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        await _parsed(MessageParser, [line + b"\r\nabcde\r\n"])


async def test_a_subject_may_have_white_space_that_is_no_blank() -> None:
    got = await _parsed(MessageParser, [b"MSG a.\x0b\x0c 1 reply 2\r\nhi\r\nPING\r\n"])
    assert got == [(1, b"a.\x0b\x0c", b"reply", b"hi", None), "ping"]


@pytest.mark.parametrize(
    "raw",
    [
        b"NATS/1.0\r\na: b\r\nCe-Id: \xc3\xa4 \r\n\r\n",
        b"NATS/1.0\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last: 7\r\n\r\n",
        b"NATS/1.0 409 Batch Completed\r\nNats-Pending-Messages: 5\r\n\r\n",
    ],
)
async def test_the_headers_are_those_that_the_client_reads(raw: bytes) -> None:
    assert read_headers(raw) == await NatsClient(NatsLogin())._process_headers(raw)


@pytest.mark.parametrize("raw", [b"", b"x", b"NATS/1.0", b"NATS/1.0 \xff\r\n", b"NATS/1.0 5\xff3"])
def test_headers_that_are_none_are_read_as_none(raw: bytes) -> None:
    assert read_headers(raw) is None


@pytest.mark.parametrize(
    ("lines", "rest"),
    [
        (b"", {}),
        (b"\r\n", {}),
        (b"Content-Type: a/b\r\nEg-Origin:  http \r\n\r\n",
         {"Content-Type": "a/b", "Eg-Origin": "http"}),
        (b"ce-id: 1\r\nce-id: 2\r\n\r\n", {"ce-id": "2", "Eg-Repeated": "ce-id"}),
        (b"Nats-Msg-Id: other\r\n\r\n", {"Nats-Msg-Id": "other"}),
        (b"a: %b\r\n\r\n" % (b"x" * 200), {"a": "x" * 200}),
    ],
)  # fmt: skip
def test_lines_behind_an_id_are_read_alike_the_first_and_the_second_time(
    lines: bytes, rest: dict[str, str]
) -> None:
    first = parse_headers(b"Nats-Msg-Id: one\r\n" + lines)
    assert first == {"Nats-Msg-Id": "one"} | rest
    first["changed"] = "by who has it"
    assert parse_headers(b"Nats-Msg-Id: \xff\r\n" + lines) == {"Nats-Msg-Id": "\ufffd"} | rest


def test_the_installed_version_of_the_client_is_a_tested_one() -> None:
    client = NatsClient(NatsLogin())
    assert type(client._ps) is MessageParser, f"run all tests with {__version__}, then add it"


@pytest.mark.parametrize("version", ["2.11.0", "2.17.1", "3.0.0", "0.0.0"])
async def test_in_another_version_the_client_s_own_parser_gives_and_counts_the_same(
    version: str,
) -> None:
    counts = []
    for made_for in (version, __version__):
        client = NatsClient(NatsLogin())
        parser = client._ps = parser_for(client, made_for)
        assert isinstance(parser, MessageParser) == (made_for == __version__)
        got: list[Any] = []
        client.takes[2] = lambda *message: got.append(message)  # noqa: B023 - called in this turn
        client.raw_takes[4] = lambda *message: got.append(message)  # noqa: B023
        for sid in (2, 4, 6):  # the last one is nobody's
            sent = _message("a.b", sid, "r", True, b"data")
            await parser.parse(sent[:9])
            await parser.parse(sent[9:])
        assert got == [
            (b"a.b", b"r", b"data", {"a": "b"}), (b"a.b", b"r", b"data", _HEADERS),
        ]  # fmt: skip
        counts.append((client.stats["in_msgs"], client.stats["in_bytes"]))
    assert counts == [(3, 12), (3, 12)]


async def test_a_large_message_in_many_pieces_is_joined_once() -> None:
    """Not once for each piece: that would take a time that grows with the square of its size."""
    payload = bytes(range(256)) * 4096
    text = _message("a.b", 1, "", False, payload)
    client = _Client()
    parser = MessageParser(client)
    joined = 0

    class _Counting(bytearray):
        def __bytes__(self) -> bytes:
            nonlocal joined
            joined += 1
            return bytes(bytearray(self))

    await parser.parse(text[:100])
    parser._rest = _Counting(parser._rest)
    for begin in range(100, len(text), 100):
        await parser.parse(text[begin : begin + 100])
    assert [message[3] for message in client.got] == [payload]
    assert joined == 1
