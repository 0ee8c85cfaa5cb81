"""All streams of JetStream, as it lists them: read again and again, decoded where they changed."""

import json
import re
from typing import Any

import msgspec
from nats.errors import NoRespondersError
from nats.js.api import StreamInfo
from nats.js.errors import APIError, ServiceUnavailableError

from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker
from event_gateway.shared_call import SharedCall

SUBJECT = "$JS.API.STREAM.LIST"
PAGE = 256  # streams in one answer
# When the server looked, the last member of each stream: nothing but this changes in an idle one.
_LOOKED_AT = re.compile(rb',"ts":"[^"]*"\}$')
_LOOKED_AT_EACH = re.compile(rb',"ts":"\d{4}-[0-9T:.-]*Z"\}(?=[,\]])')


class _Page(msgspec.Struct):
    streams: list[msgspec.Raw] | None = None
    error: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Page).decode


class StreamList:
    """Reads the list. The client decodes each stream into new nested objects, which once a second
    was a third of what an idle gateway did; an unchanged stream keeps the object that it had.

    ``read()`` returns the streams by name, the same dictionary where all are as they were. Callers
    that ask at the same time get the same answer. Raises the exceptions in BrokerError, and
    APIError.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._known: dict[bytes, StreamInfo] = {}  # by the server's text, without the time in it
        self._streams: dict[str, StreamInfo] = {}
        self._only_page = b""  # the latest answer without its times, if it held all streams
        self.read = SharedCall(self._read)

    @property
    def is_short(self) -> bool:
        """Whether one answer holds all streams, at the latest look."""
        return len(self._known) < PAGE

    async def _read(self) -> dict[str, StreamInfo]:
        known: dict[bytes, StreamInfo] = {}
        offset = 0
        while True:
            page, text = await self._page(offset)
            if page is None:
                return self._streams
            self._only_page = b""
            for raw in map(bytes, page):
                timeless = _LOOKED_AT.sub(b"}", raw)
                info = self._known.get(timeless)
                known[timeless] = info or StreamInfo.from_response(json.loads(raw))
            offset += len(page)
            if len(page) < PAGE:
                break
        if known.keys() != self._known.keys():
            self._streams = {info.config.name: info for info in known.values() if info.config.name}
        self._known = known
        if offset < PAGE:
            self._only_page = text
        return self._streams

    async def _page(self, offset: int) -> tuple[list[msgspec.Raw] | None, bytes]:
        """A page of the list, and the first one's text without its times; None if the list has one
        page, which is the same as before."""
        request = json.dumps({"offset": offset}).encode()
        try:
            answer = await self._broker.nc.request(SUBJECT, request, timeout=REQUEST_TIMEOUT)
        except NoRespondersError:
            raise ServiceUnavailableError from None
        text = _LOOKED_AT_EACH.sub(b"}", answer.data) if not offset else b""
        if text and text == self._only_page:
            return None, text
        page = _decode(answer.data)
        if page.error is not None:
            raise APIError.from_error(page.error)
        return page.streams or [], text
