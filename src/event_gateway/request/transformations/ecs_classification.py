"""Classifies events by the words in their type: the four categorization fields of the Elastic
Common Schema (ECS), and a severity.

Receivers rely on the tables below; docs/reference/transformations.md shows them.
"""

import re
from functools import lru_cache

import msgspec

# The category is that of the last word of the event type that is in this table, if any is.
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

# The ECS type is that of the last word in this table whose type the category allows (EXPECTED).
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

# The types that ECS expects with a category. Without a category every type is allowed.
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
# The nearest expected type in place of one that is not expected with a category.
INSTEAD = {
    ("database", "creation"): "change", ("database", "deletion"): "change",
    ("package", "creation"): "installation",
    ("iam", "allowed"): "change", ("process", "creation"): "change",
    ("process", "deletion"): "change", ("process", "error"): "end",
}  # fmt: skip
# The second type of an iam event: the kind of object that it is about.
IAM = {"user": "user", "account": "user", "member": "user", "group": "group",
       "role": "admin", "permission": "admin"}  # fmt: skip
KINDS = {"alert": ("alert", "intrusion", "malware", "threat", "violation"), "metric": ("metrics",)}
FAILURES = (*TYPES["denied"], *TYPES["error"], "degraded", "invalid", "violation")
SEVERITIES = {"alert": 8, "failure": 6, "deletion": 4, "else": 2}  # 0 to 10, as CEF counts
# The words that data.severity may hold; they replace the severity above.
SEVERITY_WORDS = {
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
    """The classification of an event type. Its later words come before its earlier ones."""
    words = [word for word in _SPLIT.split(event_type.lower()) if word][::-1]
    category = next((_CATEGORY_OF[word] for word in words if word in _CATEGORY_OF), None)
    kind = next((_KIND_OF[word] for word in words if word in _KIND_OF), "event")
    candidates = [_TYPE_OF[word] for word in words if word in _TYPE_OF]
    types = [_expected_type(category, candidates)]
    if category == "iam":
        types += [IAM[word] for word in words if word in IAM][:1]
    if any(word in FAILURES for word in words):
        outcome = "failure"
    else:
        outcome = "success" if candidates else "unknown"
    if kind == "alert":
        severity = SEVERITIES["alert"]
    else:
        severity = SEVERITIES.get(outcome) or SEVERITIES.get(types[0]) or SEVERITIES["else"]
    return Classification(kind, (category,) if category else (), tuple(types), outcome, severity)


def _expected_type(category: str | None, candidates: list[str]) -> str:
    if category is None:
        return candidates[0] if candidates else "info"
    expected = EXPECTED[category]
    exact = [ecs_type for ecs_type in candidates if ecs_type in expected]
    nearest = [
        INSTEAD[category, ecs_type] for ecs_type in candidates if (category, ecs_type) in INSTEAD
    ]
    return next(iter(exact + nearest), "info")
