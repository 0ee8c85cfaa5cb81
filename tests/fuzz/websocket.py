"""Frames and messages of WebSocket clients."""

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from event_gateway.api.live.requests import (
    QUERY,
    read_frame,
    read_parameters,
    read_query,
    read_subscribe,
    ref_of,
)
from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.streaming.refusal import SubscriptionRefused
from fuzz.pieces import bytes_of, complete, cut, cuts
from support.generated_events import json_values
from support.recording_transport import RecordingTransport

LIMIT = 64  # bytes of a message
_HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _frame(first: int, payload: bytes, masked: bool = True) -> bytes:
    """A frame whose mask is zero, so that the payload stays readable."""
    size = bytes([len(payload) | (0x80 if masked else 0)])
    return bytes([first]) + size + (b"\0\0\0\0" if masked else b"") + payload


_frames = bytes_of(
    [_frame(0x81, b'{"action":"ping"}'), _frame(0x01, b"ab"), _frame(0x80, b"cd"),
     _frame(0x00, b"ef"), _frame(0x82, b"\0\1"), _frame(0x89, b"p"), _frame(0x8A, b""),
     _frame(0x88, b""), _frame(0x88, b"\x03\xe8bye"), _frame(0x88, b"\x03"),
     _frame(0x88, b"\x03\xee"), _frame(0x81, b"\xc3"), _frame(0x01, b"\xc3"), _frame(0x80, b"\xa9"),
     _frame(0x81, b"x" * 65), _frame(0x01, b"x" * 60), _frame(0x81, b"a", masked=False),
     _frame(0xC1, b"a"), _frame(0x09, b"a"), _frame(0x83, b""), b"\x81\xfe\0\x01", b"\x81\xfe\xff",
     b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", b"\x81\xff\xff"],
    8,
)  # fmt: skip


class _Session:
    """Notes the messages. Closes when a message says so."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.closings = 0

    def opened(self, socket: WebSocketProtocol) -> None:
        """Keeps the socket."""
        self.socket = socket

    def received(self, message: str | bytes) -> None:
        """Notes a message."""
        assert len(message) <= LIMIT
        assert not self.closings
        self.messages.append(message)

    def drained(self) -> None:
        """Has nothing to send."""

    def closed(self) -> None:
        """Notes the end."""
        self.closings += 1


async def _read(parts: Iterable[bytes], deflate: bool) -> tuple[_Session, RecordingTransport]:
    session, transport = _Session(), RecordingTransport()
    protocol = WebSocketProtocol(
        lambda _request, _peer: (session, None), ServerState(), limit=LIMIT, deflate=deflate
    )
    protocol.connection_made(transport)
    protocol.data_received(_HANDSHAKE)
    assert transport.written.startswith(b"HTTP/1.1 101 ")
    for part in parts:
        if transport.closing:
            break
        protocol.data_received(part)
    protocol.connection_lost(None)
    assert session.closings == 1
    return session, transport


@given(_frames, cuts, st.booleans())
def any_frames(data: bytes, at: list[int], deflate: bool) -> None:
    """The messages do not depend on where the network cuts the bytes; the session ends once."""

    async def both() -> None:
        whole, first = await _read([data] if data else [], deflate)
        parts, second = await _read(cut(data, at), deflate)
        assert whole.messages == parts.messages
        assert first.closing == second.closing

    complete(both())


_members = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["subscribe", "unsubscribe", "ack", "ping", "x", None, 1]),
        "ref": json_values,
        "stream": st.sampled_from(["s", "", None, 1]) | json_values,
        "subjects": st.lists(st.sampled_from(["a.>", "*", "", ">", "a..b"]), max_size=3)
        | json_values,
        "from": st.sampled_from(["new", "first", {"seq": 1}, {"seq": -1}, {"seq": 2**64},
                                 {"time": "2026-01-01T00:00:00Z"}, {"time": "x"}]) | json_values,
        "durable": st.sampled_from(["name", "a b", ""]) | json_values,
        "take_over": st.booleans() | json_values,
        "filters": st.lists(json_values, max_size=2) | json_values,
        "expression": st.sampled_from(["true", "event.data.a > 1", "("]) | json_values,
        "namespaces": json_values,
        "x": json_values,
    },
)  # fmt: skip
_texts = _members.map(json.dumps) | bytes_of(
    [b"{", b"}", b'"action":"ping"', b'"subscribe"', b",", b":", b"[", b"]", b'"ref":1', b"1e999"]
).map(lambda raw: raw.decode("utf-8", "replace"))
_pairs = st.lists(
    st.tuples(
        st.sampled_from([*sorted(QUERY), "x"]),
        st.sampled_from(["new", "first", "1", "s", "a.>", "[]", "{}", "[[", "true", ""])
        | st.text(max_size=6),
    ),
    max_size=5,
)


@given(_texts, _pairs)
def any_message(text: str, parameters: list[tuple[str, str]]) -> None:
    """A message, or a query string, is a request or is refused with a code."""
    try:
        frame = read_frame(text)
        ref_of(frame)
        if frame.get("action") == "subscribe":
            read_subscribe(frame)
    except SubscriptionRefused as refused:
        assert refused.code
        assert refused.detail
    try:
        read_query(read_parameters(parameters, QUERY))
    except SubscriptionRefused as refused:
        assert refused.code
        assert refused.detail
