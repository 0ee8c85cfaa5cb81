"""Durable names: a position that outlives its connection. One subscription has a name at a time."""

import structlog

from event_gateway.api.live.refused import Refused
from event_gateway.api.server.context import Context
from event_gateway.broker.connection import BrokerError
from event_gateway.core.streams.start import Start
from event_gateway.core.streams.subscription import SubscribeRequest
from event_gateway.state.connection import StateError
from event_gateway.state.durables import Claim, Name
from event_gateway.streaming.subscriber import Subscriber

log = structlog.get_logger(__name__)

TRIES = 3


async def claim(
    context: Context, wanted: SubscribeRequest, subscription_id: str
) -> tuple[Name, Start]:
    """Takes the name that is wanted; gives it, and where its subscription begins.

    Of a name that a living connection has, only ``take_over`` puts that out. Raises Refused.
    """
    assert wanted.stream is not None
    assert wanted.durable is not None
    made = context.registry.streams[wanted.stream].created_at
    name = Name(wanted.stream, wanted.durable, made)
    try:
        taken = await _taken(context, name, subscription_id, take_over=wanted.take_over)
    except StateError:
        raise Refused("unavailable", "Redis, which keeps positions, cannot be reached") from None
    except BrokerError:
        raise Refused("unavailable", "NATS cannot be reached right now") from None
    return name, wanted.start if taken.position is None else Start(seq=taken.position + 1)


async def _taken(context: Context, name: Name, subscription_id: str, *, take_over: bool) -> Claim:
    instead_of = ""
    for _ in range(TRIES):
        taken = await context.durables.claim(name, subscription_id, instead_of)
        if not taken.holder:
            return taken
        instead_of = taken.holder
        if take_over:
            await context.directory.close(instead_of, "taken_over")
        elif await context.directory.holds(instead_of):
            break
        # Who does not answer has died; if it has not after all, its position cannot move any more.
    raise Refused("durable_in_use", f"another connection has {name.name}: take_over ends that one")


def acknowledge(context: Context, subscriber: Subscriber, seq: object, ref: object) -> None:
    """The client has done all up to a sequence. It is answered, if it has a ``ref``, once that is
    kept. Raises Refused."""
    if subscriber.durable is None:
        raise Refused("not_durable", "only subscriptions with a durable name keep a position")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= subscriber.position:
        raise Refused("invalid", f"seq is a sequence up to {subscriber.position}")
    acked = seq

    def written(held: bool) -> None:
        if not held:
            subscriber.on_ended(subscriber.id, "taken_over")
        elif ref is not None:
            frame = subscriber.framing.notice("acked", {"ref": ref, "seq": acked})
            if frame is not None:
                subscriber.outbox.put(*frame)
                subscriber.outbox.flush()

    context.durables.acked(subscriber.durable, subscriber.id, acked, written)


async def release(context: Context, name: Name, subscription_id: str) -> None:
    """Gives a name up, if Redis can be reached; it is free without that, too, once its connection
    is gone."""
    try:
        await context.durables.release(name, subscription_id)
    except StateError as error:
        log.warning("durable name not given up", name=name.name, error=str(error))
