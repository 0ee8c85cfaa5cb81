"""What it costs to find out who calls, with nothing of HTTP around it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from event_gateway.api.access.api_keys import ApiKeys
from event_gateway.api.access.authenticator import Authenticator
from event_gateway.api.access.caller_limits import CallerLimits
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.http.peer import Peer
from event_gateway.core.access.api_key import new_id, new_value
from event_gateway.observability.metrics import Metrics
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.registration.key_ring import KeyRing


def _ring(value: str) -> KeyRing:
    """The keys of a gateway that has only its admin key."""
    admin = AdminKeyFile(Path("none"))
    admin.value = value
    registry: Any = SimpleNamespace(keys={}, notify=lambda **_listeners: None)
    return KeyRing(registry, admin)


async def _no_body() -> bytes:
    return b""


def known_key(requests: int | None = None) -> Callable[[], object]:
    """The check of a known key; ``requests``: how many a second it may send, None for any
    number."""
    limits = CallerLimits(Metrics().http)
    limits.configure(failures=30, period=60.0, requests=requests, window=1.0)
    key = new_value(new_id())
    authenticator = Authenticator({"api_key": ApiKeys(_ring(key))}, limits)
    peer = Peer("127.0.0.1")
    headers = [
        (b"host", b"127.0.0.1:8080"), (b"user-agent", b"bench"), (b"accept", b"*/*"),
        (b"content-type", b"application/cloudevents+json"),
        (b"authorization", b"Bearer " + key.encode()),
    ]  # fmt: skip

    def check() -> None:
        request = CallerRequest(
            method="POST",
            path="/v1/events",
            raw_path=b"/v1/events",
            headers=headers,
            query=b"",
            peer=peer,
            body=_no_body,
        )
        try:
            authenticator.authenticate(request).send(None)
        except StopIteration as returned:
            limits.spend(returned.value)

    return check
