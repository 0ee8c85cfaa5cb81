"""The log of lifecycle events, for those that must arrive: they are confirmed and stored once."""

from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import failure
from event_gateway.broker.stream_page import read_page
from event_gateway.core.streams.definition import LIFECYCLE

_FAILURES = (*BrokerError, APIError, NoStreamResponseError)


class LifecycleLog:
    """Appends to GATEWAY_LIFECYCLE. Methods raise LogUnavailable."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def append(self, event_type: str, body: bytes, event_id: str) -> None:
        """Stores a structured event. With the same ``event_id`` again it is stored once, within two
        minutes."""
        try:
            await self._broker.js.publish(
                event_type, body, stream=LIFECYCLE, headers={Header.MSG_ID.value: event_id}
            )
        except _FAILURES as error:
            raise failure(self._broker, error) from None

    async def holds(self, event_type: str, event_id: str) -> bool:
        """Whether an event that :meth:`append` stored is in the log, however long ago."""
        position = 1
        while True:
            try:
                page = await read_page(
                    self._broker, LIFECYCLE, from_seq=position, subject=event_type
                )
            except _FAILURES as error:
                raise failure(self._broker, error) from None
            ids = ((message.headers or {}).get(Header.MSG_ID.value) for message in page.messages)
            if event_id in ids:
                return True
            if not page.remaining:
                return False
            position = page.messages[-1].seq + 1
