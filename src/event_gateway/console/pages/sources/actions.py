"""What may be done with a source, beside changing its definition."""

import json
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults, keyed_faults
from event_gateway.console.new_secrets import random_secret, standard_webhooks_key
from event_gateway.console.page_request import PageRequest
from event_gateway.console.pages.sources.captured import body_of, breaks_in_doubt


async def enable(request: PageRequest) -> Response:
    """Takes requests again."""
    name = request.path("name")
    await request.gateway.change_source(name, {"enabled": True})
    return request.redirect(request.acted_on, f"{name} takes requests again.")


async def disable(request: PageRequest) -> Response:
    """Takes no requests for now."""
    name = request.path("name")
    await request.gateway.change_source(name, {"enabled": False})
    return request.redirect(
        request.acted_on, f"{name} takes no requests. Its provider is told to come again."
    )


async def delete(request: PageRequest) -> Response:
    """Deletes a source."""
    name = request.path("name")
    await request.gateway.delete_source(name)
    return request.redirect("/sources", f"{name} is deleted.")


async def test(request: PageRequest) -> Response:
    """Says what would come of a request: a part of the page."""
    body: Any = None
    headers, problem = _headers(request.field("headers"))
    content = body_of(request)
    if problem:
        return await request.render("sources/tested.html", tried=None, problem=problem)
    if headers or any(content.values()):
        body = {"headers": headers, **content}
        body |= {name: text for name in ("path", "received_at") if (text := request.field(name))}
    try:
        tried = await request.gateway.try_source(request.path("name"), body)
    except GatewayError as error:
        if error.status == 401:
            raise
        return await request.render("sources/tested.html", tried=None, problem=keyed_faults(error))
    return await request.render(
        "sources/tested.html", tried=tried, problem="", doubt=breaks_in_doubt(request)
    )


async def set_secret(request: PageRequest) -> Response:
    """Sets the source's secret, or its next value, and shows one that was made here this once."""
    source = await request.gateway.show_source(request.path("name"))
    secret = source.get("secret_name", "")
    given = request.form.get("value", [""])[0]
    signs = source["type"] == "standard_webhooks"
    value = given or (standard_webhooks_key() if signs else random_secret())
    overlap = request.field("overlap") or "24h"
    present = source["secret_state"] == "present"
    try:
        if present:
            await request.gateway.rotate_secret(secret, {"value": value, "overlap": overlap})
        else:
            await request.gateway.set_secret(secret, {"value": value})
    except GatewayError as error:
        if error.status not in (404, 409, 422):
            raise
        return request.redirect(
            request.acted_on, f"The secret is not set: {faults(error)}", "error"
        )
    if given:
        also = f" For {overlap} the former value verifies, too." if present else ""
        return request.redirect(request.acted_on, f"The secret {secret} is set.{also}")
    return await request.render(
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
