"""The answer where no event of an id is found: what was searched, and what else it may be."""

from typing import Any

from event_gateway.api.server.problems import Problem
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.rejected import RejectedInput
from event_gateway.core.access.narrowing import is_narrowed, may_read_type
from event_gateway.core.access.principal import Principal
from event_gateway.core.cloudevents.type_subject import subject_of
from event_gateway.core.matching.pattern import matches
from event_gateway.core.text.times import rfc3339
from event_gateway.lookup.finder import Searched

MAX_REJECTED = 2000  # latest rejected messages that are searched for the id
MAX_SHOWN = 3  # rejected messages in the answer


async def not_found(
    caller: Principal,
    log: EventLog,
    rejected: RejectedInput,
    searched: Searched,
    *,
    event_id: str,
    source: str | None,
    event_type: str | None,
) -> Problem:
    """404 for an event. Raises LogUnavailable."""
    of_source = "" if source is None else f" of the source {source}"
    details = [f"there is no event {event_id[:200]}{of_source} in the log"]
    narrowed = is_narrowed(caller)  # how many events others have is not for its eyes
    members: dict[str, Any] = {
        "searched": [state.shown(sequences=not narrowed) for state in searched.states]
    }
    if searched.near:
        members["near"] = searched.near
        details.append(f"similar ids of recent events: {', '.join(searched.near)}")
    for state in searched.states:
        if state.first_time is not None:
            begins = rfc3339(state.first_time)
            sequence = "" if narrowed else f" (sequence {state.first})"
            details.append(f"{state.stream} begins at {begins}{sequence}")
        else:
            details.append(f"{state.stream} is empty")
    if searched.left_out:
        members["not_searched"] = searched.left_out
        details += [f"not searched: {text}" for text in searched.left_out]
    if event_type is not None and may_read_type(caller, event_type):
        subject = subject_of(event_type)
        if not any(matches(pattern, subject) for pattern in log.all_captured):
            details.append(
                f"no captured subject takes {event_type[:200]}: what is published on that NATS "
                "subject does not come to the gateway; over HTTP it does"
            )
    if caller.is_operator:
        await _rejected(rejected, event_id, details, members)
    if not narrowed:
        members["captured"] = list(log.all_captured)
    return Problem(404, "; ".join(details), **members)


async def _rejected(
    rejected: RejectedInput, event_id: str, details: list[str], members: dict[str, Any]
) -> None:
    """Adds the rejected messages that mention the id."""
    messages, more = await rejected.mentioning(event_id, MAX_REJECTED)
    members["rejected"] = [
        {
            "seq": message.seq, "time": rfc3339(message.time), "reason": message.reason,
            "detail": message.detail, "subject": message.subject, "stream": message.stream,
            "sequence": message.origin_seq,
        }
        for message in messages[:MAX_SHOWN]
    ]  # fmt: skip
    for message in messages[:1]:
        details.append(
            f"a message that mentions it was set aside as rejected ({message.reason}: "
            f"{message.detail[:200]}), see GET /v1/rejected/{message.seq}"
        )
    if more:
        details.append(f"of the rejected messages only the latest {MAX_REJECTED} were searched")
