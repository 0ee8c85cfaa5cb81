"""What is wrong with Redis, in the words of ``/readyz``, the log and the API."""

import structlog
from redis.asyncio import Redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from event_gateway.beats import beat
from event_gateway.state.connection import StateError
from event_gateway.state.primary import NoPrimary
from event_gateway.state.scripts import script

log = structlog.get_logger(__name__)

UNREACHABLE = "redis unreachable"
INTERVAL = 5.0  # seconds between two looks at the settings of the server

_KINDS: tuple[tuple[type[Exception], str, str], ...] = (
    (OutOfMemoryError, "OOM", "redis is out of memory (OOM): raise its maxmemory"),
    (ReadOnlyError, "READONLY", "redis is a read-only replica (READONLY): use the primary server"),
    (AuthenticationError, "NOAUTH", "redis does not accept the user or password (NOAUTH)"),
    (AuthenticationError, "WRONGPASS", "redis does not accept the user or password (WRONGPASS)"),
    (BusyLoadingError, "LOADING", "redis is loading its data (LOADING)"),
    (ClusterDownError, "CLUSTERDOWN", "redis has no majority of its cluster (CLUSTERDOWN)"),
    (NoScriptError, "NOSCRIPT", "redis is another server than a moment ago (NOSCRIPT)"),
    (MasterDownError, "MASTERDOWN", "redis is a replica without its primary server (MASTERDOWN)"),
)
_REFUSES = "redis refuses a command: "


def condition_of(error: BaseException) -> str:
    """What an error of the client or the server says about the server."""
    text = str(error)
    if isinstance(error, NoPrimary):
        return f"redis has no primary server: {text[:300]}"
    for kind, code, condition in _KINDS:
        if isinstance(error, kind) and (code != "NOAUTH" or "invalid" not in text.lower()):
            return condition
        if code in text.split(" script: ")[0].split():
            return condition
    if isinstance(error, NoPermissionError) or "NOPERM" in text:
        return f"redis does not allow this user a command (NOPERM): {text[:200]}"
    if isinstance(error, AskError):
        return "redis moves the gateway's slot to another node"
    if "MISCONF" in text:
        return "redis cannot write to its disk (MISCONF)"
    if "NOREPLICAS" in text:
        return "redis has too few replicas to accept writes (NOREPLICAS)"
    if isinstance(error, ResponseError):
        return f"{_REFUSES}{text[:200]}"
    return UNREACHABLE


def refuses_one_command(error: BaseException) -> bool:
    """Whether an error is about one command, and not about the server: to wait is of no use."""
    return condition_of(error).startswith(_REFUSES) and not str(error).startswith("BUSY ")


class RedisSettings:
    """Watches whether Redis has become a server that may drop records. ``reason``: why, None while
    it may not."""

    def __init__(self, client: Redis) -> None:
        self._maxmemory_policy = script(client, "condition/maxmemory_policy.lua")
        self.reason: str | None = None

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await beat(INTERVAL)
            try:
                policy = (await self._maxmemory_policy()).decode()
            except StateError as error:
                log.debug("the settings of Redis cannot be read", error=str(error))
                continue
            reason = None
            if policy not in ("noeviction", ""):
                reason = (
                    f"redis has maxmemory-policy {policy}: it may drop delivery records; set "
                    "maxmemory-policy noeviction"
                )
            if reason != self.reason:
                self.reason = reason
                if reason is None:
                    log.info("Redis has maxmemory-policy noeviction again")
                else:
                    log.error("Redis may drop delivery records", reason=reason)
