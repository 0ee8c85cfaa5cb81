"""The header ``Idempotency-Key``: a request that is repeated is carried out once.

    async def create_webhook(parts: Parts, …, once: Once, …) -> …:

A route with this parameter takes the header; the guarded route does the rest. The answer of a
request that succeeded is given again for a day. One that was refused changed nothing: its key can
be used again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

import structlog
from fastapi import Depends, Header, Request
from starlette.responses import Response

from event_gateway.api.server import problem_types
from event_gateway.api.server.dependencies import part_of
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.principal import Principal
from event_gateway.state.connection import StateError
from event_gateway.state.idempotent_answers import (
    MAX_KEYS,
    RUNS_FOR,
    Begun,
    IdempotentAnswers,
    KeyReused,
    StillRunning,
    StoredAnswer,
    TooManyKeys,
)

log = structlog.get_logger(__name__)

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
MAX_KEY = 255  # characters
_NOT_KEPT = {"content-length", "x-request-id"}  # of an answer: they belong to one request


class Idempotent:
    """Declares that a route takes the header."""

    async def __call__(
        self,
        idempotency_key: Annotated[
            str | None,
            Header(
                description="Any text that names this request, such as a UUID: repeated within "
                "24 hours, the request gets the same answer, and is carried out "
                "once."
            ),
        ] = None,
    ) -> None:
        """Nothing is left to do when the route runs."""  # fmt: skip


Once = Annotated[None, Depends(Idempotent())]


async def run_once(
    request: Request,
    principal: Principal,
    content: bytes,
    handle: Callable[[], Awaitable[Response]],
) -> Response:
    """The answer of ``handle``, or the one that the same request got before.

    ``content``: the request's body. Raises Problems, and what StateError names before it runs.
    """
    key = _key_of(request)
    if key is None:
        return await handle()
    answers = part_of(request, IdempotentAnswers)
    try:
        begun = await answers.begin(principal.identity, key, _digest(request, content))
    except KeyReused:
        detail = "the Idempotency-Key belongs to an earlier request that differs from this one"
        raise Problem(problem_types.IDEMPOTENCY_KEY_REUSED, detail) from None
    except StillRunning:
        detail = "the first request with this Idempotency-Key has not been answered yet"
        retry = {"Retry-After": "2"}
        raise Problem(problem_types.IDEMPOTENT_REQUEST_RUNS, detail, retry) from None
    except TooManyKeys:
        detail = f"the caller has used {MAX_KEYS} idempotency keys within 24 hours"
        raise Problem(429, detail, {"Retry-After": str(round(RUNS_FOR))}) from None
    if isinstance(begun, StoredAnswer):
        response = Response(begun.body, begun.status, dict(begun.headers))
        response.headers[REPLAYED] = "true"
        return response
    try:
        async with answers.running(begun):
            response = await handle()
    except Exception:
        await _record(answers, begun, None)
        raise
    await _record(answers, begun, response)
    return response


async def _record(answers: IdempotentAnswers, begun: Begun, response: Response | None) -> None:
    """Stores the answer; None: the request was refused. Redis may have gone meanwhile: then the key
    is free again after a minute."""
    try:
        if response is None or response.status_code >= 400:
            await answers.forget(begun)
            return
        kept = [(name, value) for name, value in response.headers.items() if name not in _NOT_KEPT]
        answer = StoredAnswer(response.status_code, kept, bytes(response.body))
        if not await answers.finish(begun, answer):
            log.warning(
                "an answer is too large to be kept for its idempotency key, or another request has "
                "taken the place of this one"
            )
    except StateError as error:
        log.warning("the answer for an idempotency key was not stored", error=str(error))


def _digest(request: Request, content: bytes) -> bytes:
    scope = request.scope
    target = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\n"
    return hashlib.sha256(target + content).digest()


def _key_of(request: Request) -> str | None:
    """The key, without the quotes that the draft has around it. Raises a Problem."""
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    value = values[0]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    good = value.isascii() and value.isprintable() and 1 <= len(value) <= MAX_KEY
    if len(values) > 1 or not good:
        detail = f"Idempotency-Key must occur once and have 1 to {MAX_KEY} visible ASCII characters"
        raise Problem(problem_types.BAD_HEADER, detail)
    return value
