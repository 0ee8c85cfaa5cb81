"""Leases: keys that name the process that does a task, and expire if it does not renew them."""

from redis.asyncio import Redis

from event_gateway.state.scripts import script


class Leases:
    """``holder`` names this process. Methods raise the exceptions in StateError."""

    def __init__(self, client: Redis, holder: str) -> None:
        self.holder = holder
        self._take_or_renew = script(client, "leases/take_or_renew.lua")
        self._release = script(client, "leases/release.lua")

    async def take(self, key: str, seconds: float, *, insist: bool = False) -> bool:
        """Takes or renews a lease; False if another process has it. ``insist``: this process has
        it, whatever Redis says."""
        lease = round(seconds * 1000)
        return bool(await self._take_or_renew(self.holder, lease, int(insist), key=key))

    async def release(self, key: str) -> None:
        """Releases a lease, if this process has it."""
        await self._release(self.holder, key=key)
