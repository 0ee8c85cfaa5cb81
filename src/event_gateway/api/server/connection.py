"""A connection of the API: uvicorn's, with a limit on the size of a request's head.

The gateway reads the head before it can check the key.
"""

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Bytes of request line and headers, checked after each read. An event in binary mode may have
# 64 KiB of attributes, and percent-encoding triples them.
MAX_HEAD = 256 * 1024


class Connection(HttpToolsProtocol):
    """Answers 431 and closes if a request's head is over MAX_HEAD."""

    _in_head = False
    _head = 0

    def on_message_begin(self) -> None:
        """Called by the parser at a request's first byte."""
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_headers_complete(self) -> None:
        """Called by the parser once the head is complete."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, which itself buffers a head of any length."""
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
