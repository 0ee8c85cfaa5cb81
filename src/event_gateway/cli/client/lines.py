"""Answers that a command reads line by line as they arrive: exports, and event streams."""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from event_gateway.cli.client.failures import refused, unreachable
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.place_options import place
from event_gateway.cli.client.requests import find_gateway, with_query
from event_gateway.core.compliance.packed_export import (
    LINE,
    MAX_PIECE,
    MEDIA_TYPE,
    Pieces,
    PieceTooLarge,
)

# Seconds without a byte, after which the connection counts as lost; the gateway sends a comment on
# an event stream every 15 s.
TIMEOUT = 40.0
MAX_PROBLEM = 65_536  # bytes of an error answer
BLOCK = 256 * 1024  # bytes that are read at a time, at most


class Interrupted(Exception):
    """The connection was lost, or could not be made; the text says why."""


def read_lines(
    url: str | None, key: str | None, path: str, headers: dict[str, str], **query: str | None
) -> Iterator[bytes]:
    """The lines of an answer, without their ends. ``url`` and ``key`` as :func:`find_gateway` takes
    them.

    An error answer ends the command. Raises Interrupted if the answer is not complete, and where
    the gateway cannot be reached or is not ready.
    """
    with _answer(url, key, path, headers, query) as answer:
        yield from _lines(answer)


def read_export(url: str | None, key: str | None, path: str) -> Iterator[bytes]:
    """The pieces of an export of a compliance stream in the compact form. A gateway that does not
    know it sends lines. As :func:`read_lines`."""
    with _answer(url, key, path, {"Accept": MEDIA_TYPE}, {}) as answer:
        if answer.headers.get_content_type() != MEDIA_TYPE:
            for line in _lines(answer):
                yield LINE + line
            return
        pieces = Pieces()
        try:
            for block in _blocks(answer):
                yield from pieces.add(block)
        except PieceTooLarge as error:
            raise Interrupted(str(error)) from None


@contextlib.contextmanager
def _answer(
    url: str | None,
    key: str | None,
    path: str,
    headers: dict[str, str],
    query: Mapping[str, str | None],
) -> Iterator[http.client.HTTPResponse]:
    base, key, tls = find_gateway(url, key)
    parts = urlsplit(base)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPConnection(host, port, timeout=TIMEOUT) if tls is None
        else http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=tls)
    )  # fmt: skip
    target = parts.path.rstrip("/") + with_query(path, query)
    try:
        connection.request("GET", target, headers={"Authorization": f"Bearer {key}", **headers})
        answer = connection.getresponse()
        if answer.status in (429, 503):
            raise Interrupted(_detail(answer))
        if answer.status != 200:
            fail(_detail(answer))
        yield answer
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(
            unreachable(f"{base}: {str(error) or type(error).__name__}", place())
        ) from None
    finally:
        connection.close()


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The lines as they arrive. ``readline`` costs 10 us each where an answer is chunked."""
    parts: list[bytes] = []  # of a line that is not complete
    size = 0  # of these
    for block in _blocks(answer):
        complete, end, rest = block.rpartition(b"\n")
        if not end:
            parts.append(block)
            size += len(block)
            if size > MAX_PIECE:
                raise Interrupted(f"it has a line of over {MAX_PIECE:,} bytes")
            continue
        for line in b"".join((*parts, complete)).split(b"\n"):
            yield line.removesuffix(b"\r")
        parts, size = [rest] if rest else [], len(rest)
    if parts:
        yield b"".join(parts).rstrip(b"\r")


def _blocks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := answer.read1(BLOCK):
        yield block
    # http.client ends an answer that was cut off without an error in some cases.
    if answer.length or (answer.chunked and answer.chunk_left is not None):
        raise Interrupted("the answer is not complete")


def _detail(answer: http.client.HTTPResponse) -> str:
    try:
        content = json.loads(answer.read(MAX_PROBLEM))
    except ValueError:
        content = None
    return refused(answer.status, content, place())
