"""URLs of HTTP endpoints that the gateway calls: which are valid, and where they lead."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from event_gateway.core.text.hosts import ascii_host

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")
# The usual form, of which nothing needs to be decided: most of the time of a start with many
# webhooks would be that of urlsplit.
_USUAL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*)"
    r"(?::(?P<port>[1-9][0-9]{0,3}))?(?P<path>/[!-\"$-~]*)?"
)
_NETLOC = re.compile(r"(?P<host>\[[^\[\]]*:[^\[\]]*\]|[^\[\]:]+)(:[0-9]*)?")


@dataclass(frozen=True, slots=True)
class EndpointUrl:
    """The parts of a URL. ``host`` is in the form that goes over the wire
    (:func:`~event_gateway.core.text.hosts.ascii_host`), without brackets; ``port`` is None if the
    URL names none; ``path`` includes the query, also an empty one."""

    scheme: str
    host: str
    port: int | None
    path: str


def parse_endpoint_url(url: str) -> EndpointUrl:
    """Parses a URL. Raises ValueError with the reason if requests cannot be sent to it.

    The reason never contains what stands before the path: it may contain a password.
    """
    usual = _USUAL.fullmatch(url)
    if usual is not None and "xn--" not in (host := usual["host"]):
        port = usual["port"]
        return EndpointUrl(
            usual["scheme"], host, None if port is None else int(port), usual["path"] or "/"
        )
    if _FORBIDDEN.search(url):
        raise ValueError("contains a space or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL: its host or its port is invalid") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not contain credentials; use security with a secret_name")
    if parts.fragment or url.endswith("#"):
        raise ValueError("must not contain a fragment (#…)")
    if not parts.netloc:
        raise ValueError("has no host")
    if not (parts.path.isascii() and parts.query.isascii()):
        raise ValueError("contains a non-ASCII character after its host: percent-encode it")
    split = _NETLOC.fullmatch(parts.netloc)
    if split is None:
        raise ValueError("is not a valid URL: the part before its path is not HOST or HOST:PORT")
    if port == 0:
        raise ValueError("port 0 cannot be used")
    host = ascii_host(split["host"].removeprefix("[").removesuffix("]"))
    if not host:
        raise ValueError("has no host")
    path = parts.path or "/"
    if "?" in url:
        path = f"{path}?{parts.query}"
    return EndpointUrl(parts.scheme, host, port, path)
