"""Admission: whether an event may come in, by its type and by the schema of its data."""

import time
from typing import Any

import msgspec
import structlog

from event_gateway.broker.registry import Registry
from event_gateway.core.cloudevents.event import NATS, DataKind, Event, Received, decoded
from event_gateway.core.cloudevents.media_types import check_content_type
from event_gateway.core.cloudevents.reserved_types import check_reserved
from event_gateway.core.errors import InvalidDefinition, InvalidEvent
from event_gateway.core.schema.event_schema import EventSchema, Violation
from event_gateway.core.schema.event_type import EventType, compile_schema
from event_gateway.ingest.schema_policy import SchemaPolicy
from event_gateway.observability.metrics import Metrics

log = structlog.get_logger(__name__)

HUGE = 10**400  # for a number beyond doubles, for which the validator has no infinity
WARNING_INTERVAL = 60.0  # seconds between two warnings about events of one type


class _Rule:
    """An event type that has a schema. ``since``: when the broker stored the type, in seconds since
    the epoch. ``schema`` is compiled when the first event of the type comes; it stays None if that
    fails."""

    __slots__ = ("compiled", "event_type", "schema", "since")

    def __init__(self, event_type: EventType, since: float) -> None:
        self.event_type, self.since = event_type, since
        self.schema: EventSchema | None = None
        self.compiled = False

    def violation(self, event: Event, received: Received | None = None) -> Violation | None:
        if not self.compiled:
            self.compiled = True
            try:
                assert isinstance(self.event_type.schema, msgspec.Raw)
                self.schema = compile_schema(self.event_type.schema)
            except InvalidDefinition as error:
                log.error("a schema cannot be compiled, events of its type pass unchecked",
                          event_type=event.type, error=str(error))  # fmt: skip
        return None if self.schema is None else _violation(self.schema, event, received)


class Admission:
    """Checks events against the reserved types and the registered schemas.

    ``policy`` says what becomes of violations; they are counted in ``metrics``.
    """

    def __init__(self, registry: Registry, policy: SchemaPolicy, metrics: Metrics) -> None:
        self._registry = registry
        self._policy = policy
        self._metrics = metrics
        self._rules: dict[str, _Rule] = {}
        self._began = time.time()
        self._warned: dict[str, float] = {}  # by event type, on the monotonic clock
        registry.notify(event_type=self._on_event_type)

    def check(self, event: Event) -> None:
        """Checks an event before it is appended to the log.

        Raises InvalidEvent (``reserved``, ``schema``).
        """
        check_reserved(event)
        check_content_type(event)
        rule = self._rules.get(event.type)
        if rule is not None or self._policy.strict:
            self._apply(rule, event)

    def check_captured(self, received: Received) -> None:
        """Checks an event that the router takes from the log, as :meth:`check` does.

        Events that did not come over NATS were checked before they were appended, and events older
        than the schema are not checked against it.
        """
        event = received.event
        check_reserved(event)
        if received.origin != NATS:
            return
        check_content_type(event)
        rule = self._rules.get(event.type)
        if rule is None and not self._policy.strict:
            return
        if rule is None or rule.since <= received.time:
            self._apply(rule, event, received)

    def check_again(self, received: Received) -> None:
        """Checks an event that the router has passed before: nothing is counted or logged.

        Events older than the present configuration pass, as they may have passed before it.
        """
        event = received.event
        check_reserved(event)
        if received.origin == NATS and received.time >= self._began:
            check_content_type(event)
        policy = self._policy
        rule = self._rules.get(event.type)
        if (rule is None and not policy.strict) or received.origin != NATS:
            return
        by_default = rule is None or rule.event_type.enforce is None
        since = max(rule.since if rule else 0.0, policy.since if by_default else 0.0)
        if since > received.time:
            return
        if rule is None:
            if policy.enforce == "reject" and not self._is_registered(event):
                raise _unregistered(event)
        elif policy.of(rule.event_type) == "reject":
            violation = rule.violation(event, received)
            if violation is not None:
                raise _refusal(event.type, violation)

    def _apply(self, rule: _Rule | None, event: Event, received: Received | None = None) -> None:
        if rule is None:
            self._apply_strict(event)
            return
        enforce = self._policy.of(rule.event_type)
        if enforce == "off":
            return
        violation = rule.violation(event, received)
        if violation is not None:
            self._metrics.schema_violation(event.type, enforce)
            if enforce == "reject":
                raise _refusal(event.type, violation)
            self._warn(event.type, violation)

    def _apply_strict(self, event: Event) -> None:
        enforce = self._policy.enforce
        if enforce == "off" or self._is_registered(event):
            return
        self._metrics.schema_violation("unregistered", enforce)
        refusal = _unregistered(event)
        if enforce == "reject":
            raise refusal
        # All unregistered types share one warning: the publisher chooses how many types there are.
        self._warn("", Violation("", refusal.detail))

    def _is_registered(self, event: Event) -> bool:
        return event.type in self._registry.event_types

    def _warn(self, event_type: str, violation: Violation) -> None:
        now = time.monotonic()
        if now - self._warned.get(event_type, -WARNING_INTERVAL) >= WARNING_INTERVAL:
            self._warned[event_type] = now
            log.warning("an event does not match its schema, and is accepted all the same",
                        event_type=event_type, path=violation.path,
                        reason=violation.detail)  # fmt: skip

    def _on_event_type(self, name: str, event_type: EventType | None, at: float) -> None:
        self._warned.pop(name, None)
        former = self._rules.pop(name, None)
        if event_type is None or event_type.schema is msgspec.UNSET:
            return
        if former is not None and _same_rule(former.event_type, event_type):
            former.event_type = event_type
            self._rules[name] = former
        else:
            self._rules[name] = _Rule(event_type, at)


def _same_rule(event_type: EventType, other: EventType) -> bool:
    return (event_type.schema, event_type.enforce) == (other.schema, other.enforce)


def _refusal(event_type: str, violation: Violation) -> InvalidEvent:
    where = f"at {violation.path}" if violation.path else "as a whole"
    detail = f"the data of {event_type} {where}: {violation.detail}"
    return InvalidEvent("schema", detail, violation.path)


def _unregistered(event: Event) -> InvalidEvent:
    detail = f"the type {event.type[:200]} is not registered, and the catalog is strict"
    return InvalidEvent("schema", detail, "")


def _violation(schema: EventSchema, event: Event, received: Received | None) -> Violation | None:
    """What is wrong with an event's data as the JSON format writes it: absent data is null, text is
    a string. JSON that is decoded here is kept in ``received``."""
    value: Any = None
    if event.kind is DataKind.JSON:
        try:
            value = msgspec.json.decode(event.data)
            if received is not None:
                received.content = (value,)
        except (msgspec.DecodeError, RecursionError):
            value = decoded(event.data, beyond=HUGE)
            if value is msgspec.UNSET:
                return Violation("", "is nested too deeply to be checked")
    elif event.kind is DataKind.TEXT:
        value = event.data.decode()
    elif event.kind is DataKind.BINARY:
        return Violation("", "is not JSON")
    violation = schema.violation(value, len(event.data))
    if violation is not None and event.kind is DataKind.NONE:
        return Violation("", "there is none")
    return violation
