"""The ids of signed requests: each is accepted once, by whatever process."""

from redis.asyncio import Redis

from event_gateway.state.keys import SIGNED_REQUEST


class SignedRequests:
    """Remembers ids. Methods raise the exceptions in StateError."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def is_first(self, client_id: str, message_id: str, seconds: float) -> bool:
        """Whether a client has sent no request with this id before; the id is remembered for so
        many seconds."""
        key = SIGNED_REQUEST.key(client_id, message_id)
        return bool(await self._client.set(key, b"1", nx=True, px=round(seconds * 1000)))
