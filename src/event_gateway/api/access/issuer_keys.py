"""The keys of one issuer: renewed before they are old, kept while they cannot be fetched."""

import asyncio
import time
from collections.abc import Callable

import structlog

from event_gateway.api.access.key_sources import Fetch, Fetched
from event_gateway.core.access.issuer import Issuer
from event_gateway.core.access.verification_keys import VerificationKeys
from event_gateway.tasks import spawn
from event_gateway.transport.document import NotFetched

log = structlog.get_logger(__name__)

# Seconds.
UNKNOWN_KEY_INTERVAL = 10.0  # between two requests because of an unknown key
RENEW_EARLY = 60.0  # before the keys are old, or a fifth of their lifetime if that is shorter
FIRST_RETRY, LAST_RETRY = 2.0, 300.0  # after a failed request; doubled with each


class IssuerKeys:
    """Fetches the keys of an issuer, and has those that are used now.

    ``changed`` is called when other keys are used than before, ``counted`` after each request with
    the issuer and whether it gave keys. ``renew_at``: when to call :meth:`renew`, on the monotonic
    clock.
    """

    def __init__(
        self,
        issuer: Issuer,
        fetch: Fetch,
        changed: Callable[[], None],
        counted: Callable[[str, bool], None],
    ) -> None:
        self.issuer = issuer
        self.keys = VerificationKeys()
        self.renew_at = 0.0
        self._fetch = fetch
        self._changed = changed
        self._counted = counted
        self._request: asyncio.Task[None] | None = None
        self._fetched_at: float | None = None  # when the keys that are used were fetched
        self._asked_at = -UNKNOWN_KEY_INTERVAL  # when they were last fetched for an unknown key
        self._failures = 0
        self._left_out: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why the health is degraded; None if the keys are current."""
        if not self._failures:
            return None
        state = "its tokens are refused" if self.missing else "its former keys are used"
        return f"the keys of the issuer {self.issuer.name} cannot be fetched: {state}"

    @property
    def missing(self) -> bool:
        """Whether there are no keys because they cannot be fetched."""
        return self._fetched_at is None

    def trusts(self, thumbprint: str) -> bool:
        """Whether a key is still one of the issuer's."""
        return any(key.thumbprint == thumbprint for key in self.keys.keys)

    async def renew(self) -> None:
        """Fetches the keys; callers at the same time share one request."""
        if self._request is None:
            self._request = spawn(self._renew(), name="issuer-keys")
        await asyncio.shield(self._request)

    async def look_again(self) -> bool:
        """Fetches the keys because one is unknown, unless that was done just now. Returns whether
        they were fetched."""
        if self._request is None:
            now = time.monotonic()
            if now - self._asked_at < UNKNOWN_KEY_INTERVAL:
                return False
            self._asked_at = now
        await self.renew()
        return True

    async def _renew(self) -> None:
        try:
            fetched = await self._fetch()
        except NotFetched as error:
            self._failed(str(error))
        else:
            self._succeeded(fetched)
        finally:
            self._request = None

    def _failed(self, why: str) -> None:
        now = time.monotonic()
        self._failures += 1
        self._counted(self.issuer.name, False)
        self.renew_at = now + min(FIRST_RETRY * 2.0 ** min(self._failures - 1, 16), LAST_RETRY)
        if self._failures == 1:
            log.warning("the keys of an issuer cannot be fetched", issuer=self.issuer.name,
                        reason=why, former_keys=len(self.keys.keys))  # fmt: skip
        if self._fetched_at is not None and now - self._fetched_at > self.issuer.keep_keys:
            self._fetched_at = None
            log.warning("the keys of an issuer are too old", issuer=self.issuer.name, reason=why)
            self._use(VerificationKeys())

    def _succeeded(self, fetched: Fetched) -> None:
        now = time.monotonic()
        self._counted(self.issuer.name, True)
        if self._failures:
            self._failures = 0
            log.info("the keys of an issuer can be fetched again", issuer=self.issuer.name)
        self._fetched_at = now
        self.renew_at = now + fetched.lifetime - min(RENEW_EARLY, fetched.lifetime / 5)
        if fetched.keys.left_out != self._left_out:
            self._left_out = fetched.keys.left_out
            if self._left_out:
                log.warning("keys of an issuer are left out", issuer=self.issuer.name,
                            reason=list(self._left_out[:10]))  # fmt: skip
        self._use(fetched.keys)

    def _use(self, keys: VerificationKeys) -> None:
        others = keys.thumbprints != self.keys.thumbprints
        self.keys = keys
        if others:
            self._changed()
