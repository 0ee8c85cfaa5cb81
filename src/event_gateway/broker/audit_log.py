"""The stream of the audit log: its records are appended, and never deleted or purged."""

from collections.abc import AsyncGenerator

from nats.js.errors import APIError, NoStreamResponseError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.failures import failure
from event_gateway.broker.provision import AUDIT
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.broker.stream_page import read_page
from event_gateway.core.audit.record import Phase

BEGUN = "eg.audit.begun"  # the subject of the first record of a call
_FAILURES = (*BrokerError, APIError, NoStreamResponseError)


class AuditLog:
    """Appends records, and reads them in either direction."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @property
    def connected(self) -> bool:
        """Whether the connection to NATS is up."""
        return self._broker.connected

    async def append(self, phase: Phase, record: bytes, message_id: str) -> None:
        """Stores a record. With the same ``message_id`` again it is stored once, within two
        minutes. Raises LogUnavailable."""
        try:
            await self._broker.js.publish(
                f"eg.audit.{phase}", record, stream=AUDIT, headers={"Nats-Msg-Id": message_id}
            )
        except _FAILURES as error:
            raise failure(self._broker, error) from None

    async def bounds(self) -> tuple[int, int]:
        """The sequences of the first and of the last record; the last is lower if there is none.

        Raises LogUnavailable.
        """
        try:
            state = (await self._broker.js.stream_info(AUDIT)).state
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return state.first_seq, state.last_seq

    async def calls(self) -> int:
        """How many calls have a record. Raises LogUnavailable."""
        try:
            subjects = (await self._broker.js.stream_info(AUDIT, "eg.audit.*")).state.subjects or {}
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        # The second record of a call is of one that the first has counted.
        return sum(count for subject, count in subjects.items() if subject != "eg.audit.ended")

    async def read(self, from_seq: int, limit: int) -> list[Pulled]:
        """At most ``limit`` records (1 to 1,000) from a sequence on. Raises LogUnavailable."""
        try:
            page = await read_page(self._broker, AUDIT, from_seq=from_seq, limit=limit)
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return page.messages

    async def first_since(self, time: float) -> int | None:
        """The sequence of the first record that was stored at or after a time, in seconds since the
        epoch; None if there is none. Raises LogUnavailable."""
        try:
            page = await read_page(self._broker, AUDIT, from_time=time, limit=1)
        except _FAILURES as error:
            raise failure(self._broker, error) from None
        return page.messages[0].seq if page.messages else None

    def follow(self, from_seq: int) -> AsyncGenerator[list[Pulled], None]:
        """The records from a sequence on, in batches, for ever; an empty batch after a second
        without any."""
        return follow_stream(self._broker, AUDIT, from_seq=from_seq, read_ahead=64)
