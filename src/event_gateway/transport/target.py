"""The parts of a webhook's endpoint URL, parsed once."""

import socket
from dataclasses import dataclass, field

from event_gateway.core.text.endpoint_url import parse_endpoint_url

Origin = tuple[str, str, int, str]  # scheme, host, port, key of the identity or ""


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that a request needs. ``host`` is in the form that goes over the wire;
    ``path`` includes the query; ``literal``: the host is an IP address in its usual form.
    ``origin``: that of requests without an identity."""

    scheme: str
    host: str
    port: int
    path: str
    host_header: bytes
    literal: bool = False
    origin: Origin = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", (self.scheme, self.host, self.port, ""))


def parse_target(url: str) -> Target:
    """Parses a URL. Raises ValueError with the reason if requests cannot be sent to it."""
    parts = parse_endpoint_url(url)
    host = parts.host
    default = 443 if parts.scheme == "https" else 80
    shown = f"[{host}]" if ":" in host else host
    header = shown if parts.port in (None, default) else f"{shown}:{parts.port}"
    literal = _is_address(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    return Target(parts.scheme, host, parts.port or default, parts.path, header.encode(), literal)


def _is_address(family: int, host: str) -> bool:
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True
