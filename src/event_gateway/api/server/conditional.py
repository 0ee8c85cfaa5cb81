"""Conditional requests (RFC 9110, 13): a change counts only for what its caller has read.

    async def change_webhook(parts: Parts, …, condition: Conditional, …) -> …:
        former = writable(webhook_of(caller, parts.registry, webhook_id))
        condition.check(webhook_to_json(former))

The entity tag is a digest of the definition as the API shows it. Nothing may be awaited between the
check and the method that changes the definition: that method compares with what the registry holds
when it writes, and raises ChangedInBetween, which a guarded route answers with 412 where the
request has ``If-Match``.
"""

import hashlib
import re
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header, Response

from event_gateway.api.openapi.described import LOCATION
from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem

IF_MATCH = "if-match"
ETAG = {"ETag": "The entity tag of the definition, for If-Match."}
CREATED = LOCATION | ETAG
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_encode = msgspec.json.Encoder(order="sorted").encode


def tag_of(shown: dict[str, Any]) -> str:
    """The entity tag of a definition as the API shows it, without what changes by itself."""
    return f'"{hashlib.sha256(_encode(shown)).hexdigest()[:20]}"'


def set_tag(response: Response, shown: dict[str, Any]) -> None:
    """Adds the entity tag of a definition to the answer."""
    response.headers["ETag"] = tag_of(shown)


class Condition:
    """What a request requires of the present state, by its headers."""

    __slots__ = ("_if_match", "_if_none_match")

    def __init__(self, if_match: str | None, if_none_match: str | None) -> None:
        """The values of the headers. Raises a Problem if one cannot be read."""
        self._if_match = _tags("If-Match", if_match)
        self._if_none_match = _tags("If-None-Match", if_none_match)

    def check(self, present: dict[str, Any] | None) -> None:
        """Raises the 412 problem unless the definition, as it is now (None: there is none), is one
        that the request names. For requests that change it."""
        tag = None if present is None else tag_of(present)
        if self._if_match is not None and not _names(self._if_match, tag):
            is_now = "there is none" if tag is None else f"its ETag is {tag}"
            detail = f"If-Match names another definition: {is_now}"
            raise Problem(problem_types.PRECONDITION_FAILED, detail, _header(tag))
        if self._if_none_match is not None and _names(self._if_none_match, tag):
            detail = "If-None-Match names the definition that there is"
            raise Problem(problem_types.PRECONDITION_FAILED, detail, _header(tag))

    def not_modified(self, present: dict[str, Any]) -> Response | None:
        """The answer 304 if the caller has the definition already. For requests that read it, and
        where the answer holds nothing but the definition."""
        tag = tag_of(present)
        given = [each.removeprefix("W/") for each in self._if_none_match or ()]
        if tag not in given and given != ["*"]:
            return None
        return Response(status_code=304, headers={"ETag": tag})


def _names(tags: list[str], tag: str | None) -> bool:
    return tag is not None and (tags == ["*"] or tag in tags)


def _header(tag: str | None) -> dict[str, str] | None:
    return None if tag is None else {"ETag": tag}


def _tags(name: str, value: str | None) -> list[str] | None:
    """The tags in a header, or ``*`` alone; None if it is not there."""
    if value is None or value.strip() == "*":
        return None if value is None else ["*"]
    tags = [part.strip() for part in value.split(",")]
    if not all(_TAG.fullmatch(tag) for tag in tags):
        detail = f"{name} must be * or entity tags in double quotes, as the header ETag has them"
        raise Problem(problem_types.BAD_HEADER, detail)
    return tags


async def _condition(
    if_match: Annotated[
        str | None, Header(description="Change only the definition with this ETag.")
    ] = None,
    if_none_match: Annotated[
        str | None, Header(description="`*`: create only, if there is none yet.")
    ] = None,
) -> Condition:
    return Condition(if_match, if_none_match)


async def _reading(
    if_none_match: Annotated[
        str | None, Header(description="Answer 304 if the definition has this ETag still.")
    ] = None,
) -> Condition:
    return Condition(None, if_none_match)


# Of a request that changes a definition, and of one that reads it.
Conditional = Annotated[Condition, Depends(_condition)]
Reading = Annotated[Condition, Depends(_reading)]
