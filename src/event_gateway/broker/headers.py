"""Parses the headers of NATS messages."""

from functools import lru_cache

from event_gateway.core.cloudevents.nats_message import REPEATED_HEADER

_VERSION = b"NATS/1.0"
MAX_NAMES, MAX_NAME = 1024, 64  # names that are remembered, and bytes of the longest of them
_names: dict[bytes, str | None] = {}
_ID = b"Nats-Msg-Id: "
MAX_REPEATED = 128  # bytes of header lines whose values are remembered, too


def parse_headers(raw: bytes) -> dict[str, str]:
    """Parses header lines into names and values; bytes that are not UTF-8 become U+FFFD.

    The lines behind an id that comes first are the same in all messages of one publisher, the
    gateway's own among them: they are remembered.

    This function replaces the client's own parser. Like that parser it returns the last of several
    values of a name. If the name is one that an event must not have twice (CloudEvents NATS
    binding, 3.1), it also sets REPEATED_HEADER, which
    :func:`~event_gateway.core.cloudevents.nats_message.from_message` checks.
    """
    if raw.startswith(_ID):
        line, _, others = raw.partition(b"\r\n")
        if len(others) <= MAX_REPEATED:
            return {"Nats-Msg-Id": _text(line[len(_ID) :])} | _repeated(others)
    return _parsed(raw)


@lru_cache(maxsize=256)
def _repeated(lines: bytes) -> dict[str, str]:
    return _parsed(lines)


def _parsed(raw: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in raw.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        key = _names[name] if name in _names else _name_of(name)
        if key is None:
            continue
        if key in headers and key.lower().startswith(("ce-", "content-type")):
            headers[REPEATED_HEADER] = key.lower()
        headers[key] = _text(value)
    return headers


def _text(value: bytes) -> str:
    return value.strip().decode("utf-8", "replace")


def _name_of(name: bytes) -> str | None:
    """The name of a header, as it stands before the colon; None if it is none. Publishers use few
    names, in each message."""
    key: str | None = name.strip().decode("ascii", "replace")
    if key is not None and (not key.isascii() or any(character.isspace() for character in key)):
        key = None
    if len(_names) < MAX_NAMES and len(name) <= MAX_NAME:
        _names[name] = key
    return key


def read_headers(raw: bytes) -> dict[str, str] | None:
    """The headers of a message, as the client reads them: with the status and its description if it
    is a message of the server itself, such as ``NATS/1.0 503``. None if there are none."""
    line, _, lines = raw.partition(b"\r\n")
    headers: dict[str, str] = {}
    if line != _VERSION:
        status, _, description = line.removeprefix(_VERSION).strip().partition(b" ")
        if status.isdigit():
            headers["Status"] = status.decode()
            if description:
                headers["Description"] = description.decode("utf-8", "replace")
    if len(lines) > 2:  # more than the empty line
        headers.update(parse_headers(lines))
    return headers or None
