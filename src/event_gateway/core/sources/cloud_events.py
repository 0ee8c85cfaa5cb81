"""CloudEvents in requests of a source: their three modes, the handshake before them, and the key by
which their sender proves itself (HTTP 1.1 Web Hooks for Event Delivery 1.0.2)."""

from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.json_format import TooManyEvents, from_batch, from_structured
from event_gateway.core.cloudevents.media_types import mode_of
from event_gateway.core.errors import InvalidDefinition, InvalidEvent
from event_gateway.core.sources.checks import check_shared
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Entry, Proof, Refused
from event_gateway.core.streams.definition import EVENTS


def cloud_events(inbound: Inbound) -> list[Entry]:
    """The CloudEvents of a request. Raises Refused if they are none."""
    try:
        return [_entry(event) for event in _events(inbound)]
    except InvalidEvent as error:
        raise Refused("malformed", error.detail) from None
    except TooManyEvents:
        raise Refused("malformed", "the batch has too many events") from None


def _events(inbound: Inbound) -> list[Event]:
    content_type = inbound.headers.get("content-type")
    mode = mode_of(content_type)
    if mode == "structured":
        return [from_structured(inbound.body)]
    if mode == "batch":
        events = []
        for item, _ in from_batch(inbound.body):
            if isinstance(item, InvalidEvent):
                raise item
            events.append(item)
        return events
    attributes = [pair for pair in inbound.headers.items() if pair[0].startswith("ce-")]
    if not attributes:
        raise Refused("malformed", "the request is no CloudEvent")
    return [from_binary(attributes, content_type, inbound.body)]


def _entry(event: Event) -> Entry:
    return Entry(Received(event, EVENTS, 0, 0.0).payload(), event=event)


def check_key(inbound: Inbound, definition: SourceDefinition, proof: Proof, query: str) -> None:
    """Raises Refused unless the request has the source's secret: in the parameter of the query or
    in the header that the source names, else as a bearer token or in the parameter ``query``."""
    settings = definition.settings
    if settings.header:
        name = settings.header.lower()
        check_shared(proof, inbound.headers.get(name), f"the header {settings.header}")
        return
    scheme, _, token = inbound.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and not settings.query:
        check_shared(proof, token.strip(), "the bearer token")
        return
    name = settings.query or query
    check_shared(proof, inbound.query.get(name), f"the parameter {name} of the query")


def one_place(definition: SourceDefinition) -> None:
    """Raises InvalidDefinition if a source names two places of its secret."""
    if definition.settings.header and definition.settings.query:
        raise InvalidDefinition("query", "excludes header: the secret is in one place")
