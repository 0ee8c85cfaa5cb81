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

from event_gateway.core.text.times import instant

MAX_LIST = 1000  # values of one filter
MAX_TEXT = 4096  # characters of one value
MAX_PATTERN = 1024  # characters of a regular expression
MAX_PROGRAM = 1 << 20  # bytes of a compiled regular expression
MAX_SEARCH = 16_000_000  # program size times text length; some 0.25 s at most

Test = Callable[[Any], bool]


def same(first: Any, second: Any) -> bool:
    """JSON equality: ``true`` is not 1, ``1`` is 1.0."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    return bool(first == second)


def _equals(expected: Any) -> Test:
    return lambda actual: same(actual, expected)


def _in(expected: Any) -> Test:
    if not isinstance(expected, (list, tuple)):
        raise ValueError("takes a list of values")
    if len(expected) > MAX_LIST:
        raise ValueError(f"takes at most {MAX_LIST} values")
    return lambda actual: any(same(actual, item) for item in expected)


def _contains(expected: Any) -> Test:
    def test(actual: Any) -> bool:
        if isinstance(actual, str):
            return isinstance(expected, str) and expected in actual
        return isinstance(actual, list) and any(same(item, expected) for item in actual)

    return test


def _prefix(expected: Any) -> Test:
    text = _text(expected)
    return lambda actual: isinstance(actual, str) and actual.startswith(text)


def _suffix(expected: Any) -> Test:
    text = _text(expected)
    return lambda actual: isinstance(actual, str) and actual.endswith(text)


def _text(expected: Any) -> str:
    if not isinstance(expected, str) or not expected:
        raise ValueError("takes a non-empty string")
    return expected


def _matches(expected: Any) -> Test:
    compiled = regex(_text(expected))
    search, longest = compiled.search, MAX_SEARCH // compiled.programsize

    def test(actual: Any) -> bool:
        try:
            return isinstance(actual, str) and len(actual) <= longest and search(actual) is not None
        except UnicodeEncodeError:  # a lone surrogate, which is not text
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
    import re2

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


def _compared(expected: Any) -> tuple[Callable[[Any], Any], Any]:
    """A function that makes an event's value comparable (None: it is not), and the comparable
    value of the filter.

    Numbers compare with numbers; times with times, as instants; other text with text.
    """
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        return _number, expected
    if isinstance(expected, str):
        at = instant(expected)
        if at is not None:
            return lambda actual: instant(actual) if isinstance(actual, str) else None, at
        return lambda actual: actual if isinstance(actual, str) else None, expected
    raise ValueError("takes a number, a time or a string")


def _number(actual: Any) -> int | float | None:
    return actual if isinstance(actual, (int, float)) and not isinstance(actual, bool) else None


def _comparison(holds: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def operator(expected: Any) -> Test:
        comparable, limit = _compared(expected)

        def test(actual: Any) -> bool:
            value = comparable(actual)
            return value is not None and holds(value, limit)

        return test

    return operator


def _between(expected: Any) -> Test:
    if not isinstance(expected, (list, tuple)) or len(expected) != 2:
        raise ValueError("takes a list of two values, the least and the greatest")
    comparable, least = _compared(expected[0])
    _, greatest = _compared(expected[1])
    if type(least) is not type(greatest) and isinstance(least, (str, tuple)):
        raise ValueError("takes two values of the same type")
    try:
        if least > greatest:
            raise ValueError("takes the least value first")
    except TypeError:
        raise ValueError("takes two values of the same type") from None

    def test(actual: Any) -> bool:
        value = comparable(actual)
        return value is not None and bool(least <= value <= greatest)

    return test


def _cidr(expected: Any) -> Test:
    texts = expected if isinstance(expected, (list, tuple)) else [expected]
    if not 1 <= len(texts) <= MAX_LIST:
        raise ValueError(f"takes 1 to {MAX_LIST} networks")
    try:
        networks = [ipaddress.ip_network(_text(text)) for text in texts]
    except ValueError as error:
        raise ValueError(f"takes a network, such as 10.0.0.0/8: {error}") from None

    def test(actual: Any) -> bool:
        address = _address(actual) if isinstance(actual, str) and len(actual) < 64 else None
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
    "gt": _comparison(lambda actual, limit: actual > limit),
    "gte": _comparison(lambda actual, limit: actual >= limit),
    "lt": _comparison(lambda actual, limit: actual < limit),
    "lte": _comparison(lambda actual, limit: actual <= limit),
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


def attribute_test(operator: str, expected: Any) -> Test:
    """The test of a context attribute, which has the same answer in every mode: binary mode writes
    42 and true as text, so they are compared as CloudEvents 1.0.2, "Type System", writes them.

    Raises ValueError.
    """
    if operator in COMPARISONS:
        is_list = isinstance(expected, (list, tuple)) and expected
        numbers = isinstance(expected[0] if is_list else expected, (int, float))
        test = OPERATORS[operator](expected)
        comparable = _integer if numbers else canonical
        return lambda actual: test(comparable(actual))
    if operator in ("equals", "in"):
        if isinstance(expected, (list, tuple)):
            expected = [canonical(item) for item in expected]
        else:
            expected = canonical(expected)
    test = OPERATORS[operator](expected)
    return lambda actual: test(canonical(actual))


def canonical(value: Any) -> Any:
    """An attribute's value as text, where it has a canonical one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _integer(actual: Any) -> Any:
    if isinstance(actual, str) and _INTEGER.fullmatch(actual):
        return int(actual)
    return actual
