"""The format of Server-Sent Events (HTML Standard, 9.2.5 and 9.2.6): fields, blocks and comments.

A line ends with CR, LF or both. Only these are line breaks: U+2028 and its like are not.
"""

import re

# The id with which the gateway ends a subscription for good: a browser repeats it when it connects
# again, and the answer is 204, after which it stays away (HTML Standard, 9.2.1).
ENDED = "ended"
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")


def event_block(seq: int, data: bytes) -> bytes:
    """An event: its sequence is the id. ``data`` may have several lines, each gets its field; a
    client joins them with LF."""
    if b"\n" in data or b"\r" in data:
        data = _LINE_BREAK.sub(b"\ndata: ", data)
    return b"id: %d\ndata: %b\n\n" % (seq, data)


def named_block(name: str, data: bytes, event_id: str | None = None) -> bytes:
    """An event with a name. ``data`` must be one line; ``event_id`` is the id, None for none."""
    head = f"event: {name}\n" if event_id is None else f"event: {name}\nid: {event_id}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


def position_block(seq: int, retry: int | None = None) -> bytes:
    """A block without data. A client sets its last event id by it, and dispatches no event.
    ``retry``: ms after which it connects again."""
    head = b"" if retry is None else b"retry: %d\n" % retry
    return b"%bid: %d\n\n" % (head, seq)


def ending(detail: str, retry: int) -> bytes:
    """A whole stream for a client that shall connect again: ``detail`` is a comment, ``retry`` the
    time in ms. It keeps the client's last event id."""
    lines = b"".join(b": %b\n" % line for line in _LINE_BREAK.split(detail.encode()))
    return b"retry: %d\n%b\n" % (retry, lines)


def accepts_event_stream(accept: str) -> bool:
    """Whether a header ``Accept`` names ``text/event-stream``, as every EventSource does. A range
    such as ``*/*`` does not count: the client may be no EventSource."""
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media == "text/event-stream":
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", given) for given in parameters)
    return False
