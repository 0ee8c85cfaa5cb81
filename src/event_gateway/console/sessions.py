"""Sessions: who is signed in. All that a session is stands in its cookie, sealed."""

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from starlette.responses import Response

from event_gateway.console.sealing import Sealer

PART = 3500  # characters of a cookie; browsers store 4,096 bytes with its name and attributes
MAX_PARTS = 4  # cookies of a session: the tokens of some providers are long
FLASH_LIFETIME = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """``key``: the API key or token with which the user calls the gateway; ``csrf``: what forms of
    this session repeat; ``until``: seconds since the epoch. ``refresh``: the token of an OpenID
    provider for a new key, when this one ends at ``key_until``; ``kind``: which of the provider's
    tokens the key is."""

    key: str = field(repr=False)
    csrf: str = field(repr=False)
    until: float
    key_until: float | None = None
    refresh: str | None = field(default=None, repr=False)
    kind: str = "access_token"


class SessionTooLarge(Exception):
    """The token of the user does not fit into the cookies of a session."""


class Sessions:
    """Reads and writes the cookies of sessions. ``name``: of the console among others on the same
    host, which share cookies; ``secure``: they are sent over HTTPS only; ``lifetime``: seconds."""

    def __init__(self, sealer: Sealer, *, name: str, secure: bool, lifetime: float) -> None:
        self._sealer = sealer
        self._name = f"__Host-{name}" if secure else name
        self._secure = secure
        self._lifetime = lifetime

    def new(
        self, key: str, lifetime: float | None = None, *, refresh: str | None = None,
        kind: str = "access_token",
    ) -> Session:  # fmt: skip
        """A session with a key. ``lifetime``: seconds for which the key is valid, None for ever.
        The session ends with it, unless there is a token for the next one."""
        longest, now = self._lifetime, time.time()
        if lifetime is not None and refresh is None:
            longest = min(lifetime, longest)
        return Session(
            key=key, csrf=secrets.token_urlsafe(24), until=now + longest,
            key_until=None if lifetime is None else now + lifetime,
            refresh=None if lifetime is None else refresh, kind=kind,
        )  # fmt: skip

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session of a request; None if there is none, or it has ended."""
        text = "".join(self._parts(cookies))
        content = self._sealer.open("session", text) if text else None
        return None if content is None else Session(**content)

    def write(self, response: Response, session: Session, cookies: Mapping[str, str]) -> None:
        """Has the browser keep a session. ``cookies``: those of the request. Raises
        SessionTooLarge."""
        text = self._sealer.seal("session", asdict(session), session.until)
        parts = [text[start : start + PART] for start in range(0, len(text), PART)]
        if len(parts) > MAX_PARTS:
            raise SessionTooLarge
        self.clear(response, cookies, keep=len(parts))
        for number, part in enumerate(parts):
            self._set(response, self._of(number), part, session.until - time.time())

    def wrote(self, response: Response) -> bool:
        """Whether a response sets the session, or clears it."""
        own = f"{self._name}=".encode()
        return any(
            name == b"set-cookie" and value.startswith(own) for name, value in response.raw_headers
        )

    def clear(self, response: Response, cookies: Mapping[str, str], keep: int = 0) -> None:
        """Has the browser forget the session; ``keep``: how many of its cookies are set again."""
        for number in range(keep, MAX_PARTS):
            if self._of(number) in cookies:
                self._set(response, self._of(number), "", 0)

    def flash(self, response: Response, kind: str, text: str) -> None:
        """Has the next page show a message. ``kind``: ok, warning or error."""
        sealed = self._sealer.seal(
            "flash", {"kind": kind, "text": text[:1500]}, time.time() + FLASH_LIFETIME
        )
        self._set(response, f"{self._name}-flash", sealed, FLASH_LIFETIME)

    def take_flash(self, response: Response, cookies: Mapping[str, str]) -> None:
        """Has the browser forget the message that the page shows."""
        if f"{self._name}-flash" in cookies:
            self._set(response, f"{self._name}-flash", "", 0)

    def shown_flash(self, cookies: Mapping[str, str]) -> dict[str, str] | None:
        """The message that the page is to show: its kind and its text."""
        return self._sealer.open("flash", cookies.get(f"{self._name}-flash", ""))

    def _set(self, response: Response, name: str, value: str, seconds: float) -> None:
        response.set_cookie(
            name, value, max_age=int(seconds), httponly=True, samesite="lax", secure=self._secure
        )

    def _of(self, number: int) -> str:
        return self._name if number == 0 else f"{self._name}-{number}"

    def _parts(self, cookies: Mapping[str, str]) -> Iterator[str]:
        for number in range(MAX_PARTS):
            if not (part := cookies.get(self._of(number))):
                return
            yield part
