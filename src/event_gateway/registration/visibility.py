"""Which webhooks and streams a caller may see. All others do not exist for it."""

from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed, may_manage, may_touch
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import NotRegistered
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.webhook.webhook import Webhook


def sees(caller: Principal, webhook: Webhook) -> bool:
    """Whether a caller may see and change a webhook."""
    return may_manage(caller, webhook.owner, webhook.events)


def webhook_of(caller: Principal, registry: Registry, webhook_id: str) -> Webhook:
    """The webhook with an id. Raises NotRegistered."""
    webhook = registry.webhook(webhook_id)
    if not sees(caller, webhook):
        raise NotRegistered(f"there is no webhook {webhook_id}")
    return webhook


def webhook_or_none(caller: Principal, registry: Registry, webhook_id: str) -> Webhook | None:
    """The webhook with an id; None if there is none that the caller may see."""
    webhook = registry.webhooks.get(webhook_id)
    return webhook if webhook is not None and sees(caller, webhook) else None


def webhooks_of(caller: Principal, registry: Registry) -> dict[str, Webhook]:
    """All webhooks that a caller may see, by id."""
    if not is_narrowed(caller):
        return registry.webhooks
    return {name: webhook for name, webhook in registry.webhooks.items() if sees(caller, webhook)}


def sees_since(caller: Principal, registry: Registry, webhook_id: str | None, since: float) -> bool:
    """Whether a caller may see what is about a webhook (None: over all) since a time: a confined
    one only what is about its own webhooks, and began after their registration, as a former webhook
    of this id may have had another owner."""
    if not caller.confined:
        return True
    webhook = registry.webhooks.get(webhook_id or "")
    return webhook is not None and sees(caller, webhook) and since >= webhook.created_at


def sees_stream(caller: Principal, definition: StreamDefinition) -> bool:
    """Whether a caller may read a stream, and it may have events for the caller."""
    return caller.may_read(definition.name) and bool(may_touch(caller, definition.subjects))


def streams_of(caller: Principal, registry: Registry) -> dict[str, StreamDefinition]:
    """All named streams that a caller may see, by name."""
    return {
        name: definition
        for name, definition in registry.streams.items()
        if not definition.deleting and sees_stream(caller, definition)
    }
