"""Logs why callers were refused, of which they are told less or nothing."""

import time

import structlog

log = structlog.get_logger(__name__)

LOG_AGAIN = 60.0  # seconds until the same refusal is logged again
MAX_REMEMBERED = 64


class Refusals:
    """Logs each refusal of a kind once a minute. ``what`` was refused."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._logged: dict[tuple[str, str], float] = {}

    def log(self, whose: str, why: str, kind: str = "") -> None:
        """Logs a refusal. ``whose``: the issuer, the client or the source; empty if it is not
        known. ``kind``: what counts as the same, where the text differs each time."""
        now = time.monotonic()
        key = whose, kind or why
        if now - self._logged.get(key, -LOG_AGAIN) < LOG_AGAIN:
            return
        self._logged[key] = now
        if len(self._logged) > MAX_REMEMBERED:
            del self._logged[next(iter(self._logged))]
        log.warning(f"{self._what} was refused", caller=whose, reason=why)
