"""A webhook takes the place of another one: it was renamed."""

from msgspec.structs import replace

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.webhook.webhook import Webhook

MAX_FORMER = 16  # ids of a webhook that are remembered


def check_renaming(webhook: Webhook, former: Webhook, existing: Webhook | None) -> None:
    """Raises InvalidDefinition if ``webhook`` cannot take the place of ``former``. ``existing``:
    what is registered under its own id already."""
    if webhook.owner != former.owner:
        raise InvalidDefinition("renamed_from", f"{former.id} belongs to another owner")
    if (webhook.ordered, webhook.ordered_by) != (former.ordered, former.ordered_by):
        raise InvalidDefinition(
            "ordered", f"cannot change together with the id: it is that of {former.id}"
        )
    if existing is not None and webhook.ordered:
        raise InvalidDefinition(
            "renamed_from",
            f"{webhook.id} and {former.id} are both registered, and the order of their events "
            "cannot be made one: delete one of them",
        )


def taking_over(webhook: Webhook, former: Webhook) -> Webhook:
    """A new webhook as it takes the place of ``former``: it gets the same events, under the same
    message ids, once that one has made place."""
    same_receiver = webhook.url == former.url
    return replace(
        webhook,
        since=former.since,
        since_in=former.since_in,
        created_at=former.created_at,
        formerly=_formerly(webhook, former),
        waits_for=former.id,
        message_name=former.message_name or former.id,
        disabled=former.disabled if same_receiver else None,
        verified=former.verified if same_receiver and webhook.verify else None,
    )


def joining(webhook: Webhook, former: Webhook) -> Webhook:
    """A registered webhook that takes over the waiting deliveries of ``former``."""
    since_in = {
        stream: min(seq, former.since_in.get(stream, seq))
        for stream, seq in webhook.since_in.items()
    }
    return replace(
        webhook,
        since=min(webhook.since, former.since),
        since_in=since_in,
        formerly=_formerly(webhook, former),
        takes_over="" if webhook.takes_over == former.id else webhook.takes_over,
    )


def is_pending(webhook: Webhook, former: Webhook) -> bool:
    """Whether ``webhook`` is to take the place of ``former``, and that has not begun."""
    # Not ``renamed_from``: it may name a webhook that was registered later, or is of another owner.
    meant = former.id in (webhook.waits_for, webhook.takes_over) and not webhook.deleting
    begun = former.renamed_to or former.deleting
    return meant and not begun and former.owner == webhook.owner


def is_over(webhook: Webhook, former: Webhook | None) -> bool:
    """Whether ``webhook`` need not wait for ``former`` any more (None: there is none), or cannot
    take its place."""
    if former is None or former.owner != webhook.owner:
        return True
    return former.id == webhook.takes_over and former.renamed_to != webhook.id


def _formerly(webhook: Webhook, former: Webhook) -> tuple[str, ...]:
    ids = dict.fromkeys((*webhook.formerly, *former.formerly, former.id))
    ids.pop(webhook.id, None)  # it was renamed back
    return tuple(ids)[-MAX_FORMER:]
