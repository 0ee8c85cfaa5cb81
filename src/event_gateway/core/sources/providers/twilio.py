"""Twilio: ``X-Twilio-Signature`` is an HMAC of the URL and the fields of the form.

https://www.twilio.com/docs/usage/security#validating-requests
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.checks import check_hmac, header, pairs
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import FORM, Inbound
from event_gateway.core.sources.provider import Answer, Example, Proof, Provider, Refused
from event_gateway.core.text.endpoint_url import parse_endpoint_url

EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
_PORTS = {"https": 443, "http": 80}


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    given = header(inbound, "x-twilio-signature")
    fields = sorted(set(inbound.fields)) if inbound.media_type == FORM else []
    text = "".join(name + value for name, value in fields)
    url = definition.settings.url
    if url and "?" in inbound.target and "?" not in url:
        url += "?" + inbound.target.partition("?")[2]
    settings = dict(pairs(inbound.headers.get("x-twilio-webhooks-signature-settings", ""), ","))
    algorithm = "sha256" if settings.get("algorithm") == "HMAC_SHA256" else "sha1"
    refusal: Refused | None = None
    for each in _with_and_without_port(url or inbound.url):
        try:
            content = (each + text).encode("utf-8", "replace")
            check_hmac(proof, content, [given], algorithm=algorithm, encoding="base64")
            break
        except Refused as error:
            refusal = error
    else:
        assert refusal is not None
        raise refusal
    if inbound.media_type != FORM:
        # The signature covers the query string, which has a digest of the body.
        digest = hashlib.sha256(inbound.body).hexdigest()
        wanted = inbound.query.get("bodySHA256", "").lower().encode("utf-8", "replace")
        if not hmac.compare_digest(digest.encode(), wanted):
            raise Refused("signature", "bodySHA256 is not the digest of the body")


def _with_and_without_port(url: str) -> list[str]:
    """Twilio signs some URLs with their default port. Raises Refused for a URL that is none: its
    host is that of the request."""
    try:
        parts = urlsplit(url)
        named = parts.port
    except ValueError:
        raise Refused("signature", "the header host is not valid") from None
    default = _PORTS.get(parts.scheme)
    host = parts.netloc
    if host.endswith(f":{default}"):
        return [url, parts._replace(netloc=host.removesuffix(f":{default}")).geturl()]
    if named is None:
        return [url, parts._replace(netloc=f"{host}:{default}").geturl()]
    return [url]


def _examine(definition: SourceDefinition) -> None:
    if definition.settings.url:
        try:
            parse_endpoint_url(definition.settings.url)
        except ValueError as error:
            raise InvalidDefinition("url", str(error)) from None


TWILIO = Provider(
    name="twilio",
    title="Twilio",
    check=_check,
    required=frozenset(("secret_name",)),
    optional=frozenset(("url",)),
    examine=_examine,
    # Twilio reads an answer as instructions in its XML, and reports any other as an error.
    accepted=Answer(EMPTY, "text/xml"),
    templates=Templates(
        type="twilio.{body.MessageStatus|body.SmsStatus|body.CallStatus|'received'}",
        subject="{body.MessageSid|body.CallSid|body.SmsSid}",
        id="{i-twilio-idempotency-token|digest}",
    ),
    example=Example(
        {"I-Twilio-Idempotency-Token": "d0f1a5c2-3c6f-4c8a-9f3a-5f0c3a1b2c3d"},
        "MessageSid=SM1&MessageStatus=delivered&To=%2B15558675310",
        FORM,
    ),
)
