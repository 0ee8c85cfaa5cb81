"""Input of which no event could be made: set aside as it came, with the reason."""

import contextlib
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

import msgspec
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.provision import REJECTED
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import EVENTS

FORMAT = "1"
MAX_HEADERS = 65_535  # bytes that JetStream takes
MAX_COPIED = MAX_HEADERS - 8192  # of them for those that the input came with
_HEADER = "Eg-Header-"  # before the name of each header that the input came with
_MESSAGE_ID = "Nats-Msg-Id"
_CUT = "Eg-Cut"  # where it was too large to be kept whole, or its headers: the bytes of its body
# What the client writes as a header's name; it refuses a message with others.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNAVAILABLE = (*BrokerError, APIError)


class Rejected(msgspec.Struct, frozen=True):
    """One input that was set aside. ``time`` in seconds since the epoch; ``body`` as it came.

    ``stream`` and ``origin_seq`` are its place in the log, ``seq`` that among the rejected.
    ``cut``: it was too large to be kept whole, and had a body of so many bytes.
    ``path`` is where its data did not hold to a schema; None where it was set aside for something
    else.
    """

    seq: int
    time: float
    reason: str
    detail: str
    subject: str
    stream: str
    origin_seq: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None
    path: str | None = None


class NotCaptured(Exception):
    """No stream captures the subject on which the input came."""


class RejectedInput:
    """The stream of what was set aside."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def keep(self, stream: str, pulled: Pulled, error: InvalidEvent) -> None:
        """Sets a message of a stream aside. Raises LogUnavailable where that is not confirmed."""
        headers = {
            "Eg-Rejected-Format": FORMAT,
            "Eg-Reason": error.reason,
            "Eg-Detail": error.detail[:1000].encode("ascii", "replace").decode(),
            "Eg-Subject": pulled.subject,
            "Eg-Stream": stream,
            "Eg-Sequence": str(pulled.seq),
            _MESSAGE_ID: f"{stream}:{pulled.seq}",  # set aside again after a crash, it is kept once
        }
        if error.path is not None:
            headers["Eg-Path"] = quote(error.path, safe="/~!$&'()*+,;=:@")
        # Whatever came in must fit in again, or the router would never be done with it.
        copied, whole = _copied(pulled.headers or {})
        headers |= copied
        body = pulled.data[: self._broker.nc.max_payload - MAX_HEADERS]
        if len(body) < len(pulled.data) or not whole:
            headers[_CUT] = str(len(pulled.data))
        try:
            await self._broker.js.publish(
                f"eg.rejected.{error.reason}", body, stream=REJECTED, headers=headers
            )
        except (*_UNAVAILABLE, NoStreamResponseError) as failure:
            raise LogUnavailable(str(failure) or type(failure).__name__) from None

    async def page(self, from_seq: int, limit: int) -> tuple[list[Rejected], bool]:
        """What was set aside, the oldest first, from a sequence on, and whether there is more.

        Raises LogUnavailable.
        """
        try:
            found = await read_page(self._broker, REJECTED, from_seq=from_seq, limit=limit)
        except _UNAVAILABLE as error:
            raise LogUnavailable(str(error) or type(error).__name__) from None
        return [_rejected(one) for one in found.messages], found.behind > 0

    async def retry(self, seq: int, admit: Callable[[Event], None]) -> int:
        """Takes it in again as it came; gives its new sequence in the log. ``admit`` raises
        InvalidEvent where the event is none that may come in.

        Raises KeyError where there is none, InvalidEvent where it still is no event (it stays set
        aside then), NotCaptured, and LogUnavailable.
        """
        found, _ = await self.page(seq, 1)
        if not found or found[0].seq != seq:
            raise KeyError(seq)
        kept = found[0]
        if kept.cut is not None:
            raise InvalidEvent("malformed", "it was too large to be kept whole")
        received = from_message(
            kept.headers, kept.body, subject=kept.subject, stream=kept.stream, seq=kept.origin_seq,
            time=kept.time,
        )  # fmt: skip
        admit(received.event)
        # Under its former id the log would drop it as the message that it has already. The new one
        # makes two who retry at the same time take it in once.
        headers = {k: v for k, v in kept.headers.items() if k.lower() != _MESSAGE_ID.lower()}
        headers[_MESSAGE_ID] = f"rejected:{seq}"
        try:
            ack = await self._broker.js.publish(kept.subject, kept.body, headers=headers)
            with contextlib.suppress(APIError):  # somebody else has just done the same
                await self._broker.js.delete_msg(REJECTED, seq)
        except NoStreamResponseError:
            raise NotCaptured(f"nothing captures {kept.subject} any more") from None
        except _UNAVAILABLE as error:
            raise LogUnavailable(str(error) or type(error).__name__) from None
        return ack.seq


def _copied(headers: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """The headers that the input came with, as they are kept, and whether these are all."""
    copied: dict[str, str] = {}
    size = 0
    for name, value in headers.items():
        size += len(_HEADER) + len(name) + len(value.encode()) + 4
        if size > MAX_COPIED:
            return copied, False
        if _TOKEN.fullmatch(name):
            copied[f"{_HEADER}{name}"] = value
    return copied, True


def _rejected(pulled: Pulled) -> Rejected:
    headers = dict(pulled.headers or {})
    return Rejected(
        seq=pulled.seq,
        time=pulled.time,
        reason=headers.get("Eg-Reason", "unknown"),
        detail=headers.get("Eg-Detail", ""),
        subject=headers.get("Eg-Subject", ""),
        stream=headers.get("Eg-Stream", EVENTS),
        origin_seq=int(headers.get("Eg-Sequence", "0")),
        headers={
            name.removeprefix(_HEADER): value
            for name, value in headers.items()
            if name.startswith(_HEADER)
        },
        body=pulled.data,
        cut=int(headers[_CUT]) if _CUT in headers else None,
        path=None if (path := headers.get("Eg-Path")) is None else unquote(path),
    )
