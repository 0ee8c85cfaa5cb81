"""Where the keys of an issuer come from: its server, files, or a secret."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from event_gateway.core.access.issuer import Issuer
from event_gateway.core.access.verification_keys import (
    UnusableKeys,
    VerificationKeys,
    read_jwk_set,
    read_key_file,
    shared_key,
    union,
)
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.json_text import MalformedJson, read_json
from event_gateway.transport.client import HttpClient
from event_gateway.transport.document import NotFetched, fetch_document, lifetime_of
from event_gateway.transport.tls_files import read_file

WELL_KNOWN = "/.well-known/openid-configuration"
FILES_CHECKED = 5.0  # seconds between two readings of files and secrets

FindSecret = Callable[[str], Sequence[str]]  # the values of a secret, by its name
ReadFiles = Callable[[Sequence[str]], VerificationKeys]  # raises UnusableKeys


class Fetched(msgspec.Struct, frozen=True):
    """Keys, and for how many seconds they count as current."""

    keys: VerificationKeys
    lifetime: float


Fetch = Callable[[], Awaitable[Fetched]]


def key_source(issuer: Issuer, http: HttpClient, files: ReadFiles, secrets: FindSecret) -> Fetch:
    """What fetches the keys of an issuer, and raises NotFetched if there are none."""

    async def from_server() -> Fetched:
        url = keys_url(issuer)
        if issuer.jwks_url is None:
            document, _ = await fetch_document(http, url)
            url = _jwks_url(document, issuer.name)
        raw, headers = await fetch_document(http, url)
        return Fetched(read_jwk_set(raw), lifetime_of(headers))

    async def from_here() -> Fetched:
        if issuer.secret_name is None:
            return Fetched(files(issuer.key_files), FILES_CHECKED)
        return Fetched(secret_keys(issuer.secret_name, secrets), FILES_CHECKED)

    fetch = from_here if issuer.key_files or issuer.secret_name else from_server

    async def checked() -> Fetched:
        try:
            return await fetch()
        except UnusableKeys as error:
            raise NotFetched(str(error)) from None

    return checked


def keys_url(issuer: Issuer) -> str:
    """Where the way to an issuer's keys begins: at the key set, or at the discovery document."""
    return issuer.jwks_url or issuer.name.removesuffix("/") + WELL_KNOWN


def file_keys(
    directory: Path, is_private: Callable[[Path], bool], names: Sequence[str]
) -> VerificationKeys:
    """The keys in files, relative to a directory. Raises UnusableKeys, naming the file."""
    parts = []
    for name in names:
        path = directory / name
        try:
            parts.append(read_key_file(read_file(path, "keys", is_private)))
        except ValueError as error:
            raise UnusableKeys(str(error).removeprefix("keys: ")) from None
        except UnusableKeys as error:
            raise UnusableKeys(f"{path}: {error}") from None
    return union(parts)


def secret_keys(name: str, secrets: FindSecret) -> VerificationKeys:
    """The keys that the values of a secret are. Raises UnusableKeys, also if there is none."""
    values = secrets(name)
    if not values:
        raise UnusableKeys(f"the secret {name} is missing")
    try:
        return union([shared_key(value) for value in values])
    except UnusableKeys as error:
        raise UnusableKeys(f"the secret {name}: {error}") from None


def _jwks_url(document: bytes, issuer: str) -> str:
    """The key set of a discovery document (OpenID Connect Discovery 1.0, 4.3)."""
    try:
        metadata: Any = read_json(document)
    except (MalformedJson, InvalidDefinition) as error:
        raise NotFetched(f"its discovery document {error}") from None
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        raise NotFetched("its discovery document is that of another issuer")
    url = metadata.get("jwks_uri")
    if not isinstance(url, str):
        raise NotFetched("its discovery document has no jwks_uri")
    return url
