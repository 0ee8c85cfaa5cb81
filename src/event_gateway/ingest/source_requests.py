"""Requests to inbound sources: verified by the source's provider, and taken in as events."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from event_gateway.broker.event_log import Appended
from event_gateway.broker.registry import Registry
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.cloudevents.trace_context import TraceContext
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.events import EventMaker
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Answer, Proof, Provider, Refused, Wanted
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.ingest.intake import Intake
from event_gateway.ingest.provider_documents import ProviderDocuments
from event_gateway.ingest.source_refusals import Counted, SourceRefusals
from event_gateway.transport.document import NotFetched

log = structlog.get_logger(__name__)

MAX_DOCUMENTS = 3  # that one check may want, one after the other


class TakenRequest(NamedTuple):
    """Events that the log has confirmed: their ids, and where they are. ``answer``: that which the
    provider expects; None: any will do."""

    ids: list[str]
    appended: list[Appended]
    answer: Answer | None


class SourceRequests:
    """``secrets`` finds the values of a secret; ``admit`` raises InvalidEvent for events that the
    gateway does not take; ``visit`` calls a URL and raises NotFetched; ``counted`` counts a
    request."""

    def __init__(
        self,
        registry: Registry,
        intake: Intake,
        documents: ProviderDocuments,
        refusals: SourceRefusals,
        *,
        secrets: Callable[[str], Sequence[str]],
        admit: Callable[[Event], None],
        visit: Callable[[str], Awaitable[object]],
        counted: Counted,
    ) -> None:
        self._registry = registry
        self._intake = intake
        self._documents = documents
        self._refusals = refusals
        self._secrets = secrets
        self._admit = admit
        self._visit = visit
        self._counted = counted
        self._makers: dict[str, tuple[SourceDefinition, EventMaker]] = {}

    async def receive(
        self, definition: SourceDefinition, inbound: Inbound, trace: TraceContext | None
    ) -> TakenRequest | Answer:
        """Verifies a request, and appends its events to the log.

        Raises Refused, which is counted, logged and, if the source says so, stored; NotFetched if
        the request cannot be verified now; and what Intake.accept raises.
        """
        provider = PROVIDERS[definition.type]
        try:
            await self._check(provider, definition, inbound)
            answer = provider.answer(inbound)
            events = [] if answer is not None else self.events(definition, inbound)
            self._check_admission(events)
            if answer is not None and answer.visit:
                await self._visit(answer.visit)
        except Refused as refused:
            await self._refusals.note(definition, inbound, refused)
            raise
        except NotFetched as error:
            self._refusals.note_unreachable(definition, str(error))
            raise
        if answer is not None:
            if answer.visit:
                log.info("a provider's subscription was confirmed", caller=definition.name)
            self._counted(definition, "answered", "")
            return answer
        appended = await self._intake.accept(
            [(event, to_structured(event)) for event in events], definition.name, trace
        )
        new = any(not ack.duplicate for ack in appended)
        self._counted(definition, "accepted" if new or not events else "duplicate", "")
        return TakenRequest([event.id for event in events], appended, provider.accepted)

    async def may_ask(self, definition: SourceDefinition, inbound: Inbound) -> bool:
        """Whether a request for the permission to send events is to be granted; False if the
        provider of the source asks for none."""
        handshake = PROVIDERS[definition.type].handshake
        return handshake is not None and handshake(inbound, definition, self._proof(definition))

    async def verdict(self, definition: SourceDefinition, inbound: Inbound) -> Refused | None:
        """Why a request would be refused; None if it would be taken. Nothing is counted. Raises
        NotFetched."""
        try:
            await self._check(PROVIDERS[definition.type], definition, inbound)
        except Refused as refused:
            return refused
        return None

    def events(self, definition: SourceDefinition, inbound: Inbound) -> list[Event]:
        """The events that a request becomes. Raises Refused if it cannot."""
        known = self._makers.get(definition.name)
        if known is None or known[0] != definition:
            known = self._makers[definition.name] = definition, EventMaker(definition)
            for name in self._makers.keys() - self._registry.sources.keys() - {definition.name}:
                del self._makers[name]
        return known[1].events(inbound, PROVIDERS[definition.type].entries(inbound))

    async def _check(
        self, provider: Provider, definition: SourceDefinition, inbound: Inbound
    ) -> None:
        for _ in range(MAX_DOCUMENTS):
            try:
                provider.check(inbound, definition, self._proof(definition))
                return
            except Wanted as wanted:
                changed = await self._documents.get(
                    wanted.url, again=wanted.again, chosen=wanted.chosen
                )
                if wanted.again and not changed:
                    break
        raise Refused("signature", "its provider has no key that has signed it")

    def _check_admission(self, events: Sequence[Event]) -> None:
        try:
            for event in events:
                self._admit(event)
        except InvalidEvent as error:
            raise Refused("rejected", error.detail) from None

    def _proof(self, definition: SourceDefinition) -> Proof:
        name, tolerance = definition.settings.secret_name, definition.tolerance
        if tolerance is None:
            tolerance = PROVIDERS[definition.type].tolerance
        # A value from outside may be several, for the time of a rotation: one a line.
        values = [line for value in (self._secrets(name) if name else ())
                  for line in value.splitlines() if line]  # fmt: skip
        return Proof(values, self._documents.present(), tolerance)
