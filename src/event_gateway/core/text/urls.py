"""Server URLs: several in one text, and without their passwords."""

import re
from urllib.parse import urlsplit

_BETWEEN = re.compile(r",(?=\s*[A-Za-z][A-Za-z0-9+.-]*://)")  # a password may contain a comma


def servers_of(url: str) -> list[str]:
    """The URLs in a text, where several are separated by commas."""
    return [server.strip() for server in _BETWEEN.split(url)]


def places_of(url: str, default_port: int) -> list[tuple[str, int]]:
    """Host and port of each server in a text; those without a host (``unix://``) are left out."""
    places = []
    for server in servers_of(url):
        try:
            parts = urlsplit(server)
            host, port = parts.hostname, parts.port
        except ValueError:
            continue
        if host:
            places.append((host, port or default_port))
    return places


def without_password(url: str) -> str:
    """The URL (or several, separated by commas) without user, password and query: Redis accepts a
    password in the query, too."""
    shown = []
    for server in servers_of(url):
        scheme, mark, rest = server.partition("://")
        host = re.split("[?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        shown.append(f"{scheme}{mark}{host}" if mark else "")
    return ",".join(shown)
