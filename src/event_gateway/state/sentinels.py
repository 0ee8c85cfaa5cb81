"""Asks the Sentinels which server is the primary."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from event_gateway.state.login import RedisLogin
from event_gateway.state.primary import Address, NoPrimary, ask_all

WAIT = 2.0  # seconds for the answers: a Sentinel may hang

_Answer = dict[str, Any] | BaseException


class Sentinels:
    """Some Sentinels, and the name under which they know the primary."""

    def __init__(self, places: Sequence[Address], master: str, login: RedisLogin) -> None:
        self._master = master
        self._clients = [
            Redis.from_pool(
                ConnectionPool(
                    host=host, port=port, socket_timeout=WAIT, socket_connect_timeout=WAIT,
                    retry=Retry(NoBackoff(), 0), decode_responses=True, **login.options(),
                )
            )
            for host, port in places
        ]  # fmt: skip
        self._found: set[Address] = set()
        self._names = [f"{host}:{port}" for host, port in places]

    async def find(self) -> Address:
        """The primary, as those Sentinels see it whose view is the newest.

        Each failover has a higher epoch, so a Sentinel that was cut off from the others before it
        is outvoted while it still names the former primary. Where more than half see the same, the
        others are not waited for: a failover needs a majority. Raises NoPrimary.
        """
        answers = await ask_all([self._ask(client) for client in self._clients], self._agree)
        states = [answer for answer in answers if isinstance(answer, dict)]
        if not states:
            raise NoPrimary(f"no Sentinel answers: {self._why(answers)}")
        known = [state[self._master] for state in states if self._master in state]
        if not known:
            names = sorted({name for state in states for name in state})
            raise NoPrimary(
                f"redis.sentinel.master: the Sentinels know no primary {self._master}, but "
                f"{', '.join(names) or 'none'}"
            )
        newest = max(state["config-epoch"] for state in known)
        views = [state for state in known if state["config-epoch"] == newest]
        if all(state["is_sdown"] or state["is_odown"] for state in views):
            raise NoPrimary(
                f"the Sentinels say that the primary {views[0]['ip']}:{views[0]['port']} is down; "
                "they choose another one"
            )
        found = str(views[0]["ip"]), int(views[0]["port"])
        self._found.add(found)
        return found

    def found(self) -> set[Address]:
        """Every server that has been the primary since the start."""
        return self._found

    async def close(self) -> None:
        """Closes the connections."""
        for client in self._clients:
            await client.aclose()

    def _agree(self, answers: Sequence[_Answer]) -> bool:
        """Whether more than half of all Sentinels see the same primary in the same epoch."""
        views = Counter(
            (state["config-epoch"], state["ip"], state["port"])
            for answer in answers
            if isinstance(answer, dict) and (state := answer.get(self._master))
        )
        return any(count > len(self._clients) / 2 for count in views.values())

    async def _ask(self, client: Redis) -> _Answer:
        try:
            return cast(dict[str, Any], await client.sentinel_masters())
        except (RedisError, OSError) as error:
            return error

    def _why(self, answers: Sequence[_Answer | None]) -> str:
        said = []
        for name, answer in zip(self._names, answers, strict=True):
            if isinstance(answer, (AuthenticationError, NoPermissionError)):
                said.append(f"redis.sentinel.password: {name} refuses the gateway ({answer})")
            else:
                said.append(f"{name} ({str(answer) or type(answer).__name__})")
        return "; ".join(said)
