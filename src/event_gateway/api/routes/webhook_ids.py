"""Which ids of webhooks a caller may take, alone or from the webhook that has one now."""

from event_gateway.api.server.definitions import present, writable
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import AlreadyExists, InvalidDefinition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.visibility import sees


def is_unreadable(registry: Registry, caller: Principal, webhook_id: str) -> bool:
    """Whether the registry has an entry of that id that cannot be read; a narrowed caller is not
    told."""
    return not is_narrowed(caller) and registry.is_unreadable("webhook", webhook_id)


def check_free(registry: Registry, caller: Principal, webhook_id: str) -> None:
    """Raises AlreadyExists if the id belongs to another owner; the error does not say to which."""
    existing = registry.webhooks.get(webhook_id)
    if existing is None:
        taken = is_narrowed(caller) and registry.may_have_webhook(webhook_id)
    else:
        taken = not sees(caller, existing)
    if taken:
        raise AlreadyExists(f"the id {webhook_id} is taken")


def check_former(registry: Registry, caller: Principal, webhook: Webhook) -> None:
    """Raises a Problem if the webhook takes the place of one that the caller may not change. One
    that the caller may not see does not exist for it, and is not taken over."""
    former = registry.webhooks.get(webhook.renamed_from or "")
    own = registry.webhooks.get(webhook.id)
    if former is None or (own is not None and own.renamed_from == former.id):
        return
    if not sees(caller, former):
        if former.owner == webhook.owner:
            raise InvalidDefinition("renamed_from", f"the caller may not change {former.id}")
        return
    if former.owner != webhook.owner:
        raise InvalidDefinition("renamed_from", f"{former.id} belongs to another owner")
    if former.orphaned_at:
        present(former)
    else:
        writable(former)
