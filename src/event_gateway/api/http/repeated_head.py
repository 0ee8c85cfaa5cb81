"""Recognizes a request whose head is that of the request before on its connection.

Clients that keep a connection send the same bytes again and again, but for the length of the body.
To parse and check them again costs a fifth of taking an event in.
"""

from dataclasses import replace

from event_gateway.api.http.head import Head

MAX_HEAD = 2048  # bytes that are kept for each connection
MAX_LEARNED = 4  # heads of a connection: a client whose heads all differ is not worth the attempt
_LENGTH = b"\r\ncontent-length:"
_MAX_DIGITS = 10
_END = b"\r\n\r\n"


class RepeatedHead:
    """The head of one connection that was parsed last, around the digits of its length."""

    __slots__ = ("_after", "_before", "_head", "_learned", "_place")

    def __init__(self) -> None:
        self._before = self._after = b""
        self._head: Head | None = None
        self._place = 0  # of the length among the headers
        self._learned = 0

    def learn(self, request: bytes, head: Head) -> None:
        """Notes the head of a request that was parsed and accepted; ``request`` are all its bytes
        and no others."""
        if self._learned >= MAX_LEARNED or head.length is None or head.expects_continue:
            return
        self._learned += 1
        self._head = None
        end = len(request) - head.length
        first = request[:end]
        lengths = first.lower().count(_LENGTH)
        # The parser may take a line that ends without a carriage return: then the end of the head
        # is not where it seems to be.
        plain = first.count(b"\n") == first.count(b"\r\n") and request.find(_END) + len(_END) == end
        if not plain or lengths != 1 or len(first) > MAX_HEAD:
            return
        begin = first.lower().index(_LENGTH) + len(_LENGTH)
        stop = first.index(b"\r", begin)
        digits = first[begin:stop].lstrip(b" ")
        if digits != b"%d" % head.length:
            return
        self._before, self._after = first[: stop - len(digits)], first[stop:]
        self._head = head
        self._place = next(
            place for place, (name, _) in enumerate(head.headers) if name == b"content-length"
        )

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body of a request that begins as the one before, if ``data`` is the
        whole of it and no more; else None, and the parser has to look at it."""
        head = self._head
        if head is None or not data.startswith(self._before):
            return None
        begin = len(self._before)
        stop = data.find(b"\r", begin, begin + _MAX_DIGITS + 1)
        digits = data[begin:stop]
        if not digits.isdigit() or not data.startswith(self._after, stop):
            return None
        at, length = stop + len(self._after), int(digits)
        if length != len(data) - at:
            return None
        if length != head.length:
            headers = head.headers.copy()
            headers[self._place] = (b"content-length", digits)
            head = self._head = replace(head, length=length, headers=headers)
        return head, data[at:]
