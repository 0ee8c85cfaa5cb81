"""What a record shows of a change: the members that changed, bounded, and without secrets."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from event_gateway.core.access import api_key, browser_token
from event_gateway.core.audit.record import Members
from event_gateway.core.text.urls import parse_server_url

HIDDEN = "[hidden]"
MAX_MEMBER = 4096  # bytes of JSON of a member
MAX_TOTAL = 32_768  # bytes of JSON of all members before, and of all after

# Members whose values may hold credentials of a user's own; their names are shown.
_VALUES_HIDDEN = frozenset({"headers", "metadata", "params"})
# Members that hold a credential, whatever they are in.
_CREDENTIALS = frozenset({
    "authorization", "credential", "key", "password", "secret", "token", "value", "hash",
})  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
# Resources whose ids are names. The others, such as events, have ids of any characters.
_NAMED = frozenset({"replay", "secret", "source", "stream", "subscription", "webhook"})
# Resources whose ids have a form of their own; a whole key or token in its place is not shown.
_FORMS: dict[str, Callable[[str], object]] = {"key": api_key.is_id, "token": browser_token.is_id}
MAX_ID = 256  # characters of an id


def change(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[Members, Members]:
    """The members that differ, as JSON, before and after the change; all members where one side is
    None: the resource was created, or deleted."""
    if before is None or after is None:
        return _shown(before), _shown(after)
    names = [
        name for name in {**before, **after}
        if name not in before or name not in after or before[name] != after[name]
    ]  # fmt: skip
    return _shown(_only(before, names)), _shown(_only(after, names))


def resource_name(kind: str, identifier: str) -> str:
    """``kind/identifier``, with an id that may be shown."""
    is_id = _FORMS.get(kind, _NAME.fullmatch)
    if (kind in _NAMED or kind in _FORMS) and not is_id(identifier):
        return f"{kind}/(no name)"  # it may be a secret in a wrong place
    shown = identifier
    if kind not in _NAMED:  # an id may have half a surrogate pair, which UTF-8 does not
        shown = quote(identifier[:MAX_ID], safe="/:@+=~.,", errors="replace")
    return f"{kind}/{shown[:MAX_ID]}"


def _only(members: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: members[name] for name in names if name in members}


def _shown(members: Mapping[str, Any] | None) -> Members:
    if members is None:
        return msgspec.UNSET
    left = MAX_TOTAL
    parts = []
    for name, value in members.items():
        shown = _json(_redacted(name, value))
        if len(shown) > min(MAX_MEMBER, left):
            shown = b'"[%d bytes, not recorded]"' % len(shown)
        left = max(0, left - len(shown))
        parts.append(b"%b:%b" % (_json(name[:MAX_ID]), shown))
        if len(parts) == 256:
            break
    return msgspec.Raw(b"{%b}" % b",".join(parts))


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):  # half a surrogate pair
        return b'"[not recorded]"'


def _redacted(name: str, value: Any) -> Any:
    if name in _VALUES_HIDDEN and isinstance(value, Mapping):
        return {str(key): HIDDEN for key in value}
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, inner) for inner in value]
    if not isinstance(value, str):
        return value
    if value and name.lower() in _CREDENTIALS:
        return HIDDEN
    return without_credentials(value) if name.endswith("url") else value


def without_credentials(url: str) -> str:
    """A URL without user and password, and with ``[hidden]`` for the values of its query."""
    try:
        parts = urlsplit(parse_server_url(url).url)
    except ValueError:
        return HIDDEN
    names = [pair.partition("=")[0] for pair in parts.query.split("&") if pair]
    query = "&".join(f"{name}={HIDDEN}" for name in names)
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return f"{shown}?{query}" if query else shown
