"""What a registered webhook takes that has had no delivery yet."""

import tracemalloc
from typing import Any

import msgspec

from event_gateway.broker.registry_contents import RegistryContents
from event_gateway.broker.registry_entries import stored_webhook
from event_gateway.core.matching.filter import Filter
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.lane import Lane
from event_gateway.routing.index import Index

COUNT = 1_000
MOST = 2_500  # bytes of each webhook


def test_many_webhooks_are_small() -> None:
    unused: Any = None  # makes what only deliveries need
    registered, index, lanes = RegistryContents(), Index(), dict[str, Lane]()

    def apply(webhook_id: str, webhook: Webhook | None) -> None:
        assert webhook is not None
        index.put(webhook)
        lanes[webhook_id] = Lane(webhook, unused)

    registered.notify(webhook=apply)
    entries = [msgspec.json.encode(stored_webhook(_webhook(number))) for number in range(COUNT)]
    registered.apply("webhook.w0", entries[0], 1.0)  # what is made once
    tracemalloc.start()
    try:
        for number, entry in enumerate(entries):
            registered.apply(f"webhook.w{number}", entry, 1.0)
        taken = tracemalloc.get_traced_memory()[0] / COUNT
    finally:
        tracemalloc.stop()
    assert len(index) == len(lanes) == COUNT
    assert taken < MOST


def _webhook(number: int) -> Webhook:
    tenant = f"t{number // 2}"
    return Webhook(
        f"w{number}", f"https://{tenant}.example.com/hooks/{number}",
        (f"orders.{tenant}.placed",) if number % 2 else ("orders.shared.>",),
        filters=() if number % 2 else (Filter("data.tenant", "equals", tenant),),
        created_at=1_700_000_000.0 + number,
    )  # fmt: skip
