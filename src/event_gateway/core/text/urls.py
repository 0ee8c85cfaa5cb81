"""Server URLs: several in one text, their credentials, and their texts without passwords."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from event_gateway.core.text.hosts import ascii_host

# Several servers in one URL: Sentinels with the name of the primary behind a #, nodes of a cluster.
SENTINEL, CLUSTER = "redis-sentinel", "redis-cluster"
SENTINEL_PORT = 26379

_BETWEEN = re.compile(r",(?=\s*[A-Za-z][A-Za-z0-9+.-]*://)")  # a password may contain a comma
# Host, port, and the number of a database.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:/?#\[\]@]+)(:[0-9]*)?(/[0-9]*)?")
_NAME = re.compile(r"[^:/?#\[\]]+")


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A URL, its credentials apart: ``url`` is without them. ``user`` and ``password`` are decoded;
    None if there are none."""

    url: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def encoded(self) -> str:
        """The whole URL, with the credentials percent-encoded."""
        if self.user is None:
            return self.url
        scheme, mark, rest = self.url.partition("://")
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{scheme}{mark}{quote(self.user, safe='')}{password}@{rest}"


def servers_of(url: str) -> list[str]:
    """The URLs in a text, where several are separated by commas."""
    return [server.strip() for server in _BETWEEN.split(url)]


def parse_server_url(url: str) -> ServerUrl:
    """Separates the credentials from one URL, and converts an international host
    (:func:`~event_gateway.core.text.hosts.ascii_host`). Raises ValueError if it is none.

    A password may be percent-encoded or not. Unless it is, an ``@``, ``/``, ``?`` or ``#`` in it is
    found by what follows it: the host is behind the last ``@`` that is not in the query.
    """
    scheme, mark, rest = url.partition("://")
    before_query = re.split("[?#]", rest, maxsplit=1)[0]
    credentials, at, host = before_query.rpartition("@")
    if at and _HOST.fullmatch(host):
        host += rest[len(before_query) :]
    elif "@" in rest and not (_HOST.fullmatch(before_query) and not at):
        credentials, _, host = rest.rpartition("@")
    else:
        return ServerUrl(_converted(scheme, mark, rest))
    user, colon, password = credentials.partition(":")
    url = _converted(scheme, mark, host)
    return ServerUrl(url, unquote(user), unquote(password) if colon else None)


def _converted(scheme: str, mark: str, rest: str) -> str:
    host = _NAME.match(rest)
    if host is None or host[0].isascii() or scheme == "unix":
        return f"{scheme}{mark}{rest}"
    return f"{scheme}{mark}{ascii_host(host[0])}{rest[host.end() :]}"


def places_of(url: str, default_port: int) -> list[tuple[str, int]]:
    """Host and port of each server in a text; those without a host (``unix://``) are left out."""
    places = []
    for server in servers_of(url):
        scheme = server.partition("://")[0]
        group, default = scheme in (SENTINEL, CLUSTER), default_port
        if scheme == SENTINEL:
            default = SENTINEL_PORT
        for text in urlsplit(server).netloc.split(",") if group else (server,):
            try:
                parts = urlsplit(f"//{text}" if group else parse_server_url(text).url)
                host, port = parts.hostname, parts.port
            except ValueError:
                continue
            if host:
                places.append((host, port or default))
    return places


def without_password(url: str) -> str:
    """The URL (or several, separated by commas) without user, password and query: Redis accepts a
    password in the query, too."""
    shown = []
    for server in servers_of(url):
        scheme, mark, rest = parse_server_url(server).url.partition("://")
        host = re.split("[?#]", rest, maxsplit=1)[0]
        shown.append(f"{scheme}{mark}{host}" if mark else "")
    return ",".join(shown)
