"""Answers to requests with an ``Idempotency-Key``, kept for a day so that a repeated request gets
the same one (draft-ietf-httpapi-idempotency-key-header-07).

An answer may hold what is shown only once, such as a new API key. So it is encrypted (AES-256-GCM)
under a key that is made of the installation's own and of the header, of which Redis has a digest
alone.

While a request runs, Redis has its marker, which names it by a random token. The process that runs
the request renews the marker, and writes or deletes nothing but its own: a request whose process
was stopped for a minute, so that another one has taken its place, leaves that one's answer alone.
"""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
import zlib
from collections.abc import AsyncIterator

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.state.connection import StateError
from event_gateway.state.keys import IDEMPOTENT_ANSWER, IDEMPOTENT_KEYS
from event_gateway.state.scripts import script

log = structlog.get_logger(__name__)

RUNS_FOR = 60.0  # seconds for which a request counts as running whose process has ended meanwhile
RENEW = 15.0  # seconds between the renewals of a marker
MAX_KEYS = 1000  # of a caller within a day
MAX_ANSWER = 64 * 1024  # bytes of a stored answer, compressed
_NONCE = 12


class StoredAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer that can be given again."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """What Redis holds. ``request``: a digest of the request; ``token``: of the request that runs,
    empty once it is done; ``box``: the encrypted answer, empty while it runs."""

    request: bytes
    token: bytes
    box: bytes


class Begun(msgspec.Struct, frozen=True):
    """A request that may run. Its answer is stored under ``key`` with ``token``."""

    principal: str
    key: str
    request: bytes
    token: bytes
    secret: bytes

    @property
    def marker(self) -> bytes:
        """What Redis holds while the request runs."""
        return _encode(_Entry(self.request, self.token, b""))


class KeyReused(Exception):
    """The key belongs to another request."""


class StillRunning(Exception):
    """The first request with the key has not been answered yet, as far as Redis knows."""


class TooManyKeys(Exception):
    """The caller has used too many keys within a day."""


_encode = msgspec.msgpack.Encoder().encode
_decode_entry = msgspec.msgpack.Decoder(_Entry).decode
_decode_answer = msgspec.msgpack.Decoder(StoredAnswer).decode


class IdempotentAnswers:
    """The answers in Redis. Methods raise the exceptions in StateError."""

    def __init__(self, client: Redis, installation_key: bytes) -> None:
        self._client = client
        self._write_own = script(client, "idempotent_answers/write_own.lua")
        self._installation_key = installation_key

    async def begin(self, principal: str, key: str, request: bytes) -> Begun | StoredAnswer:
        """Notes that a request of a caller runs; or returns the answer that it got before.

        ``principal``: the caller's identity; ``request``: a digest of the whole request. Raises
        KeyReused, StillRunning, TooManyKeys.
        """
        whose = _digest(principal)
        request = hmac.digest(self._installation_key, request, "sha256")  # the body may be a secret
        secret = hmac.digest(self._installation_key, f"{principal}\n{key}".encode(), "sha256")
        begun = Begun(whose, _digest(key), request, secrets.token_bytes(8), secret)
        now = round(time.time() * 1000)
        name, keys = IDEMPOTENT_ANSWER.key(whose, begun.key), IDEMPOTENT_KEYS.key(whose)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(keys, "-inf", now)
            pipe.zcard(keys)
            pipe.set(name, begun.marker, nx=True, px=round(RUNS_FOR * 1000))
            pipe.get(name)
            _, count, is_new, stored = await pipe.execute()
        if not is_new and stored is not None:
            return self._repeated(begun, _decode_entry(stored))
        if count >= MAX_KEYS:
            await self.forget(begun)
            raise TooManyKeys
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zadd(keys, {begun.key: now + IDEMPOTENT_ANSWER.ttl_ms})
            pipe.pexpire(keys, IDEMPOTENT_KEYS.ttl_ms)
            await pipe.execute()
        return begun

    @contextlib.asynccontextmanager
    async def running(self, begun: Begun) -> AsyncIterator[None]:
        """Renews the marker of a request for as long as it runs. Whatever becomes of a renewal, the
        request is as it was: its answer can be stored."""
        ended = asyncio.Event()
        renewal = asyncio.create_task(self._renew(begun, ended), name="idempotency marker")
        try:
            yield
        finally:
            # Not cancelled: what it has sent could come after the key is free again, and mark it.
            ended.set()
            await asyncio.wait([renewal])
            if not renewal.cancelled() and (error := renewal.exception()) is not None:
                log.error("the marker of a running request was not renewed", exc_info=error)

    async def _renew(self, begun: Begun, ended: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW):
                    await ended.wait()
                return
            try:
                if not await self._write(begun, begun.marker, RUNS_FOR):
                    log.warning("another request has taken the place of one that runs still")
                    return
            except StateError as error:
                log.debug("the marker of a running request was not renewed", error=str(error))

    async def finish(self, begun: Begun, answer: StoredAnswer) -> bool:
        """Stores the answer to a request that has run. False if it is too large to be kept: then
        the key can be used again; or if another request has taken the place of this one."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE)
        content = zlib.compress(_encode(answer), 1)
        if len(content) > MAX_ANSWER:
            await self.forget(begun)
            return False
        box = nonce + AESGCM(begun.secret).encrypt(nonce, content, begun.request)
        entry = _encode(_Entry(begun.request, b"", box))
        return await self._write(begun, entry, IDEMPOTENT_ANSWER.ttl_ms / 1000)

    async def forget(self, begun: Begun) -> None:
        """The request was refused and has changed nothing: its key can be used again."""
        if await self._write(begun, b"", 0):
            await self._client.zrem(IDEMPOTENT_KEYS.key(begun.principal), begun.key)

    async def _write(self, begun: Begun, value: bytes, lifetime: float) -> bool:
        """Replaces the marker of a request for ``lifetime`` seconds, or deletes it; False if
        another request has taken its place."""
        key = IDEMPOTENT_ANSWER.key(begun.principal, begun.key)
        return bool(await self._write_own(begun.marker, value, round(lifetime * 1000), key=key))

    def _repeated(self, begun: Begun, entry: _Entry) -> StoredAnswer:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if entry.request != begun.request:
            raise KeyReused
        if entry.token:
            raise StillRunning
        nonce, box = entry.box[:_NONCE], entry.box[_NONCE:]
        try:
            content = AESGCM(begun.secret).decrypt(nonce, box, begun.request)
        except InvalidTag:  # of another installation, or tampered with
            raise KeyReused from None
        return _decode_answer(zlib.decompress(content))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
