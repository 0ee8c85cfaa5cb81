"""The requests of a delivery's attempts, built again by the code that built them for sending."""

from collections.abc import Sequence
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.text.times import parse_time
from event_gateway.core.webhook.delivery import Attempt
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.preview import preview
from event_gateway.request.request import Unsendable

BODY = ("body", "body_base64")
DIFFERS = [
    "the webhook, its transformation and its headers are those of now",
    "authentication and signature are left out",
    "traceparent is another one",
]


async def rebuilt_requests(
    builders: RequestBuilders,
    webhook: Webhook,
    received: Received,
    attempts: Sequence[Attempt],
    *,
    body: bool,
) -> list[dict[str, Any]]:
    """For each attempt the request, as the API shows it: without secrets, with the names of the
    auth methods in place of the authentication. ``body``: the last request has its body.

    Where it cannot be made now, ``request`` is null, and ``differs`` says why.
    """
    shown: list[dict[str, Any]] = []
    for attempt in attempts:
        try:
            request = await preview(
                builders, webhook, webhook.transformation, received, attempt.number
            )
            headers = request["headers"]
            headers["webhook-timestamp"] = str(int(parse_time(attempt.time)))
            headers.pop("traceparent", None)
            differs = DIFFERS
        except Unsendable as error:
            request, differs = None, [f"it cannot be made now: {error}"]
        shown.append({
            "attempt": msgspec.to_builtins(attempt), "request": request, "differs": list(differs),
        })  # fmt: skip
    for position, item in enumerate(shown):
        if item["request"] is not None and not (body and position == len(shown) - 1):
            for name in BODY:
                item["request"].pop(name, None)
    return shown
