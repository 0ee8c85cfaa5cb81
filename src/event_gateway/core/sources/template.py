"""Templates of attributes: text with placeholders over the headers and the body of a request.

``{x-github-event}`` is a header; ``{body.action}`` a member of the body, ``{body.items.0.id}`` one
of an element; ``{query.team}`` a parameter of the query string; ``{name}`` the source's name;
``{digest}`` the SHA-256 of the event's bytes, 64 hexadecimal digits; ``{'text'}`` the text itself.
``{a|b}`` is the first of them that there is. ``{{`` and ``}}`` stand for braces.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.path import member_of
from event_gateway.core.sources.inbound import Inbound

MAX_TEMPLATE = 512  # characters
MAX_VALUE = 1024  # characters of what one placeholder inserts
_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`~-]+")
_PATH = re.compile(r"body(\.[^.{}|]+)+|query\.[^{}|]+")
_NOT_IN_TYPE = re.compile(r"[^A-Za-z0-9_.-]+")
_DOTS = re.compile(r"\.{2,}")


class RequestValues(NamedTuple):
    """What placeholders name: a request, the value that ``body.`` leads into, the bytes of the
    event, and the source's name."""

    inbound: Inbound
    content: Any
    raw: bytes
    name: str


Lookup = Callable[[RequestValues], Any]


class MissingValue(Exception):
    """A request does not have what a placeholder names; the text is the placeholder."""


class Template:
    """A compiled template."""

    def __init__(self, text: str, parts: list[str | tuple[str, list[Lookup]]]) -> None:
        self.text = text
        self._parts = parts

    def render(self, values: RequestValues, *, as_type: bool = False) -> str:
        """The text for a request. ``as_type``: what is inserted becomes tokens of an event type: a
        slash and a colon become a dot, other characters that patterns cannot name ``_``. Raises
        MissingValue."""
        out = []
        for part in self._parts:
            if isinstance(part, str):
                out.append(part)
            else:
                text = _first(part, values)
                out.append(_as_type(text) if as_type else text)
        return "".join(out)


def compile_template(text: str, key: str) -> Template:
    """Compiles a template. Raises InvalidDefinition with this key."""
    if len(text) > MAX_TEMPLATE:
        raise InvalidDefinition(key, f"is longer than {MAX_TEMPLATE} characters")
    parts: list[str | tuple[str, list[Lookup]]] = []
    at = 0
    for match in _PARTS.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        at = match.end()
        if match[0] in ("{{", "}}"):
            parts.append(match[0][0])
        elif match[1] is None:
            raise InvalidDefinition(key, f"{match[0]!r} alone; {match[0] * 2} stands for a brace")
        else:
            options = [_lookup(option.strip(), key) for option in match[1].split("|")]
            parts.append((match[1], options))
    if at < len(text):
        parts.append(text[at:])
    return Template(text, parts)


def _lookup(option: str, key: str) -> Lookup:
    if len(option) > 1 and option[0] == option[-1] == "'":
        text = option[1:-1]
        return lambda _scope: text
    if option == "name":
        return lambda values: values.name
    if option == "digest":
        return lambda values: hashlib.sha256(values.raw).hexdigest()
    if _PATH.fullmatch(option):
        root, _, rest = option.partition(".")
        if root == "query":
            return lambda values: values.inbound.query.get(rest, msgspec.UNSET)
        steps = rest.split(".")
        return lambda values: _at(values.content, steps)
    header = option.lower()
    if (
        option in ("body", "query")
        or option.startswith(("body.", "query."))
        or _HEADER.fullmatch(header) is None
    ):
        raise InvalidDefinition(
            key,
            f"{{{option}}}: a placeholder is a header's name, body.PATH, query.NAME, name, digest, "
            "or a text in single quotes",
        )
    return lambda values: values.inbound.headers.get(header, msgspec.UNSET)


def _at(content: Any, steps: list[str]) -> Any:
    for step in steps:
        content = member_of(content, step)
        if content is msgspec.UNSET:
            break
    return content


def _first(part: tuple[str, list[Lookup]], values: RequestValues) -> str:
    for lookup in part[1]:
        value = lookup(values)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)) and value != "":
            return str(value)[:MAX_VALUE]
    raise MissingValue(f"{{{part[0]}}}")


def _as_type(text: str) -> str:
    dotted = text.replace("/", ".").replace(":", ".")
    return _DOTS.sub(".", _NOT_IN_TYPE.sub("_", dotted)).strip(".") or "_"
