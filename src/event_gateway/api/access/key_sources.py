"""Where the keys of an issuer come from: its server, files, or a secret."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.tls_files import read_file

WELL_KNOWN = "/.well-known/openid-configuration"
TIMEOUT = 10.0  # seconds for an answer, from the resolution of the name to the end of the body
MAX_BODY = 256 * 1024  # bytes of an answer
# Seconds for which keys count as current: as the server says (Cache-Control), within these bounds.
LIFETIME, SHORTEST, LONGEST = 3600.0, 300.0, 86400.0
FILES_CHECKED = 5.0  # seconds between two readings of files and secrets
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)

FindSecret = Callable[[str], Sequence[str]]  # the values of a secret, by its name
ReadFiles = Callable[[Sequence[str]], VerificationKeys]  # raises UnusableKeys


class Fetched(msgspec.Struct, frozen=True):
    """Keys, and for how many seconds they count as current."""

    keys: VerificationKeys
    lifetime: float


class NotFetched(Exception):
    """There are no keys now; the text says why."""


Fetch = Callable[[], Awaitable[Fetched]]


def key_source(issuer: Issuer, http: HttpClient, files: ReadFiles, secrets: FindSecret) -> Fetch:
    """What fetches the keys of an issuer, and raises NotFetched if there are none."""

    async def from_server() -> Fetched:
        url = keys_url(issuer)
        if issuer.jwks_url is None:
            document, _ = await _get(http, url)
            url = _jwks_url(document, issuer.name)
        raw, headers = await _get(http, url)
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


def lifetime_of(headers: Mapping[str, str]) -> float:
    """For how many seconds an answer with these headers is fresh (RFC 9111, 4.2), within bounds."""
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return SHORTEST
    match = _MAX_AGE.search(control)
    if match is None:
        return LIFETIME
    age = headers.get("age", "0").strip()
    spent = float(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0.0
    return min(max(float(match[1]) - spent, SHORTEST), LONGEST)


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


async def _get(http: HttpClient, url: str) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an answer. Raises NotFetched."""
    try:
        target = parse_target(url)
    except ValueError as error:
        raise NotFetched(f"its URL {error}") from None
    head = (
        b"GET %b HTTP/1.1\r\nhost: %b\r\naccept: application/json\r\n"
        b"accept-encoding: identity\r\nuser-agent: event-gateway\r\n\r\n"
    ) % (target.path.encode(), target.host_header)
    result: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

    def done(answer: Response | Failure) -> None:
        if not result.done():
            result.set_result(answer)

    http.post(target, head, b"", TIMEOUT, done)
    answer = await result
    if isinstance(answer, Failure):
        hint = "; auth.allow_networks can allow it" if answer.error_type == "EgressRefused" else ""
        raise NotFetched(f"{target.host}: {answer.error_type}, {answer.message}{hint}")
    if 300 <= answer.status < 400:
        raise NotFetched(f"{target.host} redirects, which is not followed: name the final URL")
    if answer.status != 200:
        raise NotFetched(f"{target.host} answered {answer.status}")
    if answer.truncated:
        raise NotFetched(f"{target.host} sent more than {MAX_BODY} bytes, or not all of them")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotFetched(f"{target.host} sent a compressed answer, for which nobody has asked")
    return answer.body, answer.headers
