"""The form of a source: a new one, or a change of one that is there."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError, etag_of
from event_gateway.console.failures import detail_of
from event_gateway.console.page_request import PageRequest

# The settings of providers: their labels, and what they are for.
SETTINGS = {
    "secret_name": ("Name of the secret", "Its name, never its value: you set that next."),
    "header": ("Header", "Of the signature or the key."),
    "query": ("Parameter of the URL", "With the key."),
    "algorithm": ("Algorithm of the HMAC", "sha256 (default), sha1, sha384 or sha512."),
    "encoding": ("Encoding of the signature", "hex (default) or base64."),
    "prefix": ("Prefix of the signature", "Such as v2=."),
    "signed": ("What is signed", "A template: {body}, {x-a-header}. Empty: the body."),
    "timestamp": ("Header of the signed time", ""),
    "username": ("User", ""),
    "public_key": ("Public key", "That verifies the signatures."),
    "url": ("URL under which the provider calls", "Where a proxy changes host or scheme."),
    "topics": ("Topics", "One a line."),
    "issuer": ("Issuer of the tokens", ""),
    "audience": ("Audience of the tokens", ""),
    "jwks_url": ("URL of the issuer's keys", ""),
    "email": ("E-mail of the service account", ""),
    "subject": ("Subject of the client certificate", ""),
    "dns": ("DNS name in the client certificate", ""),
    "uri": ("URI in the client certificate", ""),
}
LONG = frozenset(("topics", "public_key", "signed"))
ATTRIBUTES = ("type", "subject", "id", "time", "source")
CHECKS = ("enabled", "keep_refused")


async def new(request: PageRequest) -> Response:
    """The providers to choose from; with one in the URL the form of a new source."""
    types = (await request.gateway.list_source_types())["items"]
    chosen = request.query("type")
    if chosen is None or all(each["type"] != chosen for each in types):
        return await request.render("sources/choose.html", types=types)
    return await _form(request, {"type": chosen, "enabled": "yes"}, {}, former=None, types=types)


async def edit(request: PageRequest) -> Response:
    """The form of a source that is there."""
    source, types = await asyncio.gather(
        request.gateway.show_source(request.path("name")), request.gateway.list_source_types()
    )
    definition: Any = source
    values = {name: definition[name] for name in SETTINGS if name in definition}
    values |= {f"event__{name}": text for name, text in source["event"].items()}
    values |= {name: source[name] for name in ("name", "type", "description")}
    values |= {name: "yes" for name in CHECKS if definition[name]}
    values |= {"tolerance": source["tolerance"] or "", "etag": etag_of(source) or ""}
    if "topics" in values:
        values["topics"] = "\n".join(values["topics"])
    return await _form(request, values, {}, former=source["name"], types=types["items"])


async def create(request: PageRequest) -> Response:
    """Registers the source of the form."""
    try:
        created = await request.gateway.create_source(_definition(request))  # type: ignore[arg-type]
    except GatewayError as error:
        return await _refused(request, error, former=None)
    return request.saved(
        f"/sources/{created['name']}", f"{created['name']} is registered.", created["warnings"]
    )


async def save(request: PageRequest) -> Response:
    """Replaces the definition of a source, unless another caller has changed it meanwhile."""
    name = request.path("name")
    definition = _definition(request) | {"name": name}
    try:
        changed = await request.gateway.replace_source(
            name, definition, if_match=request.etag  # type: ignore[arg-type]
        )  # fmt: skip
    except GatewayError as error:
        return await _refused(request, error, former=name)
    return request.saved(f"/sources/{name}", f"{name} is changed.", changed["warnings"])


def _definition(request: PageRequest) -> dict[str, Any]:
    """What the form says; what it leaves empty is left out."""
    names = ("name", "type", "description", "tolerance", *SETTINGS)
    body: dict[str, Any] = {name: text for name in names if (text := request.field(name))}
    if "topics" in body:
        body["topics"] = body["topics"].split()
    if "signed" in body:
        body["signed"] = _signed(request)
    event = {name: text for name in ATTRIBUTES if (text := request.field(f"event__{name}"))}
    return body | {"event": event} | {name: bool(request.field(name)) for name in CHECKS}


def _signed(request: PageRequest) -> str:
    """What is signed, character for character: a line break at its end counts."""
    text = request.form.get("signed", [""])[0]
    return text.replace("\n", "\r\n") if request.field("crlf") else text


async def _refused(request: PageRequest, error: GatewayError, former: str | None) -> Response:
    """The form again, with what the gateway says of its fields."""
    if error.status not in (409, 412, 422):
        raise error
    errors = {
        str(each.get("key") or "").replace(".", "__"): str(each["detail"])
        for each in error.problem.get("errors") or []
    }
    if not errors:
        errors = {"name" if error.status == 409 and former is None else "": detail_of(error)}
    types = (await request.gateway.list_source_types())["items"]
    fields = ("name", "type", "description", "tolerance", "etag", *CHECKS, *SETTINGS)
    values = {name: request.field(name) for name in fields}
    values |= {f"event__{name}": request.field(f"event__{name}") for name in ATTRIBUTES}
    values["signed"] = _signed(request)
    return await _form(request, values, errors, former=former, types=types)


async def _form(
    request: PageRequest,
    values: Mapping[str, Any],
    errors: Mapping[str, str],
    *,
    former: str | None,
    types: Any,
) -> Response:
    provider = next((each for each in types if each["type"] == values["type"]), None)
    if provider is None:
        return await request.render("sources/choose.html", types=types)
    named = (*provider["required"], *provider["optional"])
    known = {"name", "type", "description", "tolerance", *named,
             *(f"event__{name}" for name in ATTRIBUTES)}  # fmt: skip
    unseen = [f"{name} {text}".strip() for name, text in errors.items() if name not in known]
    return await request.render(
        "sources/form.html",
        status=422 if errors else 200,
        values={"etag": "", **values},
        errors=errors,
        unseen=" ".join(unseen),
        former=former,
        provider=provider,
        settings={name: SETTINGS.get(name, (name, "")) for name in named},
        long=LONG,
        attributes=ATTRIBUTES,
    )
