"""A sample request to a webhook's receiver, which shows a user the response.

It is sent whatever the state of the webhook. It is no delivery, and is counted nowhere.
"""

import secrets
import time
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.delivery import error_for_status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request.builder import RequestBuilder
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.request.request import Request
from event_gateway.transport.client import Failure

MAX_SHOWN = 64 * 1024  # bytes of a request's body


def sample_event(webhook: Webhook) -> Event:
    """An event that matches the webhook's first pattern; its data says that it is a test.

    Filters and expressions are not evaluated for it.
    """
    tokens = webhook.events[0].split(".")
    event_type = ".".join("test" if token in "*>" else token for token in tokens)
    source = webhook.sources[0] if webhook.sources else "event-gateway"
    data: dict[str, Any] = {"test": True}
    if webhook.namespaces:
        data["namespace"] = webhook.namespaces[0]
    return Event(
        f"test-{secrets.token_hex(8)}", source, event_type, None, rfc3339(time.time()),
        "application/json", None, {}, msgspec.json.encode(data), DataKind.JSON,
    )  # fmt: skip


async def send(
    receivers: ReceiverClient, builder: RequestBuilder, webhook: Webhook, event: Event
) -> Any:
    """Sends the event, and returns request and response as the API shows them."""
    started = time.time()
    received = Received(event, "", 0, started)
    sent: Request | None = None

    def build() -> Request:
        nonlocal sent
        sent = builder.build(received, 1)
        return sent

    result = await receivers.request(builder, build, webhook.timeout)
    about = {
        "webhook_id": webhook.id,
        "event": msgspec.Raw(to_structured(event)),
        "duration_ms": round((time.time() - started) * 1000),
        "request": None if sent is None else _shown(builder, webhook, sent),
    }
    if isinstance(result, Failure):
        return about | {
            "succeeded": False, "status_code": None, "error_type": result.error_type,
            "error_message": result.message, "response": None,
        }  # fmt: skip
    error_type = error_for_status(result.status)
    return about | {
        "succeeded": error_type is None,
        "status_code": result.status,
        "error_type": error_type,
        "error_message": None if error_type is None else f"HTTP {result.status}",
        "response": {
            "headers": result.headers,
            "body": result.body.decode("utf-8", "replace"),
            "truncated": result.truncated,
        },
    }


def _shown(builder: RequestBuilder, webhook: Webhook, sent: Request) -> dict[str, Any]:
    headers, body = builder.authentication.shown(sent, MAX_SHOWN)
    return {
        "method": webhook.method,
        "url": webhook.url,
        "headers": headers,
        "body": body,
        "truncated": len(sent.body) > MAX_SHOWN,
    }
