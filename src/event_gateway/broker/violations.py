"""What NATS does not allow the gateway's user: reported by the server beside the failed call."""

import contextlib
import re
import time
from collections.abc import Iterable, Iterator

import structlog

log = structlog.get_logger(__name__)

RECENT = 60.0  # seconds for which a violation is reported after it happened last
DURING_CALL = 6.0  # seconds: a call that is not allowed is not answered, and times out
MAX_KINDS = 256
_VIOLATION = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"", re.I)
# The permission that a subject needs. The client gives the subject in lower case.
_PERMISSIONS = tuple(
    (re.compile(re.escape(prefix.lower()) + ending), permission)
    for prefix, ending, permission in (
        ("_INBOX.", ".*", "_INBOX.>"),
        ("$JS.ACK.", ".*", "$JS.ACK.>"),
        ("$KV.GATEWAY_REGISTRY.", ".*", "$KV.GATEWAY_REGISTRY.>"),
        ("$KV.GATEWAY_STATUS.", ".*", "$KV.GATEWAY_STATUS.>"),
        ("$JS.API.INFO", "", "$JS.API.INFO"),
        ("$JS.API.STREAM.LIST", "", "$JS.API.STREAM.LIST"),
        ("$JS.API.STREAM.INFO.", ".*", "$JS.API.STREAM.INFO.*"),
        ("$JS.API.STREAM.CREATE.", ".*", "$JS.API.STREAM.CREATE.*"),
        ("$JS.API.STREAM.UPDATE.", ".*", "$JS.API.STREAM.UPDATE.*"),
        ("$JS.API.STREAM.DELETE.", ".*", "$JS.API.STREAM.DELETE.*"),
        ("$JS.API.STREAM.PURGE.", ".*", "$JS.API.STREAM.PURGE.GATEWAY_DEAD_LETTERS"),
        ("$JS.API.STREAM.LEADER.STEPDOWN.", ".*", "$JS.API.STREAM.LEADER.STEPDOWN.*"),
        ("$JS.API.STREAM.MSG.GET.", ".*", "$JS.API.STREAM.MSG.GET.*"),
        ("$JS.API.STREAM.MSG.DELETE.", ".*", "$JS.API.STREAM.MSG.DELETE.*"),
        ("$JS.API.DIRECT.GET.", ".*", "$JS.API.DIRECT.GET.>"),
        ("$JS.API.CONSUMER.INFO.", ".*", "$JS.API.CONSUMER.INFO.*.*"),
        ("$JS.API.CONSUMER.LIST.", ".*", "$JS.API.CONSUMER.LIST.*"),
        ("$JS.API.CONSUMER.CREATE.", ".*", "$JS.API.CONSUMER.CREATE.>"),
        ("$JS.API.CONSUMER.DURABLE.CREATE.", ".*", "$JS.API.CONSUMER.DURABLE.CREATE.*.*"),
        ("$JS.API.CONSUMER.DELETE.", ".*", "$JS.API.CONSUMER.DELETE.*.*"),
        ("$JS.API.CONSUMER.MSG.NEXT.", ".*", "$JS.API.CONSUMER.MSG.NEXT.*.*"),
        ("eg.dead.", ".*", "eg.dead.*"),
        ("eg.rejected.", ".*", "eg.rejected.*"),
        ("eg.audit.", ".*", "eg.audit.*"),
        ("eg.process.", ".*", "eg.process.*"),
        ("eg.tally.", ".*", "eg.tally.*"),
        ("eg.chain.", ".*", "eg.chain.*.*"),
        ("eg.sealed.", ".*", "eg.sealed.>"),
        ("eg.subject-key.", ".*", "eg.subject-key.*.*"),
    )
)
_ALLOWED = {"publish": "publish to", "subscription": "subscribe to"}


class Violations:
    """The recent ones, each a text such as ``may not publish to "eg.dead.w"``."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}  # on the monotonic clock
        self._tried: dict[str, bool] = {}  # subjects in lower case, and whether NATS refused them

    def note(self, error: str) -> None:
        """Takes an error of the server; others than violations are ignored. Logs each once."""
        found = _VIOLATION.search(error)
        if found is None:
            return
        subject = found[2]
        if subject.lower() in self._tried:
            self._tried[subject.lower()] = True
            return
        for pattern, permission in _PERMISSIONS:
            if pattern.fullmatch(subject.lower()):
                subject = permission
        text = f'NATS does not allow this user to {_ALLOWED[found[1].lower()]} "{subject}"'
        if text not in self._last:
            if len(self._last) >= MAX_KINDS:
                self._last.clear()
            log.error("a permission is missing in NATS", reason=text)
        self._last[text] = time.monotonic()

    def recent(self, seconds: float = RECENT) -> list[str]:
        """Those of the last ``seconds``, in the order in which they first happened."""
        since = time.monotonic() - seconds
        return [text for text, at in self._last.items() if at >= since]

    @contextlib.contextmanager
    def trying(self, subjects: Iterable[str]) -> Iterator[dict[str, bool]]:
        """What NATS does not allow of these subjects is no fault in here: gives the subjects in
        lower case, and whether NATS has refused them."""
        tried = dict.fromkeys((subject.lower() for subject in subjects), False)
        self._tried = tried
        try:
            yield tried
        finally:
            self._tried = {}

    def during_call(self) -> str | None:
        """Why a call that has just timed out was not answered; None where nothing is known."""
        return "; ".join(self.recent(DURING_CALL)) or None
