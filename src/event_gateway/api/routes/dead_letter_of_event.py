"""The dead letters of an event that the log does not hold any more."""

from collections.abc import Callable, Mapping

import msgspec

from event_gateway.api.routes.dead_letter_selection import DeadLetterSelection
from event_gateway.broker.dead_letters import StoredDeadLetter
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.access.principal import Principal
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.lookup.webhook_account import WebhookAccount
from event_gateway.replay.ownership import is_own, received

MAX_ASKED = 2000  # webhooks that are asked for a record of the event
MAX_SEARCHED = 2000  # latest dead letters that are searched where no record names one
READ = 500  # dead letters in one read


async def dead_letters_of(
    selection: DeadLetterSelection,
    account: WebhookAccount,
    caller: Principal,
    event_id: str,
    source: str | None,
    webhooks: Mapping[str, Webhook],
) -> dict[str, StoredDeadLetter]:
    """The latest dead letter of an event at each of these webhooks that has one with the event's
    bytes, as far as the caller may see it: what the records of the deliveries name. Where Redis has
    no record of a webhook that the event matches (of any, if no record names a dead letter), the
    latest dead letters are searched. Raises LogUnavailable, and the exceptions in StateError."""
    asked = list(webhooks.values())[:MAX_ASKED]
    records = await account.records_of(event_id, source, asked, own=is_narrowed(caller))
    latest: dict[str, StoredDeadLetter] = {}
    events: dict[str, Event] = {}  # by source: the webhooks got the same bytes

    def add(stored: StoredDeadLetter) -> None:
        webhook = webhooks.get(stored.body.webhook_id)
        event = stored.event
        if (
            webhook is not None
            and event.id == event_id
            and source in (None, event.source)
            and stored.has_event
            and selection.may_see(caller, stored)
            and is_own(webhook, stored)
            and webhook.id not in latest
        ):
            shared = events.setdefault(event.source, event)
            latest[webhook.id] = _slim(stored, shared if shared == event else event)

    for record in records.values():
        if record.dead_letter:
            stored = await selection.log.read(record.dead_letter)
            if stored is not None:
                add(stored)
    # Of some webhooks Redis may have forgotten the record.
    unknown = {name: webhook for name, webhook in webhooks.items() if name not in records}
    if latest:
        reached = received(next(iter(latest.values())))
        unknown = {
            name: webhook
            for name, webhook in unknown.items()
            if account.mismatch(webhook, reached, registered=False) is None
        }
    await _search(selection, webhooks if not latest else unknown, add)
    return latest


def _slim(stored: StoredDeadLetter, event: Event) -> StoredDeadLetter:
    """A dead letter without what a resend does not need: a thousand of them may be held."""
    body = msgspec.structs.replace(
        stored.body, attempts=[], event=msgspec.Raw(b"null"), webhook=msgspec.Raw(b"null")
    )
    return msgspec.structs.replace(stored, body=body, event=event)


async def _search(
    selection: DeadLetterSelection,
    webhooks: Mapping[str, Webhook],
    add: Callable[[StoredDeadLetter], None],
) -> None:
    """Calls ``add`` with the latest dead letters, the newest first; of a single webhook only with
    its own. One passage of them is held at a time."""
    first, last = await selection.log.bounds()
    only = next(iter(webhooks)) if len(webhooks) == 1 else None
    end = last + 1
    searched = 0
    while webhooks and end > first and searched < MAX_SEARCHED:
        letters, end = await selection.log.latest(
            webhook_id=only, before=end, floor=first, wanted=READ
        )
        searched += max(len(letters), 1)
        while letters:
            add(letters.pop(0))
