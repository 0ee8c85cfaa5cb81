"""The webhook in a request's body, and what its caller may put into it."""

from dataclasses import dataclass
from typing import Any

from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.broker.event_log import EventLog
from event_gateway.config.request_bodies import webhook_from_json
from event_gateway.core.access.narrowing import (
    holds_nothing,
    is_narrowed,
    is_within,
    may_select,
)
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import DefinitionWarning, InvalidDefinition
from event_gateway.core.streams.capture_warnings import capture_warnings
from event_gateway.core.webhook.signing_keys import signers
from event_gateway.core.webhook.warnings import webhook_warnings
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request.address_warnings import address_warnings
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.request.transformations import Transformations
from event_gateway.secrets.named import Secrets
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.tls_files import read_file


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRules:
    """What a webhook is checked against."""

    secrets: Secrets
    transformations: Transformations
    guard: EgressGuard
    state: ApiState
    events: EventLog
    receivers: ReceiverClient


def parse(
    rules: WebhookRules,
    caller: Principal,
    body: dict[str, Any],
    owner: tuple[str, ...],
    former: Webhook | None = None,
) -> Webhook:
    """The webhook of a body, as it belongs to ``owner``. URLs and a transformation of ``former``
    are not checked again. Raises InvalidBody, InvalidDefinition, and a Problem 403."""
    if holds_nothing(caller):
        raise Problem(403, "the caller is narrowed to no namespace: it can register no webhook")
    unchanged: set[str] = set()
    names = rules.transformations.names
    if former is not None:
        unchanged = {former.url, *(method.token_url for method in former.security)}
        names |= {former.transformation}

    def refuses_url(url: str) -> str | None:
        return None if url in unchanged else rules.guard.refuses_url(url)

    webhook = webhook_from_json(
        body, names, rules.state.retention, refuses_url, owner=owner, former=former
    )
    if not may_select(caller, webhook.events):
        allowed = ", ".join(caller.types or ())
        raise InvalidDefinition("events", f"the caller may use types within: {allowed}")
    _check_secrets(rules.secrets, caller, webhook, former)
    if webhook.tls.ca and (former is None or webhook.tls != former.tls):
        secrets = rules.secrets
        try:
            read_file(secrets.directory / webhook.tls.ca, "ca", secrets.is_private)
        except ValueError as error:
            raise InvalidDefinition("tls", str(error)) from None
    return webhook


async def warnings_of(
    rules: WebhookRules, caller: Principal, webhook: Webhook
) -> list[DefinitionWarning]:
    """What will not work as the owner of a webhook may expect."""
    available = rules.secrets.of(webhook.owner)
    # The subjects that the log captures are named after what others publish.
    captured = None if is_narrowed(caller) else rules.events.all_captured
    return [
        *webhook_warnings(
            webhook, lambda name: bool(available.look_up(name)), rules.state.retention
        ),
        *capture_warnings(webhook.events, captured, "events"),
        *await address_warnings(rules.receivers, webhook),
    ]


def _check_secrets(
    secrets: Secrets, caller: Principal, webhook: Webhook, former: Webhook | None
) -> None:
    """Raises InvalidDefinition if the webhook may not use a secret that it names, if a name leads
    to a private file of the gateway, or if a secret that signs is there and cannot sign.

    Those that ``former`` names are not checked again, but where a caller other than an operator
    would have them sent elsewhere.
    """
    known: tuple[object, ...] = ()
    if former is not None and (caller.is_operator or _sends_to_the_same(webhook, former)):
        known = former.security
    usable = secrets.of(webhook.owner)
    for position, method in enumerate(webhook.security):
        name = method.secret_name
        if name is None or method in known:
            continue
        key = f"security[{position}].secret_name"
        _check_namespaces(secrets, caller, webhook, name, key)
        if secrets.refuses(name):
            raise InvalidDefinition(key, "leads to a private file or variable of the gateway")
        if secrets.proves_callers(name):
            raise InvalidDefinition(key, "callers of the gateway prove themselves with this secret")
        if method.auth_type == "hmac_signature":
            try:
                signers(usable.look_up(name))
            except ValueError as error:
                raise InvalidDefinition(key, f"the secret {name}: {error}") from None


def _sends_to_the_same(webhook: Webhook, former: Webhook) -> bool:
    return (webhook.url, webhook.tls) == (former.url, former.tls)


def _check_namespaces(
    secrets: Secrets, caller: Principal, webhook: Webhook, name: str, key: str
) -> None:
    """Raises InvalidDefinition unless a secret names all namespaces of the webhook's owner. Of a
    webhook without an owner: unless an operator registers it, or the secret names all namespaces
    of its events. It is not told whether there is such a secret."""
    if webhook.owner:
        if not secrets.of(webhook.owner).look_up(name):
            namespaces = ", ".join(webhook.owner)
            raise InvalidDefinition(key, f"there is no secret {name} for all of: {namespaces}")
    elif not caller.is_operator and not is_within(webhook.namespaces, secrets.namespaces(name)):
        raise InvalidDefinition(
            key,
            f"there is no secret {name} for the webhook's namespaces; only a caller with the scope "
            "admin may use secrets of no namespace",
        )
