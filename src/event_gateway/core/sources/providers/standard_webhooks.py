"""Standard Webhooks 1.0, which many providers use, also by way of Svix.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider
from event_gateway.core.sources.standard_signature import check_standard
from event_gateway.core.webhook.signing_keys import PUBLIC, checker


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    check_standard(inbound, proof, definition.settings.public_key)


def _examine(definition: SourceDefinition) -> None:
    settings = definition.settings
    if bool(settings.public_key) == bool(settings.secret_name):
        raise InvalidDefinition("secret_name", "either it or public_key is required")
    if settings.public_key:
        try:
            if not settings.public_key.startswith(PUBLIC):
                raise ValueError(f"a public key begins with {PUBLIC}")
            checker(settings.public_key)
        except ValueError as error:
            raise InvalidDefinition("public_key", str(error)) from None


STANDARD_WEBHOOKS = Provider(
    name="standard_webhooks",
    title="Standard Webhooks, Svix",
    check=_check,
    optional=frozenset(("secret_name", "public_key")),
    examine=_examine,
    templates=Templates(
        type="{name}.{body.type|body.event_type|'received'}",
        id="{webhook-id|svix-id}",
        time="{body.timestamp|webhook-timestamp|svix-timestamp}",
    ),
    timed=True,
    example=Example(
        {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330"},
        '{"type":"user.created","timestamp":"2026-05-04T03:02:01Z","data":{"id":"u1"}}',
    ),
)
