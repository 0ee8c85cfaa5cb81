"""Leases: keys that say which process does something, and expire when it does not renew them."""

from redis.asyncio import Redis

from event_gateway.state.scripts import script


class Leases:
    """``holder`` names this process. Methods raise what StateError names."""

    def __init__(self, client: Redis, holder: str) -> None:
        self._client = client
        self.holder = holder
        self._take_or_renew = script(client, "leases/take_or_renew.lua")

    async def take(self, key: str, seconds: float) -> bool:
        """Takes or renews a lease for so long; False where another process has it."""
        return bool(await self._take_or_renew(self.holder, round(seconds * 1000), key=key))

    async def release(self, key: str) -> None:
        """Releases a lease, if this process has it."""
        if await self.take(key, 1.0):
            await self._client.delete(key)
