"""Times in options: a moment, or a duration ago."""

import time

from event_gateway.cli.client.output import fail
from event_gateway.core.text.times import parse_time, rfc3339
from event_gateway.core.text.units import parse_duration


def moment(text: str) -> str:
    """RFC 3339 of a time, or of a duration ago such as 1h. Raises ValueError."""
    try:
        return rfc3339(time.time() - parse_duration(text))
    except ValueError:
        pass
    try:
        parse_time(text)
    except ValueError:
        raise ValueError(
            f"{text[:64]!r} is neither a time, such as 2026-05-04T03:02:01Z, nor a "
            "duration, such as 1h or 7d"
        ) from None
    return text


def time_option(option: str, text: str | None) -> str | None:
    """RFC 3339 of an option's value, None for None. Ends the command if the value is not valid."""
    try:
        return None if text is None else moment(text)
    except ValueError as error:
        fail(f"{option}: {error}", 2)


def time_range(since: str | None, until: str | None) -> dict[str, str | None]:
    """The members ``since`` and ``until`` of a request, from the options of these names."""
    return {"since": time_option("--since", since), "until": time_option("--until", until)}
