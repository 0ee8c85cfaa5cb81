"""The subscription directory: all live subscriptions, over all processes of a gateway.

Each process answers for its own subscriptions, over plain NATS.
"""

import asyncio
import time

import msgspec
from nats.aio.msg import Msg

from event_gateway.broker.connection import Broker
from event_gateway.broker.peers import Peers
from event_gateway.core.access.subscription_view import SubscriptionView
from event_gateway.streaming.hub import Hub
from event_gateway.streaming.subscriber import Subscriber

SUBJECT = "eg.subscribers"
MAX_SIBLINGS = 256  # ids that differ in their last character only
PATIENCE = 1.0  # seconds to wait for the answers of all processes


class ListedSubscription(msgspec.Struct, frozen=True):
    """A subscriber as its process knows it. ``key`` and ``owner`` tell who may see it; processes
    of former versions name none. ``position``: the sequence up to which it has received
    all; ``lag``: how many messages it is behind; ``since`` in seconds since the epoch."""

    id: str
    stream: str | None
    subjects: tuple[str, ...]
    principal: str
    since: float
    start: str
    durable: str
    position: int
    lag: int
    lagging: bool
    sent: int
    process: str
    key: str = ""  # as that of a Subscriber; empty from a process of a former version
    owner: tuple[str, ...] = ()


class _Request(msgspec.Struct):
    """``close``: end the subscription of that id. ``holds``: does the process have it? Else: list
    subscriptions; with ``view`` those that it includes. The names of the members are those of the
    messages between processes."""

    close: str = ""
    code: str = ""
    holds: str = ""
    stream: str | None = None
    after: str = ""
    limit: int = 0
    view: SubscriptionView | None = None


class _Answer(msgspec.Struct):
    process: str
    found: bool = False
    total: int = 0
    items: list[ListedSubscription] = []


class SubscriptionDirectory:
    """Sends requests to all live processes, this one included."""

    def __init__(self, broker: Broker, peers: Peers, hub: Hub) -> None:
        self._broker = broker
        self._peers = peers
        self._hub = hub

    async def start(self) -> None:
        """Starts to answer requests. Raises the exceptions in BrokerError."""
        await self._broker.nc.subscribe(SUBJECT, cb=self._answer)

    async def subscribers(
        self,
        *,
        stream: str | None = None,
        after: str = "",
        limit: int,
        view: SubscriptionView | None = None,
    ) -> tuple[list[ListedSubscription], int, bool]:
        """At most ``limit`` subscribers, sorted by id, of one stream or of all; how many there are
        in total; and whether every live process has answered. ``view``: those that it includes.

        Raises the exceptions in BrokerError.
        """
        request = _Request(stream=stream, after=after, limit=limit, view=view)
        answers, whole = await self._request(request)
        items = sorted(
            (
                entry
                for answer in answers
                for entry in answer.items
                # Once more: a process of a former version does not know views.
                if view is None or view.sees(entry.owner, entry.key, entry.stream)
            ),
            key=lambda entry: entry.id,
        )
        return items[:limit], sum(answer.total for answer in answers), whole

    async def close(self, subscription_id: str, code: str = "closed_by_operator") -> bool | None:
        """Ends a subscription in whichever process it is. False if no process has it, None if that
        is unknown because not all have answered. Raises the exceptions in BrokerError."""
        return await self._find(_Request(close=subscription_id, code=code))

    async def includes(self, view: SubscriptionView, subscription_id: str) -> bool | None:
        """Whether a view includes a subscription; None as for :meth:`close`."""
        items, _, whole = await self.subscribers(
            after=subscription_id[:-1], limit=MAX_SIBLINGS, view=view
        )
        if any(entry.id == subscription_id for entry in items):
            return True
        return False if whole else None

    async def holds(self, subscription_id: str) -> bool | None:
        """Whether any live process has a subscription; None as for :meth:`close`."""
        return await self._find(_Request(holds=subscription_id))

    async def _find(self, request: _Request) -> bool | None:
        answers, whole = await self._request(request)
        return True if any(answer.found for answer in answers) else (False if whole else None)

    async def _request(self, request: _Request) -> tuple[list[_Answer], bool]:
        answers: dict[str, _Answer] = {}
        answered = asyncio.Event()
        by_id = bool(request.close or request.holds)

        async def on_answer(message: Msg) -> None:
            answer = msgspec.json.decode(message.data, type=_Answer)
            answers[answer.process] = answer
            answered.set()

        def enough() -> bool:
            found = by_id and any(answer.found for answer in answers.values())
            return found or len(answers) >= self._peers.index_and_count[1]

        nc = self._broker.nc
        inbox = nc.new_inbox()
        subscription = await nc.subscribe(inbox, cb=on_answer)
        deadline = time.monotonic() + PATIENCE
        try:
            await nc.publish(SUBJECT, msgspec.json.encode(request), reply=inbox)
            while not enough():
                answered.clear()
                async with asyncio.timeout(deadline - time.monotonic()):
                    await answered.wait()
        except TimeoutError:
            return list(answers.values()), False
        finally:
            await subscription.unsubscribe()
        return list(answers.values()), True

    async def _answer(self, message: Msg) -> None:
        request = msgspec.json.decode(message.data, type=_Request)
        answer = _Answer(self._peers.process)
        subscriber = self._hub.subscriber(request.close or request.holds)
        if subscriber is not None:
            answer.found = True
            if request.close:
                subscriber.on_ended(subscriber.id, request.code)
        if request.limit:
            subscribers = [
                subscriber
                for subscriber in self._hub.subscribers()
                if (request.stream is None or subscriber.stream == request.stream)
                and (
                    request.view is None
                    or request.view.sees(subscriber.owner, subscriber.key, subscriber.stream)
                )
            ]
            answer.total = len(subscribers)
            page = sorted(
                (subscriber for subscriber in subscribers if subscriber.id > request.after),
                key=lambda subscriber: subscriber.id,
            )
            answer.items = [self._listed(subscriber) for subscriber in page[: request.limit]]
        await self._broker.nc.publish(message.reply, msgspec.json.encode(answer))

    def _listed(self, subscriber: Subscriber) -> ListedSubscription:
        return ListedSubscription(
            subscriber.id, subscriber.stream, subscriber.subjects, subscriber.principal,
            subscriber.since, subscriber.start,
            subscriber.durable.name if subscriber.durable else "",
            subscriber.position, self._hub.lag(subscriber), subscriber.lagging, subscriber.sent,
            self._peers.process, subscriber.key, subscriber.owner,
        )  # fmt: skip
