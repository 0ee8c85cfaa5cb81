"""Documents of providers, such as keys and certificates: fetched when a check wants them, and kept
while they are fresh."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from event_gateway.tasks import spawn
from event_gateway.transport.document import NotFetched, lifetime_of

MAX_DOCUMENTS = 64  # that are kept
MAX_FETCHES = 30  # in a minute, of documents whose URL senders choose
FAILED_AGAIN = 10.0  # seconds until a URL that failed, or that had what was not enough, is tried
KEPT = 86400.0  # seconds for which a document is used that cannot be fetched again
Fetch = Callable[[str], Awaitable[tuple[bytes, dict[str, str]]]]  # raises NotFetched


class TooManyDocuments(NotFetched):
    """Senders have named more documents than the gateway fetches."""


class _Document(NamedTuple):
    body: bytes
    fetched_at: float
    until: float


class ProviderDocuments:
    """The documents that this process has. ``fetch`` gets one, with the headers of its answer."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._documents: dict[str, _Document] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._fetches: deque[float] = deque(maxlen=MAX_FETCHES)

    def present(self) -> dict[str, bytes]:
        """The documents that are fresh, by URL."""
        now = time.monotonic()
        return {url: each.body for url, each in self._documents.items() if now < each.until}

    async def get(self, url: str, *, again: bool, chosen: bool = False) -> bool:
        """Fetches a document; callers at the same time share one request. ``again``: the present
        one is not enough. ``chosen``: a sender names the URL, so there may be any number of them.
        Returns whether there is another one than before.

        Raises NotFetched if there is none.
        """
        now = time.monotonic()
        known = self._documents.get(url)
        if again and known is not None and now - known.fetched_at < FAILED_AGAIN:
            return False
        failed_at, why = self._failed.get(url, (-FAILED_AGAIN, ""))
        if now - failed_at < FAILED_AGAIN:
            raise NotFetched(why)
        task = self._running.get(url)
        if task is None:
            if chosen and known is None:
                self._count(now)
            task = self._running[url] = spawn(self._get(url), name="provider-document")
        await asyncio.shield(task)
        if url not in self._documents:
            raise NotFetched(self._failed.get(url, (0.0, "there is no answer"))[1])
        return self._documents[url] != known

    def _count(self, now: float) -> None:
        """Counts a document whose URL a sender has chosen. Raises TooManyDocuments: they must not
        keep other sources from their keys, nor known certificates from renewal."""
        if len(self._fetches) == MAX_FETCHES and now - self._fetches[0] < 60.0:
            raise TooManyDocuments("senders named too many documents in a minute")
        self._fetches.append(now)

    async def _get(self, url: str) -> None:
        now = time.monotonic()
        try:
            body, headers = await self._fetch(url)
        except NotFetched as error:
            self._failed[url] = now, str(error)
            known = self._documents.get(url)
            if known is not None and now - known.fetched_at < KEPT:
                self._documents[url] = known._replace(until=now + FAILED_AGAIN)
            else:
                self._documents.pop(url, None)
        else:
            self._failed.pop(url, None)
            self._documents[url] = _Document(body, now, now + lifetime_of(headers))
        finally:
            del self._running[url]
            for kept in (self._documents, self._failed):
                while len(kept) > MAX_DOCUMENTS:
                    del kept[next(iter(kept))]
