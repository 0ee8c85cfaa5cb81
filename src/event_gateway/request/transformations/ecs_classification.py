"""What an event's type says to a security system: Elastic Common Schema's four categorization
fields and a severity, from the words in the type by the tables below.

The tables are part of what receivers rely on: docs/reference/transformations.md shows them.
"""

import re
from functools import lru_cache

import msgspec

# The last word of a type that stands here says the category; there may be none.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "api": ("api",),
    "authentication": (
        "auth", "authenticated", "authentication", "login", "logoff", "logon", "logout", "mfa",
        "signedin", "signedout", "signin", "signout",
    ),
    "configuration": (
        "config", "configuration", "ontology", "policy", "schema", "setting", "settings", "stream",
        "webhook",
    ),
    "database": ("branch", "commit", "database", "query", "table", "terminus"),
    "email": ("email", "mail"),
    "file": ("attachment", "document", "file"),
    "iam": ("account", "group", "iam", "member", "permission", "role", "user"),
    "intrusion_detection": ("intrusion", "violation"),
    "malware": ("malware",),
    "network": ("connection", "firewall", "network"),
    "package": ("package",),
    "process": ("job", "process", "scheduler", "task", "workflow"),
    "session": ("session",),
    "vulnerability": ("vulnerability",),
}  # fmt: skip

# The last word that says a type which goes with the category.
TYPES: dict[str, tuple[str, ...]] = {
    "access": ("accessed", "downloaded", "exported", "queried", "read", "viewed"),
    "allowed": ("allowed", "approved", "granted", "permitted"),
    "change": (
        "assigned", "changed", "disabled", "enabled", "merged", "modified", "moved", "renamed",
        "rotated", "updated",
    ),
    "creation": ("added", "created", "inserted", "registered", "signedup"),
    "deletion": ("deleted", "dropped", "purged", "removed", "revoked"),
    "denied": ("blocked", "denied", "forbidden", "refused", "rejected"),
    "end": (
        "cancelled", "closed", "completed", "disconnected", "ended", "expired", "finished",
        "logoff", "logout", "signedout", "signout", "stopped", "terminated",
    ),
    "error": ("crashed", "error", "failed", "failure"),
    "installation": ("installed",),
    "start": (
        "authenticated", "connected", "login", "logon", "opened", "signedin", "signin", "started",
    ),
}  # fmt: skip

# Which types ECS expects with a category; without a category any will do.
EXPECTED: dict[str, tuple[str, ...]] = {
    "api": ("access", "allowed", "change", "creation", "deletion", "denied", "end", "start"),
    "authentication": ("end", "start"),
    "configuration": ("access", "change", "creation", "deletion"),
    "database": ("access", "change", "error"),
    "email": (),
    "file": ("access", "change", "creation", "deletion"),
    "iam": ("change", "creation", "deletion"),
    "intrusion_detection": ("allowed", "denied"),
    "malware": (),
    "network": ("access", "allowed", "denied", "end", "start"),
    "package": ("access", "change", "deletion", "installation", "start"),
    "process": ("access", "change", "end", "start"),
    "session": ("end", "start"),
    "vulnerability": (),
}
# Where a type is not expected, what comes nearest.
INSTEAD = {
    ("database", "creation"): "change", ("database", "deletion"): "change",
    ("package", "creation"): "installation",
    ("iam", "allowed"): "change", ("process", "creation"): "change",
    ("process", "deletion"): "change", ("process", "error"): "end",
}  # fmt: skip
# Of which object an iam event is.
IAM = {"user": "user", "account": "user", "member": "user", "group": "group",
       "role": "admin", "permission": "admin"}  # fmt: skip
KINDS = {"alert": ("alert", "intrusion", "malware", "threat", "violation"), "metric": ("metrics",)}
FAILURES = (*TYPES["denied"], *TYPES["error"], "degraded", "invalid", "violation")
SEVERITIES = {"alert": 8, "failure": 6, "deletion": 4, "else": 2}  # 0 to 10, as CEF counts
# What data.severity may say in place of that.
WORDS = {
    "debug": 0, "info": 2, "informational": 2, "notice": 2, "low": 3, "medium": 5, "moderate": 5,
    "warn": 5, "warning": 5, "error": 6, "high": 8, "critical": 10, "emergency": 10, "fatal": 10,
}  # fmt: skip

_SPLIT = re.compile(r"[^a-z0-9]+")
_CATEGORY_OF = {word: name for name, words in CATEGORIES.items() for word in words}
_TYPE_OF = {word: name for name, words in TYPES.items() for word in words}
_KIND_OF = {word: name for name, words in KINDS.items() for word in words}


class Classification(msgspec.Struct, frozen=True):
    """``event.kind``, ``.category``, ``.type``, ``.outcome`` and ``.severity``."""

    kind: str
    category: tuple[str, ...]
    type: tuple[str, ...]
    outcome: str
    severity: int


@lru_cache(maxsize=1024)
def classify(event_type: str) -> Classification:
    """What the words of an event's type say, the later ones before the earlier ones."""
    words = [word for word in _SPLIT.split(event_type.lower()) if word][::-1]
    category = next((_CATEGORY_OF[word] for word in words if word in _CATEGORY_OF), None)
    kind = next((_KIND_OF[word] for word in words if word in _KIND_OF), "event")
    said = [_TYPE_OF[word] for word in words if word in _TYPE_OF]
    types = [_fitting(category, said)]
    if category == "iam":
        types += [IAM[word] for word in words if word in IAM][:1]
    if any(word in FAILURES for word in words):
        outcome = "failure"
    else:
        outcome = "success" if said else "unknown"
    if kind == "alert":
        severity = SEVERITIES["alert"]
    else:
        severity = SEVERITIES.get(outcome) or SEVERITIES.get(types[0]) or SEVERITIES["else"]
    return Classification(kind, (category,) if category else (), tuple(types), outcome, severity)


def _fitting(category: str | None, said: list[str]) -> str:
    if category is None:
        return said[0] if said else "info"
    expected = EXPECTED[category]
    exact = [event_type for event_type in said if event_type in expected]
    near = [
        INSTEAD[category, event_type] for event_type in said if (category, event_type) in INSTEAD
    ]
    return next(iter(exact + near), "info")
