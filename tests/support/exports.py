"""Exports of compliance streams for tests: made without a gateway, with several records, anchors
and messages that are no text."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from event_gateway.core.compliance.anchor import Anchor, Statement, sign
from event_gateway.core.compliance.chain import (
    ChainRecord,
    StoredMessage,
    digest,
    genesis,
    link,
)
from event_gateway.core.compliance.export import Begin, End, encode, message_line

KEY = "whsk_" + "A" * 42 + "E="
OTHER_KEY = "whsk_" + "B" * 42 + "E="
NAME = "audit"
NOW = 1_800_000_000.0
DAY = 86400.0


def message(seq: int, rng: random.Random, at: float = NOW - 10 * DAY) -> StoredMessage:
    """A message; one in five is no UTF-8, one in four has no headers."""
    data = b'{"id":"%d","type":"audit.events.made","data":{"n":%d}}' % (seq, rng.randrange(10**9))
    if rng.random() < 0.2:
        data += b"\xff\xfe" + rng.randbytes(8)
    headers = b"" if rng.random() < 0.25 else b"NATS/1.0\r\nNats-Msg-Id: m%d\r\n\r\n" % seq
    return StoredMessage(seq, int(at * 1e9) + seq, b"audit.events.made", headers, data)


def lines_of(
    messages: Sequence[StoredMessage],
    *,
    size: int = 7,
    anchor_each: int = 3,
    key: str = KEY,
    left: int = 1,
    retention: float | None = 365 * DAY,
    anchored_at: float = NOW - 5 * DAY,
    **limits: Any,
) -> list[bytes]:
    """The lines of an export: records of ``size`` messages, an anchor after ``anchor_each``
    records. The messages before ``left`` have left the stream. ``limits``: as anchors and the first
    line state them."""
    remaining = [each for each in messages if each.seq >= left]
    first = remaining[0].seq if remaining else messages[-1].seq + 1
    begin = Begin(stream=NAME, first=first, last=messages[-1].seq, retention=retention, **limits)
    lines = [encode(begin)]
    previous, former = genesis(NAME), ""
    records = 0
    for at in range(0, len(messages), size):
        part = messages[at : at + size]
        digests = b"".join(digest(each) for each in part)
        following = link(previous, part[0].seq, digests)
        record = ChainRecord(part[0].seq, part[-1].seq, previous.hex(), following.hex(), digests)
        lines.append(encode(record))
        lines += [message_line(each) for each in part if each.seq >= left]
        previous, records = following, records + 1
        if records % anchor_each == 0:
            made = anchor(part[-1].seq, following, former, key, anchored_at, retention, **limits)
            former = made.digest
            lines.append(encode(made))
    return [*lines, encode(End(len(remaining), records))]


def anchor(
    sequence: int,
    at_link: bytes,
    previous: str,
    key: str,
    at: float,
    retention: float | None,
    **limits: Any,
) -> Anchor:
    """An anchor at a time, in seconds since the epoch."""
    time, first_time = (
        datetime.fromtimestamp(each, UTC).isoformat().replace("+00:00", "Z")
        for each in (at, at - 5 * DAY)
    )
    statement = Statement(
        NAME, sequence, at_link.hex(), time, 1, first_time, retention, previous, **limits
    )
    return sign(statement, key)
