"""URLs as they are given and as they may be shown."""

import re

_BETWEEN = re.compile(r",(?=\s*[A-Za-z][A-Za-z0-9+.-]*://)")  # a password may hold a comma, too


def servers_of(url: str) -> list[str]:
    """The servers of a URL that may be several, separated by commas."""
    return [one.strip() for one in _BETWEEN.split(url)]


def without_password(url: str) -> str:
    """The URL without user, password and query, in which Redis may find a password as well; for
    several, separated by commas, each."""
    shown = []
    for one in servers_of(url):
        scheme, mark, rest = one.partition("://")
        place = re.split("[?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        shown.append(f"{scheme}{mark}{place}" if mark else "")
    return ",".join(shown)
