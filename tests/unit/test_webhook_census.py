"""What the metrics say of all webhooks: counted when they change, and not each few seconds."""

from typing import Any

import msgspec
from msgspec.structs import replace

from event_gateway.app.webhook_census import WebhookCensus
from event_gateway.broker.registry_contents import RegistryContents
from event_gateway.broker.registry_entries import stored_webhook
from event_gateway.core.webhook.webhook import Webhook


class Counted(dict[str, Webhook]):
    """The webhooks, and how often they were looked through."""

    looks = 0

    def values(self) -> Any:
        self.looks += 1
        return super().values()


async def test_webhooks_are_looked_through_only_after_a_change() -> None:
    registry = RegistryContents()
    registry.webhooks = webhooks = Counted()
    census = WebhookCensus(registry)

    async def after(*changed: Webhook, deleted: str = "") -> dict[str, int]:
        for webhook in changed:
            entry = msgspec.json.encode(stored_webhook(webhook))
            registry.apply(f"webhook.{webhook.id}", entry, 0.0)
        if deleted:
            registry.apply(f"webhook.{deleted}", None, 0.0)
        await census.count()
        await census.count()
        return {state: count for state, count in census.states.items() if count}

    hook = Webhook("a", "https://example.com/", ("user.*",))
    in_order = replace(hook, id="b", ordered=True)
    assert await after() == {}
    assert await after(hook, in_order) == {"active": 2}
    assert [each.id for each in census.ordered] == ["b"]
    assert await after(replace(hook, enabled=False)) == {"active": 1, "paused": 1}
    assert await after(deleted="b") == {"paused": 1}
    assert not census.ordered
    assert webhooks.looks == 4, "once after each change, and once at the start"
