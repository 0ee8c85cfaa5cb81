"""The types of bodies and answers of the tag `secrets`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

__all__ = ["ChangeSecretBody", "Resealed", "RotateSecretBody", "SetSecretBody", "UnreadableSecret"]


class ChangeSecretBody(TypedDict):
    """Who may use a secret, apart from its value. No namespace: only operators' webhooks."""

    namespaces: NotRequired[list[str] | None]


class Resealed(TypedDict):
    """How many secrets, and keys of people whom events are about, were sealed again, and what
    no sealing key opens."""

    resealed: int
    subject_keys: int
    unreadable: list[UnreadableSecret]
    unreadable_count: int
    unreadable_subject_keys: int


class RotateSecretBody(TypedDict):
    """The next value of a secret; `overlap`: how long the former one signs too (24h)."""

    value: str
    overlap: NotRequired[str | None]


class SetSecretBody(TypedDict):
    """The value of a secret. `namespaces`: those whose webhooks may use it; without this
    member they stay as they are."""

    value: str
    namespaces: NotRequired[list[str] | None]


class UnreadableSecret(TypedDict):
    """A secret that no sealing key opens, and why."""

    name: str
    detail: str
