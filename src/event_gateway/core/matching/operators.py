"""The operators of filters: each turns the filter's value into a test for an event's value.

An operator raises ValueError where it does not accept the filter's value. A test never raises: a
value of a type that the operator is not for does not pass. To add an operator, write a function and
add it to ``OPERATORS`` and ``ALL_OPERATORS``.
"""

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from event_gateway.core.text.times import instant

MAX_LIST = 1000  # values of one filter
MAX_TEXT = 4096  # characters of one value
MAX_PATTERN = 1024  # characters of a regular expression
MAX_PROGRAM = 1 << 20  # bytes that a compiled one may take
MAX_SEARCH = 16_000_000  # size of a compiled one times the text's length; some 0.25 s at the worst

Test = Callable[[Any], bool]


def same(one: Any, other: Any) -> bool:
    """JSON equality: ``true`` is not 1, ``1`` is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _equals(wanted: Any) -> Test:
    return lambda given: same(given, wanted)


def _in(wanted: Any) -> Test:
    if not isinstance(wanted, (list, tuple)):
        raise ValueError("takes a list of values")
    if len(wanted) > MAX_LIST:
        raise ValueError(f"takes at most {MAX_LIST} values")
    return lambda given: any(same(given, one) for one in wanted)


def _contains(wanted: Any) -> Test:
    def test(given: Any) -> bool:
        if isinstance(given, str):
            return isinstance(wanted, str) and wanted in given
        return isinstance(given, list) and any(same(one, wanted) for one in given)

    return test


def _prefix(wanted: Any) -> Test:
    text = _text(wanted)
    return lambda given: isinstance(given, str) and given.startswith(text)


def _suffix(wanted: Any) -> Test:
    text = _text(wanted)
    return lambda given: isinstance(given, str) and given.endswith(text)


def _text(wanted: Any) -> str:
    if not isinstance(wanted, str) or not wanted:
        raise ValueError("takes a non-empty string")
    return wanted


def _matches(wanted: Any) -> Test:
    compiled = regex(_text(wanted))
    search, longest = compiled.search, MAX_SEARCH // compiled.programsize

    def test(given: Any) -> bool:
        try:
            return isinstance(given, str) and len(given) <= longest and search(given) is not None
        except UnicodeEncodeError:  # a lone surrogate: no text
            return False

    return test


@lru_cache(maxsize=4096)
def regex(pattern: str) -> Any:
    """A compiled regular expression (RE2's syntax), whose time grows with its ``programsize`` and
    with the text, and never with their powers.

    Raises ValueError.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN} characters")
    options = re2.Options()
    options.max_mem = MAX_PROGRAM
    options.log_errors = False
    try:
        compiled: Any = re2.compile(pattern, options)  # type: ignore[no-untyped-call]
        return compiled
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"is not a regular expression (RE2): {reason}") from None
    except UnicodeEncodeError:
        raise ValueError(
            "is not a regular expression: it contains half of a surrogate pair"
        ) from None


def _compared(wanted: Any) -> tuple[Callable[[Any], Any], Any]:
    """A function that makes an event's value comparable (None: it is not), and the comparable
    value of the filter.

    Numbers compare with numbers; times with times, as instants; other text with text.
    """
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return _number, wanted
    if isinstance(wanted, str):
        at = instant(wanted)
        if at is not None:
            return lambda given: instant(given) if isinstance(given, str) else None, at
        return lambda given: given if isinstance(given, str) else None, wanted
    raise ValueError("takes a number, a time or a string")


def _number(given: Any) -> int | float | None:
    return given if isinstance(given, (int, float)) and not isinstance(given, bool) else None


def _comparison(holds: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def operator(wanted: Any) -> Test:
        comparable, limit = _compared(wanted)

        def test(given: Any) -> bool:
            value = comparable(given)
            return value is not None and holds(value, limit)

        return test

    return operator


def _between(wanted: Any) -> Test:
    if not isinstance(wanted, (list, tuple)) or len(wanted) != 2:
        raise ValueError("takes a list of two values, the least and the greatest")
    comparable, least = _compared(wanted[0])
    _, greatest = _compared(wanted[1])
    if type(least) is not type(greatest) and isinstance(least, (str, tuple)):
        raise ValueError("takes two values of the same type")
    try:
        if least > greatest:
            raise ValueError("takes the least value first")
    except TypeError:
        raise ValueError("takes two values of the same type") from None

    def test(given: Any) -> bool:
        value = comparable(given)
        return value is not None and bool(least <= value <= greatest)

    return test


def _cidr(wanted: Any) -> Test:
    texts = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    if not 1 <= len(texts) <= MAX_LIST:
        raise ValueError(f"takes 1 to {MAX_LIST} networks")
    try:
        networks = [ipaddress.ip_network(_text(one)) for one in texts]
    except ValueError as error:
        raise ValueError(f"takes a network, such as 10.0.0.0/8: {error}") from None

    def test(given: Any) -> bool:
        address = _address(given) if isinstance(given, str) and len(given) < 64 else None
        return address is not None and any(address in network for network in networks)

    return test


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:10.0.0.1 is 10.0.0.1, which is how it is written in networks.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


OPERATORS: dict[str, Callable[[Any], Test]] = {
    "equals": _equals,
    "in": _in,
    "contains": _contains,
    "prefix": _prefix,
    "suffix": _suffix,
    "matches": _matches,
    "gt": _comparison(lambda given, limit: given > limit),
    "gte": _comparison(lambda given, limit: given >= limit),
    "lt": _comparison(lambda given, limit: given < limit),
    "lte": _comparison(lambda given, limit: given <= limit),
    "between": _between,
    "cidr": _cidr,
}
COMPARISONS = frozenset(("gt", "gte", "lt", "lte", "between"))
NEGATED = {"not_equals": "equals", "not_in": "in"}
ALL_OPERATORS = (
    "equals", "not_equals", "in", "not_in", "contains", "prefix", "suffix", "matches", "exists",
    "gt", "gte", "lt", "lte", "between", "cidr",
)  # fmt: skip
_INTEGER = re.compile(r"-?\d{1,10}")


def attribute_test(operator: str, wanted: Any) -> Test:
    """The test of a context attribute, which has the same answer in every mode: binary mode writes
    42 and true as text, so they are compared as CloudEvents 1.0.2, "Type System", writes them.

    Raises ValueError.
    """
    if operator in COMPARISONS:
        numbers = isinstance(wanted[0] if isinstance(wanted, (list, tuple)) and wanted else wanted,
                             (int, float))  # fmt: skip
        test = OPERATORS[operator](wanted)
        comparable = _integer if numbers else canonical
        return lambda given: test(comparable(given))
    if operator in ("equals", "in"):
        wanted = [canonical(one) for one in wanted] if isinstance(wanted, (list, tuple)) else (
            canonical(wanted))  # fmt: skip
    test = OPERATORS[operator](wanted)
    return lambda given: test(canonical(given))


def canonical(value: Any) -> Any:
    """An attribute's value as text, where it has a canonical one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _integer(given: Any) -> Any:
    if isinstance(given, str) and _INTEGER.fullmatch(given):
        return int(given)
    return given
