"""What may be done with a webhook, beside changing its definition."""

import json

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.new_secrets import standard_webhooks_key
from event_gateway.console.page_request import PageRequest


async def pause(request: PageRequest) -> Response:
    """Pauses a webhook: its deliveries wait."""
    name = request.path("webhook_id")
    await request.gateway.change_webhook(name, {"enabled": False})
    return request.redirect(request.acted_on, f"{name} is paused. Its deliveries wait.")


async def enable(request: PageRequest) -> Response:
    """Enables a webhook again."""
    name = request.path("webhook_id")
    discard = bool(request.field("discard"))
    await request.gateway.enable_webhook(name, discard=discard)
    what = " What waited is cancelled." if discard else ""
    return request.redirect(request.acted_on, f"{name} is enabled.{what}")


async def delete(request: PageRequest) -> Response:
    """Deletes a webhook."""
    name = request.path("webhook_id")
    await request.gateway.delete_webhook(name)
    return request.redirect("/webhooks", f"{name} is deleted.")


async def verify(request: PageRequest) -> Response:
    """Does the handshake with the receiver."""
    answer = await request.gateway.verify_webhook(request.path("webhook_id"))
    if answer["verified"]:
        return request.redirect(request.acted_on, "The receiver allows deliveries.")
    why = answer["error_message"] or f"it answered {answer['status_code']} without allowing them"
    return request.redirect(
        request.acted_on, f"The receiver does not allow deliveries: {why}", "error"
    )


async def test(request: PageRequest) -> Response:
    """Sends an event to the receiver, and shows request and answer: a part of the page."""
    text = request.field("event")
    try:
        event = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        problem = f"The event is not JSON: {error}."
        return await request.render("webhooks/tested.html", tried=None, problem=problem)
    try:
        tried = await request.gateway.try_webhook(
            request.path("webhook_id"), None if event is None else {"event": event}
        )
    except GatewayError as error:
        return await request.render("webhooks/tested.html", tried=None, problem=error.detail)
    return await request.render("webhooks/tested.html", tried=tried, problem=None)


async def rotate_secret(request: PageRequest) -> Response:
    """Replaces the key that signs the requests, and shows the new one this once."""
    name = request.path("webhook_id")
    value = request.field("value") or standard_webhooks_key()
    overlap = request.field("overlap") or "24h"
    await request.gateway.rotate_signing_key(name, {"value": value, "overlap": overlap})
    return await request.render("webhooks/rotated.html", name=name, value=value, overlap=overlap)
