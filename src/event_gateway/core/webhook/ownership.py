"""Webhooks with an owner: they get events of its namespaces, and nothing else of the gateway's."""

from collections.abc import Iterator

from msgspec.structs import replace

from event_gateway.core.access.narrowing import is_within
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import BUILT_IN
from event_gateway.core.webhook.webhook import Webhook

NO_FILES = "files are for webhooks of the operators: this one belongs to a namespace"


def owned(webhook: Webhook, owner: tuple[str, ...]) -> Webhook:
    """The webhook as it belongs to an owner: without ``namespaces`` it gets those of its owner. So
    every reader of the log that asks which events a webhook gets is held by its selection."""
    return replace(webhook, owner=owner, namespaces=webhook.namespaces or owner)


def ownership_problems(webhook: Webhook) -> Iterator[InvalidDefinition]:
    """What a webhook with an owner must not have: events of others, files of the gateway, and
    transformations of the configuration file, which may contain anything."""
    if not webhook.owner:
        return
    if not is_within(webhook.namespaces, webhook.owner):
        allowed = ", ".join(webhook.owner)
        yield InvalidDefinition("namespaces", f"must be some of the webhook's own: {allowed}")
    if webhook.transformation not in BUILT_IN:
        yield InvalidDefinition(
            "transformation",
            f"{webhook.transformation!r} is unknown; there are: {', '.join(BUILT_IN)}",
        )
    if webhook.tls.ca:
        yield InvalidDefinition("tls.ca", NO_FILES)
    for position, method in enumerate(webhook.security):
        if method.auth_type == "mtls" or method.cert or method.key or method.ca:
            yield InvalidDefinition(f"security[{position}]", NO_FILES)
