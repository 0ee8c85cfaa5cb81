"""What a reverse proxy says of a client: ``Forwarded``, ``X-Forwarded-For``, ``-Proto``.

Proxies append to what they receive, and the client can send whatever it likes. So elements are read
from the right, for as long as each was written by a proxy that is trusted.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from event_gateway.core.text.addresses import Address, read_node

Header = tuple[bytes, bytes]
AddressHeader = Literal["x-forwarded-for", "forwarded"]

MAX_HOPS = 32  # elements that are read
MAX_READ = 16 * 1024  # characters that are read of a header
MALFORMED = ";"  # an element that has no meaning in any of the headers
_SCHEMES = ("http", "https")
_PAIR = re.compile(
    r'[ \t]*([A-Za-z0-9_-]+)=(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^;"]*))(?:;|\Z)', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)")


class Client(NamedTuple):
    """Who sends a request: the address, and the scheme by which it reached the first proxy."""

    address: str
    scheme: str


class _Hop(NamedTuple):
    """What a proxy says of who connected to it; None and empty for what it does not say."""

    address: Address | None
    scheme: str


def client_behind(
    peer: Client, headers: Iterable[Header], header: AddressHeader, trusts: Callable[[str], bool]
) -> Client:
    """The client on whose behalf ``peer``, a proxy that is trusted, sends a request.

    It is the last address that no trusted proxy has. Where a proxy names none (``unknown``, an
    obfuscated identifier, garbage), it is the address of that proxy. Only the configured header is
    read: the proxies may pass the other one on as the client has sent it.
    """
    client = peer
    for hop in _hops(headers, header):
        if hop.address is None:
            break
        client = Client(str(hop.address), hop.scheme or client.scheme)
        if not trusts(client.address):
            break
    return client


def _hops(headers: Iterable[Header], header: AddressHeader) -> Iterator[_Hop]:
    """The hops, the last one first."""
    if header == "forwarded":
        for element in islice(elements(_lines(headers, b"forwarded")), MAX_HOPS):
            yield _hop(element)
        return
    headers = list(headers)
    schemes = next(elements(_lines(headers, b"x-forwarded-proto")), "").lower()
    scheme = schemes if schemes in _SCHEMES else ""
    for text in islice(elements(_lines(headers, b"x-forwarded-for")), MAX_HOPS):
        yield _Hop(read_node(text), scheme)


def _lines(headers: Iterable[Header], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def elements(lines: Sequence[str]) -> Iterator[str]:
    """The elements of a list in a header, the last one first. A comma in quotes does not divide. An
    element that is not well-formed spoils none that was appended after it. No more than MAX_READ
    characters are read in all; MALFORMED stands for what goes beyond."""
    left = MAX_READ
    for line in reversed(lines):
        end = len(line)
        while end >= 0:
            least = max(-1, end - left)
            begin = _last_comma(line, end, least)
            if begin == least >= 0:
                yield MALFORMED
                return
            left -= end - begin
            text = line[begin + 1 : end].strip(" \t")
            if text:
                yield text
            end = begin


def _last_comma(line: str, end: int, least: int) -> int:
    """The last comma between ``least`` and ``end`` that is not in quotes; ``least`` if there is
    none."""
    if line.find('"', least + 1, end) < 0:
        return max(line.rfind(",", least + 1, end), least)
    quoted = False
    for at in range(end - 1, least, -1):
        character = line[at]
        if character == '"':
            backslashes = at
            while backslashes and line[backslashes - 1] == "\\":
                backslashes -= 1
            if (at - backslashes) % 2 == 0:  # else it is a character of a quoted text
                quoted = not quoted
        elif character == "," and not quoted:
            return at
    return least


def pairs(element: str) -> list[tuple[str, str]]:
    """The parameters of an element, ``name=value`` with semicolons between them: names in lower
    case, values without their quotes, but with the escapes in them. Raises ValueError."""
    found = []
    at = 0
    while at < len(element):
        match = _PAIR.match(element, at)
        if match is None:
            raise ValueError("is not a list of name=value")
        name, quoted, token = match.groups()
        found.append((name.lower(), token.strip(" \t") if quoted is None else quoted))
        at = match.end()
    return found


def _hop(element: str) -> _Hop:
    """An element of ``Forwarded`` (RFC 7239, 4)."""
    try:
        found = dict(pairs(element))
    except ValueError:
        return _Hop(None, "")
    scheme = found.get("proto", "").lower()
    node = _ESCAPED.sub(r"\1", found.get("for", ""))
    return _Hop(read_node(node), scheme if scheme in _SCHEMES else "")
