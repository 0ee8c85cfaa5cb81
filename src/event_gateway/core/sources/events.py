"""Makes the events of a verified request, by the templates of its source."""

from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.cloudevents.attributes import check_event
from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.cloudevents.json_members import json_payload
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.sources.checks import seconds_of
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.inbound import JSON, Inbound
from event_gateway.core.sources.provider import Entry, Refused
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.rules import ATTRIBUTES
from event_gateway.core.sources.template import (
    MissingValue,
    RequestValues,
    Template,
    compile_template,
)
from event_gateway.core.text.times import instant, rfc3339


class EventMaker:
    """Makes events of the requests of one source."""

    def __init__(self, definition: SourceDefinition) -> None:
        """Raises InvalidDefinition if a template cannot be compiled."""
        self._name = definition.name
        defaults = PROVIDERS[definition.type].templates
        self._own = {
            name: compile_template(text, f"event.{name}") for name in ATTRIBUTES
            if (text := getattr(definition.event, name))
        }  # fmt: skip
        self._templates = {
            name: compile_template(text, f"event.{name}") for name in ATTRIBUTES
            if (text := getattr(defaults, name))
        } | self._own  # fmt: skip
        self._templates.setdefault("source", compile_template("{name}", "event.source"))

    def events(self, inbound: Inbound, entries: list[Entry]) -> list[Event]:
        """The events of a request. Raises Refused for one that has not what a template names."""
        try:
            return [self._event(inbound, entry) for entry in entries]
        except InvalidEvent as error:
            raise Refused("malformed", error.detail) from None

    def _event(self, inbound: Inbound, entry: Entry) -> Event:
        raw = inbound.body if entry.json is None else entry.json
        values = RequestValues(inbound, entry.content, raw, self._name)
        if entry.event is not None:
            return self._changed(entry.event, values)
        made: dict[str, Any] = {}
        for name, template in self._templates.items():
            made[name] = _rendered(name, template, values)
        for name in ("type", "id"):
            if not made.get(name):
                raise Refused("malformed", f"the request has no {name} for the event: it lacks all "
                                           f"of {self._text(name)}")  # fmt: skip
        kind, data, content_type = _data(inbound, entry)
        return check_event(
            Event(
                id=made["id"], source=made["source"], type=made["type"],
                subject=made.get("subject"), time=made.get("time"), datacontenttype=content_type,
                data=data, kind=kind,
            )
        )  # fmt: skip

    def _changed(self, event: Event, values: RequestValues) -> Event:
        """A CloudEvent with the attributes that the source itself names."""
        changes = {
            name: value for name, template in self._own.items()
            if (value := _rendered(name, template, values)) is not None
        }  # fmt: skip
        return check_event(msgspec.structs.replace(event, **changes)) if changes else event

    def _text(self, name: str) -> str:
        template = self._templates.get(name)
        return "" if template is None else template.text


def _rendered(name: str, template: Template, values: RequestValues) -> str | None:
    try:
        text = template.render(values, as_type=name == "type")
    except MissingValue:
        return None
    return _TO_ATTRIBUTE.get(name, _plain)(text)


def _plain(text: str) -> str | None:
    return text or None


def _time(text: str) -> str | None:
    """A time as RFC 3339 writes it; None where the text is none."""
    if instant(text) is not None:
        return text
    try:
        return rfc3339(min(seconds_of(text), 253_402_300_799.0))
    except Refused:
        return None


_TO_ATTRIBUTE: dict[str, Callable[[str], str | None]] = {"time": _time}


def _data(inbound: Inbound, entry: Entry) -> tuple[DataKind, bytes, str | None]:
    if entry.json is not None:
        text = json_payload(JSON, entry.json)
        if text is None:
            raise Refused("malformed", "the body is not JSON in UTF-8")
        return DataKind.JSON, text, JSON
    if not inbound.body:
        return DataKind.NONE, b"", None
    content_type = inbound.headers.get("content-type") or None
    if inbound.media_type.startswith("text/"):
        try:
            inbound.body.decode()
            return DataKind.TEXT, inbound.body, content_type
        except UnicodeDecodeError:
            pass
    if inbound.media_type.endswith("json"):
        raise Refused("malformed", "the body is not JSON")
    return DataKind.BINARY, inbound.body, content_type or "application/octet-stream"
