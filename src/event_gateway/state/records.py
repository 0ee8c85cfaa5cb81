"""The records of deliveries, as they are stored in Redis."""

import hashlib
from functools import lru_cache

import msgspec

from event_gateway.core.text.times import parse_time
from event_gateway.core.webhook.delivery import Attempt, Status

FORMAT = 3  # format of the records; a record of a newer format is neither read nor written
RESTORING = b"restoring"  # instead of the format: a restoration has not ended
MAX_MEMBER = 512  # characters up to which an id is its own member
MEMBER_PREFIX = 64  # characters of a longer id that begin its member
MAX_RESPONSES = 5  # the latest attempts of a delivery whose responses are stored

_encode = msgspec.json.Encoder().encode
_decode_log = msgspec.json.Decoder(list[Attempt])


class _Response(msgspec.Struct, omit_defaults=True):
    """The receiver's response to an attempt. Only the latest responses are stored."""

    number: int
    response: str | None = None
    response_headers: dict[str, str] | None = None


_decode_responses = msgspec.json.Decoder(list[_Response])


class Record(msgspec.Struct):
    """The record of a delivery; times in seconds since the epoch.

    ``run_by`` names what started its run: ``retry``, or a replay (empty: the router).
    ``dead_letter`` is the position of its latest dead letter (0: none).
    """

    webhook_id: str
    event_id: str
    source: str
    status: Status
    updated_at: float
    attempts: list[Attempt]
    last_error: str | None
    next_attempt_at: float | None
    stream: str
    seq: int
    run: int
    run_by: str
    dead_letter: int


def member_of(event_id: str) -> str:
    """The name of an event's delivery in keys, queues and lists, made from the event's id.

    It is the id itself, or, for an id of more than MAX_MEMBER characters, the beginning of the id
    and a digest. A member is its own member.
    """
    if len(event_id) <= MAX_MEMBER:
        return event_id
    return f"{event_id[:MEMBER_PREFIX]}~~{hashlib.sha256(event_id.encode()).hexdigest()}"


@lru_cache(maxsize=4096)
def source_hash(source: str) -> str:
    """A hash of the source, which tells events with the same id from different sources apart."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def changed_at(timestamp: bytes) -> float:
    """The ``timestamp`` of a record as Unix time. In the formats 1 and 2 it is in ms."""
    if timestamp.isdigit():
        return int(timestamp) / 1000
    return parse_time(timestamp.decode())


def attempts_of(log: bytes, responses: bytes) -> list[Attempt]:
    """Decodes the attempts of a record, with the stored responses of the receiver."""
    attempts = _decode_log.decode(log) if log else []
    for stored in _decode_responses.decode(responses) if responses else []:
        if 0 < stored.number <= len(attempts):
            attempts[stored.number - 1] = msgspec.structs.replace(
                attempts[stored.number - 1],
                response=stored.response,
                response_headers=stored.response_headers,
            )
    return attempts


def log_of(attempts: list[Attempt]) -> str:
    """Encodes the attempts of a record, without the responses."""
    if not attempts:
        return ""
    for attempt in attempts:
        if attempt.response or attempt.response_headers:
            attempts = [
                msgspec.structs.replace(attempt, response=None, response_headers=None)
                for attempt in attempts
            ]
            break
    return _encode(attempts).decode()


def responses_of(attempts: list[Attempt]) -> str:
    """Encodes the responses to the latest attempts, which are stored beside the record."""
    if len(attempts) == 1 and attempts[0].error_type is None:
        return ""  # nearly all: the first attempt has succeeded, of which no response is stored
    responses = [
        _Response(attempt.number, attempt.response, attempt.response_headers)
        for attempt in attempts[-MAX_RESPONSES:]
        if attempt.response or attempt.response_headers
    ]
    return _encode(responses).decode() if responses else ""
