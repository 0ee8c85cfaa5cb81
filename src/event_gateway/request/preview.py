"""A preview: the request that a transformation would have sent, without sending it."""

import asyncio
import base64
from typing import Any

import msgspec
from msgspec.structs import replace

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.media_types import is_json_content
from event_gateway.core.webhook.auth import METHODS
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.request import Request, Unsendable
from event_gateway.request.transformations import BodyPending

TIMEOUT = 15.0  # seconds for a function to make the body, waiting for other calls included
# Used when the caller names no webhook; nothing of it is shown.
PLACEHOLDER = Webhook("preview", "https://receiver.invalid/", (">",))


async def preview(
    builders: RequestBuilders,
    webhook: Webhook | None,
    transformation: str,
    received: Received,
    attempt: int = 1,
) -> dict[str, Any]:
    """The request of an attempt, the first by default, as the API shows it: without secrets,
    and with the names of the auth methods in place of the authentication. Raises Unsendable."""
    shown = replace(webhook or PLACEHOLDER, transformation=transformation, security=())
    builder = builders.for_webhook(shown)
    request = None
    while request is None:
        try:
            request = builder.build(received, attempt)
        except BodyPending as pending:
            try:
                async with asyncio.timeout(TIMEOUT):
                    await pending.source.fetch()
            except TimeoutError:
                raise Unsendable(AttemptErrorType.TRANSFORMATION_ERROR, "no body in time") from None
    headers = _headers(request)
    if webhook is None:
        del headers["host"]
    content_type = headers.get("content-type")
    return {
        "transformation": transformation,
        "method": shown.method,
        "url": webhook and webhook.url,
        "headers": headers,
        "authentication": [
            settings.auth_type for settings in (webhook.security if webhook else ())
            if settings.auth_type in METHODS
        ],
        "content_type": content_type,
        "bytes": len(request.body),
        **_body(content_type, request.body),
    }  # fmt: skip


def _headers(request: Request) -> dict[str, str]:
    lines = request.head.decode().split("\r\n")[1:-2]
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


def _body(content_type: str | None, body: bytes) -> dict[str, Any]:
    """JSON as JSON, text as text, everything else in base64."""
    try:
        if is_json_content(content_type):
            msgspec.json.decode(body, type=msgspec.Raw)
            return {"body": msgspec.Raw(body)}
        return {"body": body.decode()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"body_base64": base64.b64encode(body).decode()}
