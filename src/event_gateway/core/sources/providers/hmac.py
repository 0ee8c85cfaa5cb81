"""Any sender that signs with an HMAC: where the signature is, how it is written, what it covers."""

import re

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.checks import HASHES, check_hmac, check_time, header
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.generic import EXAMPLE, TEMPLATES
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Provider

ENCODINGS = ("hex", "base64")
MAX_SIGNED = 256  # characters of the template
_PART = re.compile(r"\{([^{}]*)\}")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_BODY = "{body}"
_WORDS = ("body", "url", "target", "method")


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    settings = definition.settings
    given = [part.strip() for part in header(inbound, settings.header.lower()).split(",")]
    with_prefix = [
        part.removeprefix(settings.prefix) for part in given if part.startswith(settings.prefix)
    ]
    check_hmac(
        proof, _content(inbound, settings.signed or _BODY), with_prefix,
        algorithm=settings.algorithm or "sha256", encoding=settings.encoding or "hex",
    )  # fmt: skip
    if settings.timestamp:
        check_time(inbound, proof, header(inbound, settings.timestamp.lower()))


def _content(inbound: Inbound, signed: str) -> bytes:
    """What is signed, by its template; the body is in it byte for byte."""
    out, at = [], 0
    for match in _PART.finditer(signed):
        out.append(signed[at : match.start()].encode())
        out.append(_value(inbound, match[1]))
        at = match.end()
    out.append(signed[at:].encode())
    return b"".join(out)


def _value(inbound: Inbound, word: str) -> bytes:
    match word:
        case "body":
            return inbound.body
        case "url":
            text = inbound.url
        case "target":
            text = inbound.target
        case "method":
            text = inbound.method
        case _:
            text = header(inbound, word.lower())
    return text.encode("utf-8", "replace")


def _examine(definition: SourceDefinition) -> None:
    settings = definition.settings
    if settings.algorithm and settings.algorithm not in HASHES:
        raise InvalidDefinition("algorithm", f"must be one of {', '.join(HASHES)}")
    if settings.encoding and settings.encoding not in ENCODINGS:
        raise InvalidDefinition("encoding", f"must be one of {', '.join(ENCODINGS)}")
    for key in ("header", "timestamp"):
        name = getattr(settings, key)
        if name and _HEADER.fullmatch(name.lower()) is None:
            raise InvalidDefinition(key, f"{name!r} is no name of a header")
    signed = settings.signed or _BODY
    if len(signed) > MAX_SIGNED:
        raise InvalidDefinition("signed", f"is longer than {MAX_SIGNED} characters")
    words = _PART.findall(signed)
    if "body" not in words:
        raise InvalidDefinition("signed", "must contain {body}: else anybody could change it")
    for word in words:
        if word not in _WORDS and _HEADER.fullmatch(word.lower()) is None:
            raise InvalidDefinition(
                "signed", f"{{{word}}} is none of {', '.join(_WORDS)}, and no name of a header"
            )
    names = [word.lower() for word in words]
    if settings.timestamp and settings.timestamp.lower() not in names:
        raise InvalidDefinition(
            "timestamp", f"signed must contain {{{settings.timestamp.lower()}}}: else anybody "
            "could change the time",
        )  # fmt: skip


HMAC = Provider(
    name="hmac",
    title="HMAC (generic)",
    check=_check,
    required=frozenset(("secret_name", "header")),
    optional=frozenset(("algorithm", "encoding", "prefix", "signed", "timestamp")),
    examine=_examine,
    templates=TEMPLATES,
    timed=True,
    example=EXAMPLE,
)
