"""What may be done with a webhook, beside changing its definition."""

import json

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.new_secrets import standard_webhooks_key
from event_gateway.console.visit import Visit


async def pause(visit: Visit) -> Response:
    """Pauses a webhook: its deliveries wait."""
    name = visit.path("webhook_id")
    await visit.gateway.change_webhook(name, {"enabled": False})
    return visit.redirect(visit.acted_on, f"{name} is paused. Its deliveries wait.")


async def enable(visit: Visit) -> Response:
    """Enables a webhook again."""
    name = visit.path("webhook_id")
    discard = bool(visit.field("discard"))
    await visit.gateway.enable_webhook(name, discard=discard)
    what = " What waited is cancelled." if discard else ""
    return visit.redirect(visit.acted_on, f"{name} is enabled.{what}")


async def delete(visit: Visit) -> Response:
    """Deletes a webhook."""
    name = visit.path("webhook_id")
    await visit.gateway.delete_webhook(name)
    return visit.redirect("/webhooks", f"{name} is deleted.")


async def verify(visit: Visit) -> Response:
    """Does the handshake with the receiver."""
    answer = await visit.gateway.verify_webhook(visit.path("webhook_id"))
    if answer["verified"]:
        return visit.redirect(visit.acted_on, "The receiver allows deliveries.")
    why = answer["error_message"] or f"it answered {answer['status_code']} without allowing them"
    return visit.redirect(visit.acted_on, f"The receiver does not allow deliveries: {why}", "error")


async def test(visit: Visit) -> Response:
    """Sends an event to the receiver, and shows request and answer: a part of the page."""
    text = visit.field("event")
    try:
        event = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        problem = f"The event is not JSON: {error}."
        return await visit.render("webhooks/tested.html", tried=None, problem=problem)
    try:
        tried = await visit.gateway.try_webhook(
            visit.path("webhook_id"), None if event is None else {"event": event}
        )
    except GatewayError as error:
        return await visit.render("webhooks/tested.html", tried=None, problem=error.detail)
    return await visit.render("webhooks/tested.html", tried=tried, problem=None)


async def rotate_secret(visit: Visit) -> Response:
    """Replaces the key that signs the requests, and shows the new one this once."""
    name = visit.path("webhook_id")
    value = visit.field("value") or standard_webhooks_key()
    overlap = visit.field("overlap") or "24h"
    await visit.gateway.rotate_signing_key(name, {"value": value, "overlap": overlap})
    return await visit.render("webhooks/rotated.html", name=name, value=value, overlap=overlap)
