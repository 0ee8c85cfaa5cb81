"""Web origins (RFC 6454, and the URL standard's serialization): scheme, host and port of a page."""

import re

from event_gateway.core.text.hosts import ascii_host

_ORIGIN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\]+)(?::(?P<port>[0-9]*))?(?P<rest>[/?#].*)?",
    re.DOTALL,
)
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def parse_origin(text: str) -> str:
    """An origin in exactly the form in which browsers send it. Raises ValueError, whose text says
    what to write."""
    if text == "null":
        raise ValueError(
            "null is what a browser sends for every page without an origin of its own (files, "
            "sandboxed frames), so it cannot be allowed: serve the page over http"
        )
    if "*" in text:
        raise ValueError("has no wildcards: list each origin, such as https://app.example.com")
    parts = _ORIGIN.fullmatch(text)
    if parts is None:
        raise ValueError(
            "must be an origin: scheme, host and port, such as https://app.example.com or "
            "http://localhost:3000"
        )
    scheme, host, port, rest = (
        parts["scheme"].lower(),
        parts["host"],
        parts["port"],
        parts["rest"] or "",
    )
    if scheme == "file":
        raise ValueError("the origin of a file is null, which cannot be allowed")
    host = ascii_host(host)
    if port is not None and not (port and 0 < int(port) <= 65535):
        raise ValueError("has a port that is not one: it must be from 1 to 65535")
    if port is not None:
        port = str(int(port))
    shown = f"{scheme}://{host.lower()}"
    if port is not None and _DEFAULT_PORTS.get(scheme) != port:
        shown += f":{port}"
    if rest == "/":
        raise ValueError(f"has a slash at its end: write {shown}")
    if rest:
        raise ValueError(f"has a path: an origin is scheme, host and port, here {shown}")
    if text != shown:
        raise ValueError(f"is not written as browsers send it, without a default port: {shown}")
    return text


def is_same_host(origin: str, host: str) -> bool:
    """Whether an ``Origin`` header is of the host in a ``Host`` header, by either of its schemes:
    a proxy in front may speak TLS."""
    parts = _ORIGIN.fullmatch(origin)
    if parts is None or parts["rest"] or parts["scheme"] not in ("http", "https"):
        return False
    default = _DEFAULT_PORTS[parts["scheme"]]
    there = host.lower().removesuffix(f":{default}")
    port = "" if parts["port"] in (None, default) else f":{parts['port']}"
    return there == f"{parts['host'].lower()}{port}"
