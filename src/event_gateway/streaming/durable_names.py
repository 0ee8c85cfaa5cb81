"""Durable names: positions that outlive a connection. One subscription at a time holds a name."""

from collections.abc import Callable

import structlog

from event_gateway.broker.connection import BrokerError
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.registry import Registry
from event_gateway.core.streams.start import Start
from event_gateway.core.streams.subscription import SubscribeRequest
from event_gateway.state.connection import StateError
from event_gateway.state.durables import Claim, DurablePositions, Name
from event_gateway.streaming.refusal import SubscriptionRefused
from event_gateway.streaming.subscriber import Subscriber
from event_gateway.streaming.subscription_directory import SubscriptionDirectory

log = structlog.get_logger(__name__)

TRIES = 3  # claims of a name, as its holder may change between two of them


class DurableNames:
    """Claims names for subscriptions, stores their acknowledged positions, and releases them."""

    def __init__(
        self, registry: Registry, durables: DurablePositions, directory: SubscriptionDirectory
    ) -> None:
        self._registry = registry
        self._durables = durables
        self._directory = directory

    async def claim(
        self, request: SubscribeRequest, subscription_id: str, owner: tuple[str, ...]
    ) -> tuple[Name, Start]:
        """Claims the requested name for an owner.

        Returns it, and where its subscription starts: behind the last acknowledged sequence, at the
        first event if that sequence is of a former stream, or where the request says if there is
        none.

        A name that a live subscription holds is claimed only with ``take_over``, which ends that
        subscription. Raises SubscriptionRefused.
        """
        assert request.stream is not None
        assert request.durable is not None
        created = self._registry.streams[request.stream].created_at
        known = self._registry.logs.get(stream_name(request.stream))
        if known is not None:
            created = max(created, known.reset_at)
        name = Name(request.stream, request.durable, created, owner)
        try:
            claimed = await self._claim(name, subscription_id, take_over=request.take_over)
        except StateError:
            raise SubscriptionRefused(
                "unavailable", "Redis, which stores positions, cannot be reached"
            ) from None
        except BrokerError:
            raise SubscriptionRefused("unavailable", "NATS cannot be reached") from None
        if claimed.position is not None:
            return name, Start(seq=claimed.position + 1)
        return name, Start(first=True, recreated=True) if claimed.former else request.start

    def started(self, name: Name, subscription_id: str, seq: int) -> None:
        """Stores the sequence before the first message: without any acknowledgement, the next
        subscription of this name starts behind it."""
        self._durables.advance(name, subscription_id, seq, lambda stored: None)

    def acknowledge(self, subscriber: Subscriber, seq: object, stored: Callable[[], None]) -> None:
        """The client has processed all up to ``seq``. Calls ``stored`` once Redis has it; ends the
        subscription if another one holds its name by then. Raises SubscriptionRefused.

        If that was the last event sent, what was left out behind it counts as processed, too.
        """
        if subscriber.durable is None:
            raise SubscriptionRefused(
                "not_durable", "only subscriptions with a durable name store a position"
            )
        if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= subscriber.position:
            raise SubscriptionRefused(
                "invalid", f"seq must be a sequence up to {subscriber.position}"
            )

        self._advance(
            subscriber, subscriber.position if seq >= subscriber.last_event else seq, stored
        )

    def settle(self, subscriber: Subscriber) -> None:
        """Advances the position of a durable name over messages that were left out, if the client
        has acknowledged every event that it was sent: it has nothing else to acknowledge."""
        if subscriber.durable is None or subscriber.acked < subscriber.last_event:
            return
        if subscriber.position > subscriber.acked:
            self._advance(subscriber, subscriber.position, lambda: None)

    def _advance(self, subscriber: Subscriber, seq: int, stored: Callable[[], None]) -> None:
        assert subscriber.durable is not None

        def written(still_held: bool) -> None:
            if still_held:
                stored()
            else:
                subscriber.on_ended(subscriber.id, "taken_over")

        subscriber.acked = max(subscriber.acked, seq)
        self._durables.advance(subscriber.durable, subscriber.id, seq, written)

    async def release(self, name: Name, subscription_id: str) -> None:
        """Releases a name. If Redis cannot be reached the name can be claimed all the same, as its
        holder does not live any more."""
        try:
            await self._durables.release(name, subscription_id)
        except StateError as error:
            log.warning("durable name not released", durable=name.name, error=str(error))

    async def _claim(self, name: Name, subscription_id: str, *, take_over: bool) -> Claim:
        instead_of = ""
        for _ in range(TRIES):
            claimed = await self._durables.claim(name, subscription_id, instead_of)
            if not claimed.holder:
                return claimed
            instead_of = claimed.holder
            if take_over:
                await self._directory.close(instead_of, "taken_over")
            elif await self._directory.holds(instead_of):
                break
            # A process that does not answer has died. If it has not, the next claim fences its
            # subscription off: that one cannot move the position any more.
        raise SubscriptionRefused(
            "durable_in_use",
            f"another connection holds the name {name.name}: take_over ends that one",
        )
