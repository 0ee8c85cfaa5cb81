"""What NATS does not allow the gateway's user: reported by the server beside the failed call."""

import re
import time

import structlog

log = structlog.get_logger(__name__)

RECENT = 60.0  # seconds for which a violation is reported after it happened last
DURING_CALL = 6.0  # seconds: a call that is not allowed is not answered, and times out
MAX_KINDS = 256
_VIOLATION = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"", re.I)
# Parts of subjects that differ from call to call.
_VARYING = (
    (re.compile(r"^_INBOX\..*"), "_INBOX.>"),
    (re.compile(r"^\$JS\.ACK\.([^.]+)\.([^.]+)\..*"), r"$JS.ACK.\1.\2.>"),
    (re.compile(r"\b(follow|page|rate)-[0-9a-f]{12}"), "*"),
    (re.compile(r"^eg\.process\.[0-9a-f]+$"), "eg.process.*"),
)
_ALLOWED = {"publish": "publish to", "subscription": "subscribe to"}


class Violations:
    """The recent ones, each a text such as ``may not publish to "eg.dead.w"``."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}  # on the monotonic clock

    def note(self, error: str) -> None:
        """Takes an error of the server; others than violations are ignored. Logs each once."""
        found = _VIOLATION.search(error)
        if found is None:
            return
        subject = found[2]
        for pattern, shown in _VARYING:
            subject = pattern.sub(shown, subject)
        text = f'NATS does not allow this user to {_ALLOWED[found[1].lower()]} "{subject}"'
        if text not in self._last:
            if len(self._last) >= MAX_KINDS:
                self._last.clear()
            log.error("a permission is missing in NATS", reason=text)
        self._last[text] = time.monotonic()

    def recent(self, seconds: float = RECENT) -> list[str]:
        """Those of the last so many seconds, in the order in which they first happened."""
        since = time.monotonic() - seconds
        return [text for text, at in self._last.items() if at >= since]

    def during_call(self) -> str | None:
        """Why a call that has just timed out was not answered; None where nothing is known."""
        return "; ".join(self.recent(DURING_CALL)) or None
