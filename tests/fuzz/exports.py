"""Lines of exports of compliance streams, which may come from anybody."""

import contextlib
import json
import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.compliance.chain import StoredMessage
from event_gateway.core.compliance.export import MessageLine, decode_line, message_line
from event_gateway.core.compliance.packed_export import (
    Pieces,
    PieceTooLarge,
    packed_line,
    packed_messages,
)
from event_gateway.core.compliance.verification import ChainVerification
from fuzz.pieces import bytes_of
from support.exports import NOW, lines_of, message

_RNG = random.Random(29)
_MESSAGES = [message(seq, _RNG) for seq in range(1, 25)]
_LINES = lines_of(_MESSAGES)
_PIECES = [
    *(key.encode() for line in _LINES for key in (f'"{name}":' for name in json.loads(line))),
    *_LINES[:12], b"{", b"}", b",", b'"', b"null", b"-1", b"1e9", b"18446744073709551616",
    b'"type":"message"', b'"type":"record"', b'"type":"anchor"', b'"type":"begin"',
    b'"type":"end"', b'"type":"stamp"', b'"digests":"AA=="', b'"previous":"zz"',
    b"\\ud800", b"\xff",
]  # fmt: skip
_any_line = bytes_of(_PIECES)


@given(st.lists(st.tuples(st.integers(0, len(_LINES) - 1), _any_line), min_size=1, max_size=4))
def any_lines(replaced: list[tuple[int, bytes]]) -> None:
    """Whatever stands in a line, a verification goes on to its end, and tells what it found."""
    lines = list(_LINES)
    for at, line in replaced:
        lines[at] = line
    report = _verified(lines)
    assert (report["problem_count"] == 0) == (
        [_read(line) for line in lines] == [_read(line) for line in _LINES]
    ), report


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40),
       st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))  # fmt: skip
def any_message(subject: bytes, headers: bytes, data: bytes, seq: int, time: int) -> None:
    """A message comes out of its line byte by byte."""
    stored = StoredMessage(seq, time, subject, headers, data)
    decoded = decode_line(message_line(stored))
    assert isinstance(decoded, MessageLine)
    assert decoded.message() == stored


@given(st.lists(st.one_of(
    st.binary(max_size=60),
    st.sampled_from([packed_messages([each]) for each in _MESSAGES]),
    st.sampled_from([packed_line(line) for line in _LINES]),
), max_size=12), st.integers(1, 50))  # fmt: skip
def any_pieces(parts: list[bytes], size: int) -> None:
    """Whatever comes in place of an export in the compact form, a verification goes on to its end,
    and it does not matter in which blocks it arrives."""
    packed = b"".join(parts)
    blocks = [packed[at : at + size] for at in range(0, len(packed), size)]
    once, many = _pieces([packed]), _pieces(blocks)
    assert once == many
    check = ChainVerification(now=NOW)
    for piece in once:
        check.add_piece(piece)
    check.finish()


def _pieces(blocks: list[bytes]) -> list[bytes]:
    """The pieces, up to the first one that is too large."""
    pieces, read = Pieces(), []
    with contextlib.suppress(PieceTooLarge):
        for block in blocks:
            for piece in pieces.add(block):
                read.append(piece)
    return read


def _verified(lines: list[bytes]) -> dict[str, object]:
    check = ChainVerification(now=NOW)
    for line in lines:
        check.add(line)
    return check.finish()


def _read(line: bytes) -> object:
    try:
        return decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line
