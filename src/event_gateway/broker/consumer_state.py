"""How far a consumer of JetStream is, decoded without its configuration."""

from typing import Any

import msgspec
from nats.errors import NoRespondersError
from nats.js.errors import APIError, ServiceUnavailableError

from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker


class _Place(msgspec.Struct, frozen=True):
    stream_seq: int = 0


class ConsumerState(msgspec.Struct, frozen=True):
    """``delivered`` and ``ack_floor`` are places in the stream, ``num_pending`` counts the messages
    that are not delivered yet, ``num_ack_pending`` those that are delivered and not
    acknowledged."""

    delivered: _Place = _Place()
    ack_floor: _Place = _Place()
    num_pending: int = 0
    num_ack_pending: int = 0

    @property
    def settled(self) -> bool:
        """Whether every message of the stream is acknowledged."""
        return not self.num_pending and not self.num_ack_pending


class _Answer(ConsumerState, frozen=True):
    error: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


async def consumer_state(broker: Broker, stream: str, consumer: str) -> ConsumerState:
    """Asks for the state of a consumer. Raises NotFoundError where there is none, and the
    exceptions in BrokerError, and APIError."""
    subject = f"$JS.API.CONSUMER.INFO.{stream}.{consumer}"
    try:
        answer = await broker.nc.request(subject, timeout=REQUEST_TIMEOUT)
    except NoRespondersError:
        raise ServiceUnavailableError from None
    state = _decode(answer.data)
    if state.error is not None:
        raise APIError.from_error(state.error)
    return state
