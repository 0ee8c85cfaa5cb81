"""The records of deliveries, as they are kept in Redis."""

import hashlib
from functools import lru_cache

import msgspec

from event_gateway.core.webhook.delivery import Attempt, Status

FORMAT = 2  # of the records; those of a newer one are left alone
MAX_MEMBER = 512  # characters of an id that is used as it is
MEMBER_BEGINS = 64  # characters of one that is not
MAX_ANSWERS = 5  # attempts of a delivery, the latest, of which the response is kept

_encode = msgspec.json.Encoder().encode
_decode_log = msgspec.json.Decoder(list[Attempt])


class _Answer(msgspec.Struct, omit_defaults=True):
    """What a receiver said to one attempt; kept apart, as only the latest are kept."""

    number: int
    response: str | None = None
    response_headers: dict[str, str] | None = None


_decode_answers = msgspec.json.Decoder(list[_Answer])


class Record(msgspec.Struct):
    """A delivery as the ledger has it; times in seconds since the epoch.

    ``repeats`` names what asked for it to be delivered again, ``letter`` is the place of its latest
    dead letter (0: none).
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
    repeats: str
    letter: int


def member_of(event_id: str) -> str:
    """What stands for an event's id in keys, queues and lists.

    It is the id itself, unless that is so long that it would fill them, and no URL would hold it:
    then its beginning and a digest. Given what it has answered it answers the same.
    """
    if len(event_id) <= MAX_MEMBER:
        return event_id
    return f"{event_id[:MEMBER_BEGINS]}~~{hashlib.sha256(event_id.encode()).hexdigest()}"


@lru_cache(maxsize=4096)
def source_hash(source: str) -> str:
    """What tells apart events of the same id from different sources, in a key."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def attempts_of(log: bytes, answers: bytes) -> list[Attempt]:
    """The attempts of a record, with what is kept of the receiver's answers to them."""
    attempts = _decode_log.decode(log) if log else []
    for answer in _decode_answers.decode(answers) if answers else []:
        if 0 < answer.number <= len(attempts):
            attempts[answer.number - 1] = msgspec.structs.replace(
                attempts[answer.number - 1],
                response=answer.response,
                response_headers=answer.response_headers,
            )
    return attempts


def log_of(attempts: list[Attempt]) -> str:
    """The log of a record; what receivers said is not in it."""
    if not attempts:
        return ""
    for one in attempts:
        if one.response or one.response_headers:
            attempts = [
                msgspec.structs.replace(one, response=None, response_headers=None)
                for one in attempts
            ]
            break
    return _encode(attempts).decode()


def responses_of(attempts: list[Attempt]) -> str:
    """What receivers responded to the latest attempts, as it is stored apart from the record."""
    answers = [
        _Answer(one.number, one.response, one.response_headers)
        for one in attempts[-MAX_ANSWERS:]
        if one.response or one.response_headers
    ]
    return _encode(answers).decode() if answers else ""
