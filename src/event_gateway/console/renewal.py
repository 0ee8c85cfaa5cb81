"""New keys for sessions of an OpenID provider, before the present ones end."""

import asyncio
import dataclasses
import time
from datetime import datetime

import structlog

from event_gateway.client import GatewayError, GatewayUnreachable
from event_gateway.console.gateway_connection import GatewayConnection
from event_gateway.console.oidc import Oidc, OidcFailed, OidcRefused
from event_gateway.console.sessions import Session

log = structlog.get_logger(__name__)
BEFORE = 30.0  # seconds before a key ends
KEPT = 60.0  # seconds for which requests with the former cookie get the new session
MAX_KEPT = 10_000  # sessions


class Renewal:
    """Renews sessions. A page makes several requests at once, all with the same token for a new
    key, which many providers take once only: the first asks, and the others get its session."""

    def __init__(self, oidc: Oidc | None, connection: GatewayConnection) -> None:
        self._oidc = oidc
        self._connection = connection
        self._renewed: dict[str, tuple[float, asyncio.Task[Session | None]]] = {}

    async def current(self, session: Session) -> Session | None:
        """The session, or that which follows it; None if it has ended, as the provider gives no
        token any more."""
        if session.refresh is None or session.key_until is None or self._oidc is None:
            return session
        now = time.time()
        if now < session.key_until - BEFORE:
            return session
        self._forget(now)
        if session.refresh not in self._renewed:
            work = self._renew(session, session.refresh, self._oidc)
            task = asyncio.create_task(work, name="session-renewal")
            self._renewed[session.refresh] = now, task
        _, task = self._renewed[session.refresh]
        return await asyncio.shield(task)

    async def _renew(self, session: Session, refresh: str, oidc: Oidc) -> Session | None:
        try:
            token = await oidc.refresh(session.kind, refresh)
        except OidcRefused as error:
            log.info("a session of the console has ended", reason=str(error))
            return None
        except OidcFailed as error:
            # The present key may do for some seconds; then the gateway says that it does not.
            log.warning("a session of the console was not renewed", reason=str(error))
            self._renewed.pop(refresh, None)
            return session
        # Many providers take `refresh` once only: from here on the new token must not be lost.
        renewed = dataclasses.replace(session, key=token.text, refresh=token.refresh)
        try:
            until = (await self._connection.client(token.text).show_caller())["expires_at"]
        except (GatewayError, GatewayUnreachable) as error:
            log.warning("the gateway does not say how long a session's new key is valid",
                        reason=str(error))  # fmt: skip
            return renewed
        key_until = None if until is None else datetime.fromisoformat(until).timestamp()
        return dataclasses.replace(renewed, key_until=key_until)

    def _forget(self, now: float) -> None:
        for refresh, (at, _) in list(self._renewed.items()):
            if now - at > KEPT or len(self._renewed) >= MAX_KEPT:
                del self._renewed[refresh]
            else:
                break
