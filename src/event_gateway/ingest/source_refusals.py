"""Requests that sources refuse: each is counted and logged, and stored if the source says so."""

import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from event_gateway.broker.event_log import LogUnavailable
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.outcomes import UNREACHABLE
from event_gateway.core.sources.provider import Refused
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.observability.refusals import Refusals

log = structlog.get_logger(__name__)

MAX_KEPT = 60  # requests of a source that a process stores in a minute
HIDDEN = "[hidden]"
# Headers that hold a credential, whatever the provider.
_CREDENTIALS = frozenset(("authorization", "cookie", "proxy-authorization", "x-api-key"))

# Takes the source, reason, detail, headers and body.
Store = Callable[[str, str, str, Mapping[str, str], bytes], Awaitable[None]]
# Takes the source, the outcome of a request to it, and why it was refused; empty if it was not.
Counted = Callable[[SourceDefinition, str, str], None]


class SourceRefusals:
    """``counted`` counts a request; ``store`` sets one aside."""

    def __init__(self, counted: Counted, store: Store) -> None:
        self._counted = counted
        self._store = store
        self._log = Refusals("a request to a source")
        self._kept: dict[str, tuple[int, int]] = {}  # by source: the minute, and how many in it

    async def note(self, definition: SourceDefinition, inbound: Inbound, refused: Refused) -> None:
        """Counts and logs a refusal, and stores the request if the source says so."""
        self._counted(definition, refused.reason, refused.detail)
        self._log.log(definition.name, refused.detail, refused.reason)
        if not definition.keep_refused or not self._may_keep(definition.name):
            return
        try:
            await self._store(
                definition.name, refused.reason, refused.detail,
                shown_headers(definition, inbound), inbound.body,
            )  # fmt: skip
        except LogUnavailable as error:
            log.warning("a refused request could not be stored", caller=definition.name,
                        error=str(error))  # fmt: skip

    def note_unreachable(self, definition: SourceDefinition, detail: str) -> None:
        """Counts and logs that a request could not be verified or confirmed, as its provider cannot
        be reached. The provider sends it again, so it is not stored."""
        self._counted(definition, UNREACHABLE, detail)
        self._log.log(definition.name, detail, UNREACHABLE)

    def _may_keep(self, name: str) -> bool:
        minute = int(time.monotonic() // 60)
        since, count = self._kept.get(name, (minute, 0))
        if since != minute:
            count = 0
        if count >= MAX_KEPT:
            return False
        self._kept[name] = minute, count + 1
        return True


def shown_headers(definition: SourceDefinition, inbound: Inbound) -> dict[str, str]:
    """The headers of a request, with ``[hidden]`` in place of credentials."""
    hidden = _CREDENTIALS | set(PROVIDERS[definition.type].credentials)
    if definition.type != "hmac" and definition.settings.header:
        hidden |= {definition.settings.header.lower()}
    return {name: HIDDEN if name in hidden else value for name, value in inbound.headers.items()}
