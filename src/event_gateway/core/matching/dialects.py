"""The filter dialects of CloudEvents: ``exact``, ``prefix``, ``suffix``, ``all``, ``any``, ``not``,
``sql``.

CloudEvents Subscriptions 1.0 (working draft), "Filters". Each is translated to a
:class:`Filter`. To add a dialect, write a function and add it to ``DIALECTS``.
"""

from collections.abc import Callable
from typing import Any

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.filter import MAX_DEPTH, Filter, SqlFilter
from event_gateway.core.matching.path import parse_path
from event_gateway.core.matching.sql_condition import sql_condition_of

Dialect = Callable[[Any, str, int], Filter]


def filter_of(given: Any, key: str, depth: int = 0) -> Filter:
    """The filter for a CloudEvents filter such as ``{"exact": {"type": "a.b"}}``.

    ``key``: where it stands in the definition. Raises InvalidDefinition with a key below it.
    """
    if not isinstance(given, dict) or len(given) != 1:
        raise InvalidDefinition(key, f"must be an object with one key: {', '.join(DIALECTS)}")
    if depth > MAX_DEPTH:
        raise InvalidDefinition(key, f"is nested more than {MAX_DEPTH} deep")
    ((name, value),) = given.items()
    dialect = DIALECTS.get(name)
    if dialect is None:
        raise InvalidDefinition(
            f"{key}.{str(name)[:64]}", f"is an unknown dialect; there are: {', '.join(DIALECTS)}"
        )
    return dialect(value, f"{key}.{name}", depth)


def _on_attributes(operator: str) -> Dialect:
    def dialect(value: Any, key: str, depth: int) -> Filter:
        if not isinstance(value, dict) or not value:
            raise InvalidDefinition(
                key, "must be an object with at least one attribute and its text"
            )
        parts = []
        for name, text in value.items():
            at = f"{key}.{str(name)[:64]}"
            if parse_path(str(name), at).attribute is None:
                raise InvalidDefinition(
                    at, "is not an attribute; CloudEvents filters cannot look into data"
                )
            if not isinstance(text, str) or not text:
                raise InvalidDefinition(at, "must be a non-empty string")
            parts.append(Filter(name, operator, text))
        return parts[0] if len(parts) == 1 else Filter(all=tuple(parts))

    return dialect


def _group(value: Any, key: str, depth: int) -> tuple[Filter, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidDefinition(key, "must be a list of at least one CloudEvents filter")
    return tuple(
        filter_of(entry, f"{key}[{position}]", depth + 1) for position, entry in enumerate(value)
    )


def _all(value: Any, key: str, depth: int) -> Filter:
    return Filter(all=_group(value, key, depth))


def _any(value: Any, key: str, depth: int) -> Filter:
    return Filter(any=_group(value, key, depth))


def _not(value: Any, key: str, depth: int) -> Filter:
    return Filter(not_=filter_of(value, key, depth + 1))


def _sql(value: Any, key: str, depth: int) -> Filter:
    if not isinstance(value, str):
        raise InvalidDefinition(key, "must be a string, an expression in CESQL")
    try:
        return SqlFilter(condition=sql_condition_of(value))
    except ValueError as error:
        raise InvalidDefinition(key, str(error)) from None


DIALECTS: dict[str, Dialect] = {
    "exact": _on_attributes("equals"),
    "prefix": _on_attributes("prefix"),
    "suffix": _on_attributes("suffix"),
    "all": _all,
    "any": _any,
    "not": _not,
    "sql": _sql,
}
