"""What changes of webhooks, and lists of them, are answered with."""

from collections.abc import Sequence
from typing import Any

from fastapi import Response

from event_gateway.api.routes.webhook_rules import WebhookRules, warnings_of
from event_gateway.api.server.conditional import set_tag
from event_gateway.api.server.warnings import with_warnings
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.access.principal import Principal
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues


async def changed_answer(
    rules: WebhookRules, caller: Principal, webhook: Webhook, response: Response
) -> dict[str, Any]:
    """The answer to a change: the webhook, and what will not work as its owner may expect."""
    set_tag(response, webhook_to_json(webhook))
    warnings = await warnings_of(rules, caller, webhook)
    return with_warnings(webhook_to_json(webhook), warnings)


async def queue_answers(queues: Queues, names: Sequence[str]) -> list[dict[str, Any] | None]:
    """What waits for each of these webhooks; None while Redis does not say."""
    try:
        found = await queues.figures(names)
    except StateError:
        return [None] * len(names)
    return [
        {"depth": each.depth, "oldest_seconds": each.oldest, "breaker": each.breaker}
        for each in found
    ]
