"""A connection of the API: uvicorn's, with a bound on what may come before a request's body.

Whoever sends that has not been asked for a key yet.
"""

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Bytes of request line and headers, and one read more. An event in binary mode may have 64 KiB of
# attributes, percent-encoded threefold.
MAX_HEAD = 256 * 1024


class Connection(HttpToolsProtocol):
    """Ends where a request's head is over MAX_HEAD."""

    _in_head = False
    _head = 0

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, which keeps all of a head however long that is."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self.transport.write(_REFUSAL)
                self.transport.close()


def _refusal() -> bytes:
    detail = f"request line and headers are over the limit of {MAX_HEAD} bytes"
    body = json.dumps(
        {"type": "about:blank", "title": "Too large", "status": 431, "detail": detail}
    ).encode()
    return (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
        b"content-type: application/problem+json\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
    )


_REFUSAL = _refusal()
