"""How many webhooks are in each state, and which of them are ordered."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from event_gateway.broker.registry_contents import RegistryContents
from event_gateway.core.webhook.webhook import STATES, Webhook

PER_TURN = 2000  # webhooks that are looked at in one turn of the event loop


class WebhookCensus:
    """Looks through the webhooks only if one of them has changed: 100,000 take 40 ms."""

    def __init__(self, registry: RegistryContents) -> None:
        self._registry = registry
        self._changed = True
        self.states: Mapping[str, int] = {}
        self.ordered: Sequence[Webhook] = ()
        registry.notify(webhook=self._note)

    async def count(self) -> None:
        """Counts again what may have changed since the last call."""
        if not self._changed:
            return
        self._changed = False  # also of a change during the count the next call learns
        states = Counter(dict.fromkeys(STATES, 0))
        ordered = []
        for position, webhook in enumerate(list(self._registry.webhooks.values()), 1):
            if position % PER_TURN == 0:
                await asyncio.sleep(0)
            states[webhook.state] += 1
            if webhook.ordered:
                ordered.append(webhook)
        self.states, self.ordered = states, ordered

    def _note(self, _webhook_id: str, _webhook: Webhook | None) -> None:
        self._changed = True
