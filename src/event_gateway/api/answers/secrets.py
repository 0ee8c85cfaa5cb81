"""Answers about secrets, and the public keys of those that sign."""

from typing import Literal

from typing_extensions import TypedDict

from event_gateway.api.answers.common import Time


class SealedSecret(TypedDict):
    """A secret in the sealed store. ``former_until``: when values that were replaced end."""

    updated_at: Time
    key_id: str
    readable: bool
    former_until: list[Time]


_From = TypedDict("_From", {"from": Literal["environment", "file", "sealed"] | None})


class SecretAnswer(_From):
    """A secret without its value. ``from``: where the value in use comes from; ``used_by``: ids of
    webhooks; ``used_by_sources``: names of sources, for callers that are not narrowed."""

    name: str
    namespaces: list[str]
    sealed: SealedSecret | None
    used_by: list[str]
    used_by_sources: list[str]


class UnreadableSecret(TypedDict):
    """A secret that no sealing key opens, and why."""

    name: str
    detail: str


class Resealed(TypedDict):
    """How many secrets, and keys of people whom events are about, were sealed again, and what no
    sealing key opens."""

    resealed: int
    subject_keys: int
    unreadable: list[UnreadableSecret]
    unreadable_count: int
    unreadable_subject_keys: int


class JsonWebKey(TypedDict):
    """A public key (RFC 8037); ``whpk`` is the key as Standard Webhooks writes it."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str
    whpk: str


class JsonWebKeys(TypedDict):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[JsonWebKey]
