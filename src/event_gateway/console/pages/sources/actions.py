"""What may be done with a source, beside changing its definition."""

import json
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults, keyed_faults
from event_gateway.console.new_secrets import random_secret, standard_webhooks_key
from event_gateway.console.pages.sources.captured import body_of, breaks_in_doubt
from event_gateway.console.visit import Visit


async def enable(visit: Visit) -> Response:
    """Takes requests again."""
    name = visit.path("name")
    await visit.gateway.change_source(name, {"enabled": True})
    return visit.redirect(visit.acted_on, f"{name} takes requests again.")


async def disable(visit: Visit) -> Response:
    """Takes no requests for now."""
    name = visit.path("name")
    await visit.gateway.change_source(name, {"enabled": False})
    return visit.redirect(
        visit.acted_on, f"{name} takes no requests. Its provider is told to come again."
    )


async def delete(visit: Visit) -> Response:
    """Deletes a source."""
    name = visit.path("name")
    await visit.gateway.delete_source(name)
    return visit.redirect("/sources", f"{name} is deleted.")


async def test(visit: Visit) -> Response:
    """Says what would come of a request: a part of the page."""
    body: Any = None
    headers, problem = _headers(visit.field("headers"))
    content = body_of(visit)
    if problem:
        return await visit.render("sources/tested.html", tried=None, problem=problem)
    if headers or any(content.values()):
        body = {"headers": headers, **content}
        body |= {name: text for name in ("path", "received_at") if (text := visit.field(name))}
    try:
        tried = await visit.gateway.try_source(visit.path("name"), body)
    except GatewayError as error:
        if error.status == 401:
            raise
        return await visit.render("sources/tested.html", tried=None, problem=keyed_faults(error))
    return await visit.render(
        "sources/tested.html", tried=tried, problem="", doubt=breaks_in_doubt(visit)
    )


async def set_secret(visit: Visit) -> Response:
    """Sets the source's secret, or its next value, and shows one that was made here this once."""
    source = await visit.gateway.show_source(visit.path("name"))
    secret = source.get("secret_name", "")
    given = visit.form.get("value", [""])[0]
    signs = source["type"] == "standard_webhooks"
    value = given or (standard_webhooks_key() if signs else random_secret())
    overlap = visit.field("overlap") or "24h"
    present = source["secret_state"] == "present"
    try:
        if present:
            await visit.gateway.rotate_secret(secret, {"value": value, "overlap": overlap})
        else:
            await visit.gateway.set_secret(secret, {"value": value})
    except GatewayError as error:
        if error.status not in (404, 409, 422):
            raise
        return visit.redirect(visit.acted_on, f"The secret is not set: {faults(error)}", "error")
    if given:
        also = f" For {overlap} the former value verifies, too." if present else ""
        return visit.redirect(visit.acted_on, f"The secret {secret} is set.{also}")
    return await visit.render(
        "sources/secret.html", source=source, value=value, overlap=overlap if present else ""
    )


def _headers(text: str) -> tuple[dict[str, str], str]:
    """Header lines, or a JSON object of headers; what cannot be read is told."""
    if text.startswith("{"):
        try:
            members = json.loads(text)
        except (ValueError, RecursionError) as error:
            return {}, f"The headers are not JSON: {error}."
        return {str(name): str(value) for name, value in members.items()}, ""
    headers = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            return {}, f"The header {line[:60]} is not of the form NAME: VALUE."
        headers[name.strip()] = value.strip()
    return headers, ""
