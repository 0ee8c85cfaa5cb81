"""The lines of an export: each a JSON object whose ``type`` says what it is.

The order: ``begin``; the last anchor before the messages that are left, if there is one; then each
record of the chain, followed by its messages and by the anchors and stamps behind it; then the
messages that have no record yet; and ``end``. Records, anchors and stamps stand in the export byte
by byte as they are stored.
"""

from typing import Annotated

import msgspec

from event_gateway.core.compliance.anchor import Anchor, Stamp
from event_gateway.core.compliance.chain import ChainRecord, StoredMessage

VERSION = 1
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Begin(msgspec.Struct, frozen=True, tag="begin", kw_only=True):
    """What is exported: the messages ``first`` to ``last`` that the stream has left, under its
    limits (seconds, messages, bytes; None: no limit). ``held_since``: when its oldest legal hold
    was placed, which suspends them; empty if there is none. Times as in RFC 3339."""

    version: int = VERSION
    stream: str
    first: int
    last: int
    retention: float | None = None
    max_messages: int | None = None
    max_bytes: int | None = None
    held_since: str = ""
    exported_at: str = ""


class MessageLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="message"):
    """A message. What is not UTF-8 stands in base64 under the name with ``_base64``."""

    seq: Number
    time: Number
    subject: str = ""
    headers: str = ""
    data: str = ""
    subject_base64: bytes = b""
    headers_base64: bytes = b""
    data_base64: bytes = b""

    def message(self) -> StoredMessage:
        """The message, byte by byte. Raises ValueError if it has a part twice: what a reader takes
        for the message must be what was verified."""
        if (
            (self.data and self.data_base64)
            or (self.headers and self.headers_base64)
            or (self.subject and self.subject_base64)
        ):
            raise ValueError("a part of the message is there twice")
        return StoredMessage(
            self.seq,
            self.time,
            self.subject_base64 or self.subject.encode(),
            self.headers_base64 or self.headers.encode(),
            self.data_base64 or self.data.encode(),
        )


class End(msgspec.Struct, frozen=True, tag="end"):
    """The export is complete. ``messages``, ``records``: how many it has of each."""

    messages: int
    records: int


ChainEntry = ChainRecord | Anchor | Stamp
Line = Begin | ChainRecord | Anchor | Stamp | MessageLine | End

encode = msgspec.json.Encoder().encode
decode_line = msgspec.json.Decoder(Line).decode
decode_entry = msgspec.json.Decoder(ChainEntry).decode


def message_line(message: StoredMessage) -> bytes:
    """The line of a message, without its line break."""
    subject, headers, data = message.subject, message.headers, message.data
    try:
        return encode(
            MessageLine(message.seq, message.time, subject.decode(), headers.decode(),
                        data.decode())
        )  # fmt: skip
    except UnicodeDecodeError:
        return encode(_with_bytes(message.seq, message.time, subject, headers, data))


def _with_bytes(seq: int, time: int, subject: bytes, headers: bytes, data: bytes) -> MessageLine:
    members: dict[str, str | bytes] = {}
    for name, value in (("subject", subject), ("headers", headers), ("data", data)):
        try:
            members[name] = value.decode()
        except UnicodeDecodeError:
            members[f"{name}_base64"] = value
    return MessageLine(seq, time, **members)  # type: ignore[arg-type]
