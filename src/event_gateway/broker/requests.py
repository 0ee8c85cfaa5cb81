"""Requests over NATS whose answers come to one inbox of the client.

nats-py makes a token, a copy of the inbox, an entry of a queue, a task's wait and a coroutine for
each answer: some 100 function calls. Requests are most of what an idle gateway does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from nats.aio.msg import Msg
from nats.errors import ConnectionDrainingError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from event_gateway.shared_call import SharedCall

NOBODY = "503"  # the status with which the server answers where no client is subscribed

Take = Callable[[bytes, bytes, bytes, Mapping[str, str] | None], None]


class RequestClient(Protocol):
    """The client over which requests leave."""

    @property
    def is_draining_pubs(self) -> bool:
        """Whether the client takes no more messages."""

    def new_inbox(self) -> str:
        """A subject that no other client has."""

    def take(self, subject: str, take: Take, /) -> Awaitable[Any]:
        """Subscribes; ``take`` is called for each message."""

    def publish(self, subject: str, payload: bytes, *, reply: str) -> Awaitable[None]:
        """Sends a message, or keeps it until it is connected again."""


class NatsRequests:
    """The requests of one client."""

    def __init__(self, client: RequestClient) -> None:
        self._client = client
        self._inbox = ""
        self._number = 0  # of the last request
        self._waiting: dict[int, asyncio.Future[Msg]] = {}
        self._open = SharedCall(self._subscribe)

    async def ask(self, subject: str, payload: bytes, timeout: float) -> Msg:
        """The first answer to a request. Raises NoRespondersError where no client takes the
        subject, nats.errors.TimeoutError after ``timeout`` seconds, and what the client's
        ``publish`` raises."""
        if self._client.is_draining_pubs:
            raise ConnectionDrainingError
        if not self._inbox:
            await self._open()
        self._number = number = self._number + 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        self._waiting[number] = answer
        timer = loop.call_later(timeout, _expire, answer)
        try:
            await self._client.publish(subject, payload, reply=f"{self._inbox}{number}")
            return await answer
        finally:
            timer.cancel()
            del self._waiting[number]

    async def _subscribe(self) -> None:
        inbox = f"{self._client.new_inbox()}."
        await self._client.take(f"{inbox}*", self._answered)
        self._inbox = inbox

    def _answered(
        self, subject: bytes, reply: bytes, payload: bytes, headers: Mapping[str, str] | None
    ) -> None:
        number = subject[len(self._inbox) :]
        answer = self._waiting.get(int(number)) if number.isdigit() else None
        if answer is None or answer.done():
            return  # it came too late, or is the second one
        if headers is not None and not payload and headers.get("Status") == NOBODY:
            answer.set_exception(NoRespondersError())
            return
        message = Msg(
            self._client,  # type: ignore[arg-type]
            subject.decode(), reply.decode(), payload, dict(headers) if headers else None,
        )  # fmt: skip
        answer.set_result(message)


def _expire(answer: asyncio.Future[Msg]) -> None:
    if not answer.done():
        answer.set_exception(NatsTimeout())
