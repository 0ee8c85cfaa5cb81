"""Who listens, over all processes of a gateway: each answers for its own, over plain NATS."""

import asyncio
import time

import msgspec
from nats.aio.msg import Msg

from event_gateway.broker.connection import Broker
from event_gateway.broker.peers import Peers
from event_gateway.streaming.hub import Hub
from event_gateway.streaming.subscriber import Subscriber

SUBJECT = "eg.subscribers"
PATIENCE = 1.0  # seconds for which a process that may have died is waited for


class ListedSubscription(msgspec.Struct, frozen=True):
    """A subscriber as its process knows it. ``position``: the sequence up to which it was served;
    ``lag``: how many messages it is behind; ``since`` in seconds since the epoch."""

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


class _Question(msgspec.Struct):
    """``close``: ends the subscription of that id. ``holds``: whether it is there. Else a list."""

    close: str = ""
    code: str = ""
    holds: str = ""
    stream: str | None = None
    after: str = ""
    limit: int = 0


class _Answer(msgspec.Struct):
    process: str
    found: bool = False
    total: int = 0
    items: list[ListedSubscription] = []


class SubscriptionDirectory:
    """Asks all processes that live, this one among them."""

    def __init__(self, broker: Broker, peers: Peers, hub: Hub) -> None:
        self._broker = broker
        self._peers = peers
        self._hub = hub

    async def start(self) -> None:
        """Begins to answer. Raises what BrokerError names."""
        await self._broker.nc.subscribe(SUBJECT, cb=self._answer)

    async def subscribers(
        self, *, stream: str | None = None, after: str = "", limit: int
    ) -> tuple[list[ListedSubscription], int, bool]:
        """At most ``limit`` subscribers by id, of one stream or of all; how many there are in all;
        and whether every process that lives has answered.

        Raises what BrokerError names.
        """
        answers, whole = await self._ask(_Question(stream=stream, after=after, limit=limit))
        items = sorted((one for answer in answers for one in answer.items), key=lambda one: one.id)
        return items[:limit], sum(answer.total for answer in answers), whole

    async def close(self, subscription_id: str, code: str = "closed_by_operator") -> bool | None:
        """Ends a subscription wherever it is; False where nobody has it, None where that is not
        known, as not all have answered. Raises what BrokerError names."""
        return await self._find(_Question(close=subscription_id, code=code))

    async def holds(self, subscription_id: str) -> bool | None:
        """Whether any process that lives has it, as :meth:`close` tells."""
        return await self._find(_Question(holds=subscription_id))

    async def _find(self, question: _Question) -> bool | None:
        answers, whole = await self._ask(question)
        return True if any(one.found for one in answers) else (False if whole else None)

    async def _ask(self, question: _Question) -> tuple[list[_Answer], bool]:
        answers: dict[str, _Answer] = {}
        heard = asyncio.Event()
        only_one = bool(question.close or question.holds)

        async def on_answer(message: Msg) -> None:
            answer = msgspec.json.decode(message.data, type=_Answer)
            answers[answer.process] = answer
            heard.set()

        def enough() -> bool:
            found = only_one and any(one.found for one in answers.values())
            return found or len(answers) >= self._peers.place[1]

        nc = self._broker.nc
        inbox = nc.new_inbox()
        subscription = await nc.subscribe(inbox, cb=on_answer)
        deadline = time.monotonic() + PATIENCE
        try:
            await nc.publish(SUBJECT, msgspec.json.encode(question), reply=inbox)
            while not enough():
                heard.clear()
                async with asyncio.timeout(deadline - time.monotonic()):
                    await heard.wait()
        except TimeoutError:
            return list(answers.values()), False
        finally:
            await subscription.unsubscribe()
        return list(answers.values()), True

    async def _answer(self, message: Msg) -> None:
        question = msgspec.json.decode(message.data, type=_Question)
        answer = _Answer(self._peers.process)
        one = self._hub.subscriber(question.close or question.holds)
        if one is not None:
            answer.found = True
            if question.close:
                one.on_ended(one.id, question.code)
        if question.limit:
            of = [
                subscriber
                for subscriber in self._hub.subscribers()
                if question.stream is None or subscriber.stream == question.stream
            ]
            answer.total = len(of)
            behind = sorted((one for one in of if one.id > question.after), key=lambda one: one.id)
            answer.items = [self._listed(one) for one in behind[: question.limit]]
        await self._broker.nc.publish(message.reply, msgspec.json.encode(answer))

    def _listed(self, one: Subscriber) -> ListedSubscription:
        return ListedSubscription(
            one.id, one.stream, one.subjects, one.principal, one.since, one.start,
            one.durable.name if one.durable else "",
            one.position, self._hub.lag(one), one.lagging, one.sent, self._peers.process,
        )  # fmt: skip
