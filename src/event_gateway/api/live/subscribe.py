"""Beginning and ending a subscription, whichever way its events go out."""

import json
import secrets
import time
from collections.abc import Callable, Sequence

import structlog

from event_gateway.api.live.durable_names import claim, release
from event_gateway.api.live.refused import Refused
from event_gateway.api.server.context import Context
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.named_streams import UnknownStream, stream_name
from event_gateway.broker.provision import LIFECYCLE
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern, overlaps
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE_SUBJECTS
from event_gateway.core.streams.subscription import SubscribeRequest, Subscription
from event_gateway.state.connection import StateError
from event_gateway.streaming.framing import Framing
from event_gateway.streaming.message_filter import log_subjects, message_filter
from event_gateway.streaming.outbox import Outbox
from event_gateway.streaming.subscriber import Subscriber

log = structlog.get_logger(__name__)


def new_id() -> str:
    """The id of a subscription to be."""
    return f"sub_{secrets.token_hex(8)}"


async def begin(
    context: Context,
    principal: Principal,
    wanted: SubscribeRequest,
    subscription_id: str,
    outbox: Outbox,
    framing: Framing,
    *,
    joined: Callable[[int], None],
    on_ended: Callable[[str, str], None],
) -> Subscriber:
    """Subscribes; ``joined`` and ``on_ended`` as the hub has them. Raises Refused."""
    stream, patterns, holes = None, None, False
    if wanted.stream is not None:
        stream = known(context, principal, wanted.stream)
        source = stream_name(stream)
    else:
        patterns = wanted.subjects
        source, holes = _source(context, principal, patterns)
    subscriber = Subscriber(
        subscription_id, stream, source, outbox, framing, on_ended,
        message_filter(patterns, wanted.selection),
    )  # fmt: skip
    subscriber.principal = principal.name
    subscriber.subjects = wanted.subjects
    subscriber.since = time.time()
    subscriber.start = json.dumps(wanted.asked)
    start = wanted.start
    if wanted.durable is not None:
        subscriber.durable, start = await claim(context, wanted, subscription_id)
    begun = False

    def joined_at(seq: int) -> None:
        joined(seq)
        if subscriber.durable is not None:
            # Also what it never acknowledges is behind this, when it comes again.
            context.durables.acked(subscriber.durable, subscription_id, seq, lambda held: None)

    try:
        await _store(context, subscriber)
        await context.hub.subscribe(
            subscriber,
            start,
            joined=joined_at,
            patterns=None if patterns is None else log_subjects(patterns),
            holes=holes,
        )
        begun = True
    except UnknownStream:
        raise Refused("unknown_stream", f"there is no stream {(stream or '')[:64]}") from None
    except BrokerError:
        raise Refused("unavailable", "NATS cannot be reached right now") from None
    finally:
        if not begun:
            await _forget(context, subscriber)
    if stream is not None:
        context.lifecycle.stream("subscribed", stream, {
            "subscription_id": subscription_id, "principal": principal.name, "from": wanted.asked,
        })  # fmt: skip
        if not _there(context, stream):
            on_ended(subscription_id, "stream_deleted")  # meanwhile
    return subscriber


async def finish(context: Context, subscription_id: str, reason: str) -> None:
    """Ends a subscription, if it is there."""
    subscriber = context.hub.unsubscribe(subscription_id)
    if subscriber is None:
        return
    if subscriber.stream is not None:
        context.lifecycle.stream("unsubscribed", subscriber.stream, {
            "subscription_id": subscription_id, "reason": reason, "sent": subscriber.sent,
        })  # fmt: skip
    await _forget(context, subscriber)


def known(context: Context, principal: Principal, stream: str) -> str:
    """The stream's name, if it is there and open to this one. Raises Refused.

    Who may not read it is not told whether it is there.
    """
    if not principal.may_read(stream):
        raise Refused("forbidden", f"the key does not open the stream {stream[:64]}")
    if not _there(context, stream):
        raise Refused("unknown_stream", f"there is no stream {stream[:64]}")
    return stream


def _there(context: Context, stream: str) -> bool:
    definition = context.registry.streams.get(stream)
    return definition is not None and not definition.deleting


def _source(context: Context, principal: Principal, patterns: Sequence[str]) -> tuple[str, bool]:
    """The JetStream stream that has what comes on these subjects, and whether it has holes."""
    for pattern in patterns:
        try:
            check_pattern(pattern, "subjects")
        except InvalidDefinition as error:
            raise Refused("invalid", str(error)) from None
    if not principal.may_listen(patterns):
        raise Refused("forbidden", "the key does not open these subjects")
    places = [
        (LIFECYCLE, LIFECYCLE_SUBJECTS, False),
        (EVENTS, context.events.captured, False),
        *((one.name, one.subjects, True) for one in context.events.foreign),
    ]
    found = None
    for pattern in patterns:
        place = next(
            ((name, holes) for name, subjects, holes in places
             if any(overlaps(one, pattern) for one in subjects) and
             not (name == LIFECYCLE and pattern[0] in "*>")),
            None,
        )  # fmt: skip
        if place is None:
            raise Refused(
                "not_captured",
                f"the log captures nothing on {pattern[:64]}; what comes over HTTP with such a "
                f"type is on events.{pattern[:64]}",
            )
        if found not in (None, place):
            raise Refused("invalid", "these subjects are in different streams of NATS: subscribe "
                          "to each of its own")  # fmt: skip
        found = place
    assert found is not None
    return found


async def _store(context: Context, subscriber: Subscriber) -> None:
    stored = Subscription(
        subscriber.id, subscriber.stream or "", subscriber.principal, subscriber.since,
        subscriber.start, subscriber.durable.name if subscriber.durable else "",
    )  # fmt: skip
    try:
        await context.subscriptions.add(stored)
    except StateError as error:
        # Others cannot see it there; the events themselves do not pass through Redis.
        log.warning("subscription not stored", error=str(error))


async def _forget(context: Context, subscriber: Subscriber) -> None:
    if subscriber.durable is not None:
        await release(context, subscriber.durable, subscriber.id)
    try:
        await context.subscriptions.remove(subscriber.id)
    except StateError as error:
        log.warning("subscription not removed, it expires by itself", error=str(error))
