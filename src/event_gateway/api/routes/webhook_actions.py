"""``/v1/webhooks/{id}/…``: sends a test, rotates the signing key, enables, and verifies."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Request, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.secrets import SecretAnswer
from event_gateway.api.answers.webhooks import ChangedWebhook, HandshakeAnswer, TriedWebhook
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.openapi.request_bodies import Rotation, SampleRequest
from event_gateway.api.routes import secret_rules
from event_gateway.api.routes.secrets import shown as shown_secret
from event_gateway.api.routes.webhook_answers import changed_answer
from event_gateway.api.routes.webhook_rules import WebhookRules
from event_gateway.api.server.bodies import event_in
from event_gateway.api.server.conditional import ETAG
from event_gateway.api.server.definitions import present
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.access.narrowing import may_read
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.webhook.signing_keys import check_keys
from event_gateway.registration.verification import Verifier
from event_gateway.registration.visibility import webhook_of
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.request import sample_request
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.receiver_client import ReceiverClient

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookActionParts:
    """What the routes use."""

    registry: Registry
    registration: WebhookRegistration
    verifier: Verifier
    receivers: ReceiverClient
    builders: RequestBuilders
    rules: WebhookRules
    secrets: secret_rules.SecretParts


Parts = Annotated[WebhookActionParts, Depends(provided(WebhookActionParts))]
NewKey = Annotated[dict[str, Any], Body(), SchemaOf(Rotation)]
Sample = Annotated[Annotated[dict[str, Any], SchemaOf(SampleRequest)] | None, Body()]


@router.post("/{webhook_id}/test", responses=answers(TriedWebhook, 200, 409))
async def try_webhook(
    request: Request,
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.test", "webhook/{webhook_id}")],
    webhook_id: str,
    body: Sample = None,
) -> Response:
    """Sends one event to the receiver at once and returns the request and its answer.

    The body is ``{"event": {…}}``; without a body the gateway makes an example event that fits the
    webhook's first pattern. It is not a delivery: nothing is recorded or retried, and it works for
    paused webhooks. 409 if the webhook needs verification and is not verified.
    """
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    if not webhook.is_verified:
        raise Problem(409, f"the webhook {webhook_id} is not verified; "
                           f"POST /v1/webhooks/{webhook_id}/verify verifies it")  # fmt: skip
    event = None
    if body is not None:
        if set(body) != {"event"}:
            raise Problem(422, 'the body is {"event": {…}}, or empty')
        event = event_in(await request.body())
        if not may_read(caller, Received(event, EVENTS, 0, time.time())):
            raise InvalidDefinition("event", "is not of a namespace and type of the caller")
    shown = await sample_request.send(
        parts.receivers,
        parts.builders.for_webhook(webhook),
        webhook,
        event or sample_request.sample_event(webhook),
    )
    call.about(after={name: shown.get(name) for name in ("status_code", "error_type")})
    return Response(msgspec.json.encode(shown), media_type="application/json")


@router.post("/{webhook_id}/rotate-secret", responses=answers(SecretAnswer, 200, 409))
async def rotate_signing_key(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.rotate-secret", "webhook/{webhook_id}")],
    once: Once,
    webhook_id: str,
    body: NewKey,
) -> dict[str, Any]:
    """Replaces the key that signs the webhook's requests: ``{"value": "whsec_…"}``.

    For the time of ``overlap`` (24h) requests carry a signature of the former key too. The gateway
    never shows a key: give it to the receiver yourself.
    """
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    names = [
        method.secret_name for method in webhook.security if method.auth_type == "hmac_signature"
    ]
    if not names or names[0] is None:
        raise Problem(409, f"the webhook {webhook_id} has no signing key: it has no hmac_signature")
    try:
        check_keys(body.get("value"))
    except ValueError as error:
        raise InvalidDefinition("value", str(error)) from None
    if not secret_rules.may_know(parts.secrets, caller, names[0]):
        raise Problem(409, "the signing key is not the caller's alone: its operator rotates it")
    secret_rules.check_changeable(parts.secrets, caller, names[0])
    before = shown_secret(parts.secrets, caller, names[0])
    await secret_rules.rotate(parts.secrets, names[0], body)
    after = shown_secret(parts.secrets, caller, names[0])
    call.about(before=before, after=after)
    return after


@router.post("/{webhook_id}/enable", responses=answers(ChangedWebhook, 200, 409, headers=ETAG))
async def enable_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.enable", "webhook/{webhook_id}")],
    once: Once,
    response: Response,
    webhook_id: str,
    discard: bool = Query(False, description="Cancel the deliveries that are pending."),
) -> dict[str, Any]:
    """Enables a webhook that was paused, or that the gateway has disabled."""
    former = present(webhook_of(caller, parts.registry, webhook_id))
    enabled = await parts.registration.enable(webhook_id, discard=discard)
    call.about(
        before=webhook_to_json(former), after=webhook_to_json(enabled) | {"discarded": discard}
    )
    return await changed_answer(parts.rules, caller, enabled, response)


@router.post("/{webhook_id}/verify", responses=answers(HandshakeAnswer, 200, 409))
async def verify_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.verify", "webhook/{webhook_id}")],
    webhook_id: str,
) -> dict[str, Any]:
    """Does the verification handshake with the receiver at once, and returns its answer.

    If the webhook has ``verify`` the result counts, also a failure: then its deliveries stay
    pending until a later handshake succeeds. Otherwise the result is not stored.
    """
    present(webhook_of(caller, parts.registry, webhook_id))
    answer = await parts.verifier.verify(webhook_id)
    verified = answer.verified is not None
    call.about(after={"verified": verified, "error_type": answer.error_type})
    return {
        "webhook_id": webhook_id,
        "verified": verified,
        "status_code": answer.status_code,
        "allowed_origin": answer.allowed_origin,
        "allowed_rate": answer.allowed_rate,
        "error_type": answer.error_type,
        "error_message": answer.error_message,
    }
