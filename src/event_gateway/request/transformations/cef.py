"""``siem_format`` with ``format: cef``: one line of the Common Event Format.

Header and extension have different escapes; the keys are those of CEF's dictionary.
"""

import re

from event_gateway import __version__
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.text.times import parse_time
from event_gateway.core.transformation.definition import raw_payload_of
from event_gateway.request.transformations.siem import facts_of

CEF_TYPE = b"text/plain; charset=utf-8"
VENDOR, PRODUCT = "Arrakis", "Event Gateway"
MAX_NAME, MAX_VALUE, MAX_CUSTOM = 512, 1023, 4000  # characters, from CEF's dictionary
_BREAK = re.compile(r"[\r\n\u2028\u2029\v\f\x85]+")


def cef_format(event: Event, received_at: float) -> tuple[bytes, bytes]:
    """Content type and body. The payload is included if it has at most 4,000 characters."""
    facts = facts_of(event, received_at)
    classification = facts.classification
    try:
        occurred = parse_time(facts.time)
    except ValueError:
        occurred = received_at
    extension = {
        "rt": str(int(occurred * 1000)),
        "externalId": event.id,
        "cat": "/".join(classification.category),
        "act": facts.action,
        "outcome": facts.outcome,
        "msg": facts.message[:MAX_VALUE],
        "sourceServiceName": event.source[:MAX_VALUE],
        "suid": facts.user,
        "src": facts.ip if facts.ip and ":" not in facts.ip else None,
        "c6a2": facts.ip if facts.ip and ":" in facts.ip else None,
        "cs1": event.subject and event.subject[:MAX_CUSTOM],
        "cs2": event.extensions.get("correlationid"),
        "cs3": _payload(event),
    }
    labels = {"c6a2": "Source IPv6 Address", "cs1": "subject", "cs2": "correlation", "cs3": "data"}
    parts = []
    for key, value in extension.items():
        if value not in (None, ""):
            parts.append(f"{key}={_value(str(value))}")
            if key in labels:
                parts.append(f"{key}Label={labels[key]}")
    header = (
        VENDOR, PRODUCT, __version__, event.type, facts.message[:MAX_NAME], str(facts.severity)
    )  # fmt: skip
    line = "|".join(("CEF:0", *map(_head, header), " ".join(parts)))
    return CEF_TYPE, line.encode()


def _payload(event: Event) -> str | None:
    raw = raw_payload_of(event)
    if raw is None or isinstance(raw, str):
        return raw if raw is None or len(raw) <= MAX_CUSTOM else None
    text = bytes(raw).decode()
    return text if len(text) <= MAX_CUSTOM else None


def _head(text: str) -> str:
    """A field of the header: one line, with ``|`` and the backslash escaped."""
    return _BREAK.sub(" ", text).replace("\\", "\\\\").replace("|", "\\|")


def _value(text: str) -> str:
    """A value of the extension: ``=`` and the backslash escaped, line breaks as such."""
    text = text.replace("\\", "\\\\").replace("=", "\\=")
    return text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\r")
