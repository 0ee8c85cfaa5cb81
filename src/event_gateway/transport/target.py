"""The parts of a webhook's endpoint URL, parsed once."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that a request needs. ``path`` includes the query; ``literal``: the host
    is an IP address in its usual form."""

    scheme: str
    host: str
    port: int
    path: str
    host_header: bytes
    literal: bool = False


def parse_target(url: str) -> Target:
    """Parses a URL. Raises ValueError with the reason if requests cannot be sent to it."""
    if any(not 0x20 < ord(character) < 0x7F for character in url):
        raise ValueError("holds a space, a control or a non-ASCII character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text is not shown: what looks like a port may be a password
        raise ValueError("is not a valid URL: its host or its port is invalid") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError("must not hold credentials")
    if parts.fragment or url.endswith("#"):
        raise ValueError("must not hold a fragment")
    host = parts.hostname
    if not host:
        raise ValueError("names no host")
    if port == 0:
        raise ValueError("port 0 cannot be used")
    default = 443 if parts.scheme == "https" else 80
    shown = f"[{host}]" if ":" in host else host
    header = shown if port in (None, default) else f"{shown}:{port}"
    path = parts.path or "/"
    if "?" in url:  # an empty query, too
        path = f"{path}?{parts.query}"
    literal = _is_address(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    return Target(parts.scheme, host, port or default, path, header.encode(), literal)


def _is_address(family: int, host: str) -> bool:
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True
