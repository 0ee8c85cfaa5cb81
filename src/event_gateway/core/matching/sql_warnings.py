"""What is CESQL, and will not select events as the owner of a filter may expect."""

from collections.abc import Iterator

from event_gateway.core.cesql.built_in import BUILT_IN
from event_gateway.core.cesql.casts import Type
from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.matching.filter import Filter, SqlFilter
from event_gateway.core.matching.selection import Selection, conditions
from event_gateway.core.matching.sql_condition import SqlCondition
from event_gateway.core.text.suggestion import suggestion


def sql_warnings(selection: Selection) -> Iterator[DefinitionWarning]:
    """The warnings about the filters in CESQL of a valid selection."""
    for key, condition in conditions(selection):
        if isinstance(condition, Filter):
            for in_sql in _in_sql(condition):
                yield from _of(in_sql, key)


def _in_sql(condition: Filter) -> Iterator[SqlCondition]:
    if isinstance(condition, SqlFilter):
        yield condition.condition
    for part in condition.group or ():
        yield from _in_sql(part)


def _of(condition: SqlCondition, key: str) -> Iterator[DefinitionWarning]:
    expression = condition.expression
    if expression.type not in (Type.BOOLEAN, None):
        yield DefinitionWarning(
            "sql_not_boolean", key,
            f"the expression gives values of {expression.type}; only true lets an event pass",
        )  # fmt: skip
    for name in sorted(expression.inaccessible):
        reason = (
            "expressions in CESQL cannot look into data; use filters, or an expression in CEL"
            if name == "data"
            else f"no event has an attribute {name}: names are in lower case"
        )
        yield DefinitionWarning("sql_no_attribute", key, reason)
    for name, arity in expression.missing_functions:
        if name in BUILT_IN:
            reason = f"{name} does not take {arity} arguments"
        else:
            reason = f"there is no function {name}{suggestion(name, BUILT_IN.names)}"
        yield DefinitionWarning("sql_no_function", key, reason)
