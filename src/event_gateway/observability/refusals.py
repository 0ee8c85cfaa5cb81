"""Logs the reasons for refusals. The refused callers get less detail, or none."""

import time

import structlog

log = structlog.get_logger(__name__)

LOG_AGAIN = 60.0  # seconds until the same refusal is logged again
MAX_REMEMBERED = 1024  # different refusals of LOG_AGAIN seconds, each of which is logged


class Refusals:
    """Logs each refusal of a kind once a minute. ``what`` was refused.

    Of more than :data:`MAX_REMEMBERED` different ones the log says how many further refusals there
    were: callers who invent names must not fill it.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._logged: dict[tuple[str, str], float] = {}  # the oldest first
        self._further = 0
        self._told_at = -LOG_AGAIN

    def log(self, whose: str, why: str, kind: str = "") -> None:
        """Logs a refusal. ``whose``: the issuer, the client or the source; empty if it is not
        known. ``kind``: what counts as the same, where the text differs each time."""
        now = time.monotonic()
        key = whose, kind or why
        if now - self._logged.get(key, -LOG_AGAIN) < LOG_AGAIN:
            return
        self._logged.pop(key, None)
        self._forget_old(now)
        if len(self._logged) >= MAX_REMEMBERED:
            self._further += 1
        else:
            self._logged[key] = now
            log.warning(f"{self._what} was refused", caller=whose, reason=why)
        self._tell_further(now)

    def _forget_old(self, now: float) -> None:
        while self._logged and now - next(iter(self._logged.values())) >= LOG_AGAIN:
            del self._logged[next(iter(self._logged))]

    def _tell_further(self, now: float) -> None:
        if self._further and now - self._told_at >= LOG_AGAIN:
            log.warning(f"{self._what} was refused, as were others that are not logged each",
                        count=self._further)  # fmt: skip
            self._further, self._told_at = 0, now
