"""Parses what a NATS server sends, at a third of the cost of the parser of nats-py.

It reads messages. All else that a server sends is one line, and goes to the client's own parser.
A message for a subscription of :meth:`.NatsClient.take` goes straight to the handler of the
subscription, without a coroutine: one read from the socket holds hundreds of messages.

The interface of nats-py's own parser is not documented. So this one replaces it only in versions of
nats-py with which it was tested. In others the client keeps its own parser, which is slower and has
the same results.
"""

import functools
from typing import TYPE_CHECKING

import structlog
from nats.aio.client import __version__
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from event_gateway.broker.headers import read_headers

if TYPE_CHECKING:
    from event_gateway.broker.nats_client import NatsClient

log = structlog.get_logger(__name__)

TESTED = "2.16."  # the versions of nats-py that begin so


def parser_for(client: "NatsClient", version: str = __version__) -> Parser:
    """The parser of a client of this version of nats-py."""
    return MessageParser(client) if _is_tested(version) else Parser(client)


@functools.cache  # so that it is said once: there is a client for each try to connect
def _is_tested(version: str) -> bool:
    tested = version.startswith(TESTED)
    if not tested:
        log.info("the parser of nats-py reads messages", reason=f"{version} is not a tested one")
    return tested


class MessageParser(Parser):
    """Takes what was read from the connection, in pieces of any size."""

    nc: "NatsClient"
    _resets = 0

    def reset(self) -> None:
        """Forgets what has come: the connection is another one."""
        super().reset()
        self._rest = bytearray()  # what has come of something that is not complete
        self._complete = 0  # bytes that it has at least once it is complete
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Gives each message to the client as soon as all of it has come. Raises ProtocolError."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._complete:
                return
            data, self._rest = bytes(self._rest), bytearray()
        resets, at = self._resets, 0
        takes, raw_takes, stats = self.nc.takes, self.nc.raw_takes, self.nc.stats
        while (end := data.find(b"\r\n", at)) >= 0:
            line = data[at:end]
            if not line.startswith((b"MSG ", b"HMSG ")):
                await super().parse(data[at : end + 2])
                at = end + 2
            else:
                # MSG subject sid [reply] size, HMSG subject sid [reply] size-of-headers size. Only
                # blanks are between them: in a subject there may be other white space.
                words = line.split(b" ")
                begin = body = end + 2
                try:
                    sid, stop = int(words[2]), begin + int(words[-1])
                    if line[0] == 72:  # H
                        body += int(words.pop(-2))
                except (ValueError, IndexError):
                    raise ProtocolError("nats: malformed MSG") from None
                if not begin <= body <= stop:
                    raise ProtocolError("nats: malformed MSG")
                if len(data) < stop + 2:
                    self._complete = stop + 2 - at
                    break
                headers = data[begin:body] if body > begin else None
                reply = words[3] if len(words) == 5 else b""
                at = stop + 2
                take, take_raw = takes.get(sid), raw_takes.get(sid)
                if take is not None or take_raw is not None:
                    # As NatsClient.give and give_raw do, without another call for each message.
                    stats["in_msgs"] += 1
                    stats["in_bytes"] += stop - body
                    try:
                        if take is not None:
                            read = read_headers(headers) if headers else None
                            take(words[1], reply, data[body:stop], read)
                        elif take_raw is not None:
                            take_raw(words[1], reply, data[body:stop], headers or b"")
                    except Exception:  # it would end the client
                        self.nc.fault(words[1])
                    continue  # its handler cannot have made another connection
                await self.nc._process_msg(sid, words[1], reply, data[body:stop], headers)
            if self._resets != resets:
                return  # what is left came from the former connection
        else:
            self._complete = 0
        self._rest += data[at:]
