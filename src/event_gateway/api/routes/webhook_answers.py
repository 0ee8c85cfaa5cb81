"""What a change of a webhook is answered with."""

from typing import Any

from fastapi import Response

from event_gateway.api.routes.webhook_rules import WebhookRules, warnings_of
from event_gateway.api.server.conditional import set_tag
from event_gateway.api.server.warnings import with_warnings
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.access.principal import Principal
from event_gateway.core.webhook.webhook import Webhook


async def changed_answer(
    rules: WebhookRules, caller: Principal, webhook: Webhook, response: Response
) -> dict[str, Any]:
    """The answer to a change: the webhook, and what will not work as its owner may expect."""
    set_tag(response, webhook_to_json(webhook))
    warnings = await warnings_of(rules, caller, webhook)
    return with_warnings(webhook_to_json(webhook), warnings)
