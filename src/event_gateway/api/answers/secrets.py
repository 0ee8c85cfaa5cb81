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
    """A secret without its value. ``from``: where the value in use comes from."""

    name: str
    namespaces: list[str]
    sealed: SealedSecret | None
    used_by: list[str]


class Resealed(TypedDict):
    """How many secrets, and keys of people whom events are about, were sealed again."""

    resealed: int
    subject_keys: int


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
