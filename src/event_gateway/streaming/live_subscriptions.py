"""The live subscriptions of a process: how each begins and ends, whatever protocol carries it."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from event_gateway.beats import beat
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.named_streams import UnknownStream, stream_name
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed, may_touch, owner_of
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.subscription_view import names_of
from event_gateway.core.streams.subscription import SubscribeRequest, Subscription
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.state.connection import StateError
from event_gateway.state.subscriptions import Subscriptions
from event_gateway.streaming.durable_names import DurableNames
from event_gateway.streaming.framing import AloneFraming, Framing
from event_gateway.streaming.hub import Hub
from event_gateway.streaming.message_filter import message_filter, narrowed_filter, subjects_of
from event_gateway.streaming.refusal import SubscriptionRefused
from event_gateway.streaming.send_buffer import BufferBudget, SendBuffer
from event_gateway.streaming.subject_source import SubjectSource, check_subjects, source_of
from event_gateway.streaming.subscriber import Subscriber
from event_gateway.tasks import spawn

log = structlog.get_logger(__name__)

POSITION_INTERVAL = 15.0  # seconds between two reports of positions that moved without an event
AT_ONCE = 256  # subscribers that are told their positions in one turn of the event loop


def new_id() -> str:
    """The id of a new subscription."""
    return f"sub_{secrets.token_hex(8)}"


class LiveSubscriptions:
    """Begins and ends subscriptions: checks the request, joins the hub, stores the subscription in
    Redis for others to see, and publishes the lifecycle events."""

    def __init__(
        self,
        *,
        hub: Hub,
        registry: Registry,
        events: EventLog,
        names: DurableNames,
        stored: Subscriptions,
        lifecycle: Lifecycle,
    ) -> None:
        self.names = names
        self._hub = hub
        self._registry = registry
        self._events = events
        self._stored = stored
        self._lifecycle = lifecycle
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def budget(self) -> BufferBudget:
        """The bytes that may wait for all subscribers of this process together."""
        return self._hub.budget

    def find(self, subscription_id: str) -> Subscriber | None:
        """The subscriber, None if this process has none of that id."""
        return self._hub.subscriber(subscription_id)

    def check(self, principal: Principal, request: SubscribeRequest) -> SubjectSource:
        """The JetStream stream to read for a request. Raises SubscriptionRefused if there is none,
        or it is not open to the principal."""
        if request.stream is not None:
            self._check_readable(principal, request.stream)
            return SubjectSource(stream_name(request.stream), holes=False)
        check_subjects(request.subjects)
        if not principal.may_listen(request.subjects):
            raise SubscriptionRefused("forbidden", "the key does not open these subjects")
        return source_of(self._events, request.subjects)

    async def begin(
        self,
        principal: Principal,
        request: SubscribeRequest,
        subscription_id: str,
        buffer: SendBuffer,
        framing: Framing,
        *,
        joined: Callable[[int], None],
        on_ended: Callable[[str, str], None],
    ) -> Subscriber:
        """Subscribes. Events go to ``buffer``, framed by ``framing``.

        Calls ``joined(seq)`` with the sequence before the first event, before any event; and
        ``on_ended(id, code)`` once, if the subscription ends without the client's request.
        Raises SubscriptionRefused.
        """
        source, holes = self.check(principal, request)
        patterns = request.subjects if request.stream is None else None
        durable, start = None, request.start
        if request.durable is not None:
            durable, start = await self.names.claim(request, subscription_id, names_of(principal))
        passes = message_filter(patterns, request.selection)
        if is_narrowed(principal):
            passes, framing = narrowed_filter(principal, passes), AloneFraming(framing)
        subscriber = Subscriber(
            subscription_id,
            source=source,
            stream=request.stream,
            subjects=request.subjects,
            durable=durable,
            principal=principal.name,
            owner=owner_of(principal),
            key=principal.identity,
            start=json.dumps(request.start_given),
            since=time.time(),
            buffer=buffer,
            framing=framing,
            passes=passes,
            on_ended=on_ended,
        )
        started = False

        def on_joined(seq: int) -> None:
            joined(seq)
            if subscriber.durable is not None:
                self.names.started(subscriber.durable, subscription_id, seq)

        try:
            await self._store(subscriber)
            await self._hub.subscribe(
                subscriber,
                start,
                joined=on_joined,
                patterns=None if patterns is None else subjects_of(patterns),
                holes=holes,
            )
            started = True
        except UnknownStream:
            if request.stream is not None and not self._exists(request.stream):
                raise _unknown(request.stream) from None
            # Deleted in NATS: the gateway creates it again.
            raise SubscriptionRefused("unavailable", "NATS does not have the stream") from None
        except BrokerError:
            raise SubscriptionRefused("unavailable", "NATS cannot be reached") from None
        finally:
            if not started:
                await self._forget(subscriber)
        if request.stream is not None:
            self._lifecycle.stream("subscribed", request.stream, {
                "subscription_id": subscription_id, "principal": principal.name,
                "from": request.start_given,
            })  # fmt: skip
            if not self._exists(request.stream):
                on_ended(subscription_id, "stream_deleted")  # while the subscription began
        return subscriber

    async def tell_positions(self) -> None:
        """Tells subscribers their positions, where these moved without an event. It never
        returns."""
        while True:
            await beat(POSITION_INTERVAL)
            for number, subscriber in enumerate(self._hub.subscribers(), 1):
                self._tell_position(subscriber)
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)

    def tell_positions_at_once(self) -> None:
        """Does the same now, before the connections are closed."""
        for subscriber in self._hub.subscribers():
            self._tell_position(subscriber)

    def _tell_position(self, subscriber: Subscriber) -> None:
        subscriber.tell_position()
        self.names.settle(subscriber)

    async def end(self, subscription_id: str, reason: str) -> None:
        """Ends a subscription, if there is one of that id. ``reason`` goes into the lifecycle
        event, as a phrase such as ``closed``."""
        subscriber = self._hub.unsubscribe(subscription_id)
        if subscriber is None:
            return
        self.names.settle(subscriber)
        if subscriber.stream is not None:
            self._lifecycle.stream("unsubscribed", subscriber.stream, {
                "subscription_id": subscription_id, "reason": reason, "sent": subscriber.sent,
            })  # fmt: skip
        await self._forget(subscriber)

    def end_soon(self, subscription_id: str, reason: str) -> None:
        """Ends a subscription in a task, for callers that cannot wait."""
        self.spawn_ending(self.end(subscription_id, reason))

    def spawn_ending(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a task that ends subscriptions; :meth:`wait_until_ended` waits for it."""
        task = spawn(work, name="subscription-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def wait_until_ended(self, timeout: float) -> None:
        """Waits for all that is ending now, at most ``timeout`` seconds."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=timeout)

    def _check_readable(self, principal: Principal, stream: str) -> None:
        """Raises SubscriptionRefused if the stream is not open to this principal or not there.

        A principal that may not read a stream is not told whether it exists.
        """
        if not principal.may_read(stream):
            raise SubscriptionRefused(
                "forbidden", f"the key does not open the stream {stream[:64]}"
            )
        definition = self._registry.streams.get(stream)
        seen = definition is not None and may_touch(principal, definition.subjects)
        if not seen or not self._exists(stream):
            raise _unknown(stream)

    def _exists(self, stream: str) -> bool:
        definition = self._registry.streams.get(stream)
        return definition is not None and not definition.deleting

    async def _store(self, subscriber: Subscriber) -> None:
        subscription = Subscription(
            subscriber.id, subscriber.stream or "", subscriber.principal, subscriber.since,
            subscriber.start, subscriber.durable.name if subscriber.durable else "",
        )  # fmt: skip
        try:
            await self._stored.add(subscription)
        except StateError as error:
            # It is not visible in Redis; its events do not pass through Redis.
            log.warning("subscription not stored", error=str(error))

    async def _forget(self, subscriber: Subscriber) -> None:
        if subscriber.durable is not None:
            await self.names.release(subscriber.durable, subscriber.id)
        try:
            await self._stored.remove(subscriber.id)
        except StateError as error:
            log.warning("subscription not removed, its key will expire", error=str(error))


def _unknown(stream: str) -> SubscriptionRefused:
    return SubscriptionRefused("unknown_stream", f"there is no stream {stream[:64]}")
