"""The parts of a provider: a kind of third party whose requests the gateway takes.

A module of :mod:`.providers` declares each as one :class:`Provider`. The functions are pure: what a
check needs from outside (secrets, the time, a document of the provider) it is given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import JSON, Inbound

Reason = Literal["signature", "time", "malformed", "unconfigured", "not_allowed", "rejected"]
TOLERANCE = 300.0  # seconds between the signed time and the gateway's


class Refused(Exception):
    """A request is refused. ``reason``: for the metric; the text is for the operator."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Wanted(Exception):
    """The check needs a document of the provider first, such as its certificate or its keys.
    ``again``: it has one already, which may be old. ``chosen``: the URL, or a part of it, is what
    the request says."""

    def __init__(self, url: str, *, again: bool = False, chosen: bool = False) -> None:
        super().__init__(url)
        self.url = url
        self.again = again
        self.chosen = chosen


@dataclass(frozen=True, slots=True)
class Proof:
    """What a check works with. ``secrets``: the values of the source's secret, the current one
    first, then replaced ones that are still valid; ``documents``: by URL, what the gateway has
    fetched; ``tolerance``: seconds."""

    secrets: Sequence[str] = ()
    documents: Mapping[str, bytes] = field(default_factory=dict)
    tolerance: float = TOLERANCE

    def document(self, url: str, *, chosen: bool = False) -> bytes:
        """A document of the provider. ``chosen``: the URL is what the request says. Raises Wanted
        if the gateway does not have it."""
        if url not in self.documents:
            raise Wanted(url, chosen=chosen)
        return self.documents[url]


class Answer(msgspec.Struct, frozen=True):
    """An answer in place of the usual one. ``visit``: a URL that the gateway must call for it."""

    body: bytes = b""
    media_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    visit: str = ""


class Entry(msgspec.Struct, frozen=True):
    """One event of a request. ``content``: the value that its templates lead into; ``json``: the
    event's data as JSON; None: the body, whatever it is. ``event``: if it is a CloudEvent
    already."""

    content: Any
    json: bytes | None = None
    event: Event | None = None


class Example(msgspec.Struct, frozen=True):
    """A request as the provider sends it, without what verifies it: for docs and for trials."""

    headers: dict[str, str]
    body: str
    content_type: str = JSON


Check = Callable[[Inbound, SourceDefinition, Proof], None]
Handshake = Callable[[Inbound, SourceDefinition, Proof], bool]


def whole(inbound: Inbound) -> list[Entry]:
    """A request as one event."""
    return [Entry(inbound.content, inbound.json)]


def nothing(_inbound: Inbound) -> Answer | None:
    """No answer but the usual one."""
    return None


def unset(_definition: SourceDefinition) -> None:
    """Finds no fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """``name``: the ``type`` of its sources; ``title``: for people.

    ``check`` verifies a request and raises Refused or Wanted. ``templates`` make the attributes of
    its events. ``required`` and ``optional`` name the settings of its sources; others are refused.
    ``examine`` raises InvalidDefinition for a setting that cannot be used. ``answer`` gives the
    answer to a verified request that is no event, such as a challenge; ``entries`` splits one into
    events; ``accepted`` is the answer to events, if the provider expects another than JSON.
    ``handshake``: whether a request with ``OPTIONS``, which asks for the permission to send
    (CloudEvents), shows that it may; None: senders do not ask so. ``timed``: whether requests have
    a signed time, to which ``tolerance`` (seconds) applies. ``credentials``: headers that hold a
    credential and are never stored. ``too_many``: the status after which the provider comes again
    where it has met a limit of the gateway.
    """

    name: str
    title: str
    check: Check
    templates: Templates
    example: Example
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    examine: Callable[[SourceDefinition], None] = unset
    answer: Callable[[Inbound], Answer | None] = nothing
    entries: Callable[[Inbound], list[Entry]] = whole
    accepted: Answer | None = None
    handshake: Handshake | None = None
    timed: bool = False
    credentials: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    too_many: int = 429
