"""``/v1/tokens``: issues, lists and revokes tokens for browsers."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ReadsStreams
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.access import NewToken, TokenAnswer
from event_gateway.api.answers.common import Page
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import (
    Limit,
    at_most,
    cursor_of,
    is_whole,
    page_members,
    read_cursor,
)
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.warnings import with_warnings
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.config.token_model import Exceeds, TokenBody, token_from_json
from event_gateway.core.access.browser_token import BrowserToken
from event_gateway.core.access.principal import Principal
from event_gateway.core.audit.change import resource_name
from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.text.times import rfc3339
from event_gateway.registration.tokens import Tokens, TooManyTokens
from event_gateway.registration.visibility import streams_of
from event_gateway.state.browser_tokens import TokenPosition

router = APIRouter(prefix="/v1/tokens", tags=["streams"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

NOT_LISTED = DefinitionWarning(
    "not_listed", "id",
    "Redis cannot be reached: the token is valid, and is not in the list of tokens",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenParts:
    """What the routes use."""

    registry: Registry
    tokens: Tokens


Parts = Annotated[TokenParts, Depends(provided(TokenParts))]
TokenRequest = Annotated[dict[str, Any], Body(), SchemaOf(TokenBody)]


@router.get("", responses=answers(Page[TokenAnswer]))
async def list_tokens(
    parts: Parts,
    caller: ReadsStreams,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The valid tokens, the last to expire first; to all but an operator only those that the
    caller's own key has issued."""
    after = read_cursor(cursor, TokenPosition)
    issuer = _issuer(caller)
    tokens, more = await parts.tokens.page(issuer, after, limit)
    following = cursor_of(more)
    whole = is_whole(cursor, following)
    total = len(tokens) if whole else at_most(await parts.tokens.count(issuer))
    return page_members([_shown(token) for token in tokens], following, total)


@router.post("", status_code=201, responses=answers(NewToken, 201, 429))
async def create_token(
    parts: Parts,
    caller: ReadsStreams,
    call: Annotated[Call, audited("tokens.issue", "token")],
    once: Once,
    body: TokenRequest,
) -> dict[str, Any]:
    """Issues a token that opens the given streams or subjects for a short time, and no more than
    the caller may read. It ends with the caller's key."""
    try:
        asked = token_from_json(body, streams_of(caller, parts.registry).keys(), caller)
        token, text, listed = await parts.tokens.issue(
            caller, name=asked.name, streams=asked.streams, subjects=asked.subjects,
            namespaces=asked.namespaces, types=asked.types, lifetime=asked.lifetime,
        )  # fmt: skip
    except Exceeds as error:
        raise Problem(403, f"the caller may not read this itself: {error}") from None
    except TooManyTokens as error:
        raise Problem(429, str(error), {"Retry-After": "60"}) from None
    shown = _shown(token)
    call.about(resource_name("token", token.id), after=shown)
    return with_warnings({"token": text} | shown, () if listed else (NOT_LISTED,))


@router.delete("/{token_id}", status_code=204, responses=answers(None, 204, 409, 429))
async def revoke_token(
    parts: Parts,
    caller: ReadsStreams,
    call: Annotated[Call, audited("tokens.revoke", "token/{token_id}")],
    token_id: str,
) -> None:
    """Revokes a token: every process refuses it once this is answered, and its connections end
    within seconds. All but an operator revoke only tokens of their own key."""
    try:
        await parts.tokens.revoke(token_id, _issuer(caller))
    except TooManyTokens as error:
        raise Problem(429, str(error), {"Retry-After": "60"}) from None


def _issuer(caller: Principal) -> str | None:
    """The issuer whose tokens the caller sees; None: it sees all."""
    return None if caller.is_operator else caller.identity


def _shown(token: BrowserToken) -> dict[str, Any]:
    method, _, key = token.issuer.partition(":")
    return {
        "id": token.id,
        "principal": token.name,
        "streams": list(token.streams),
        "subjects": list(token.subjects),
        "namespaces": None if token.namespaces is None else list(token.namespaces),
        "types": None if token.types is None else list(token.types),
        "issued_by": {"method": method, "key": key, "name": token.issuer_name},
        "expires_at": rfc3339(token.until),
    }  # fmt: skip
