"""Requests of third parties, with the signatures of their own libraries and documents."""

import json
from pathlib import Path
from typing import Any

import msgspec

from event_gateway.core.sources.definition import Settings, SourceDefinition
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof
from event_gateway.core.sources.providers import PROVIDERS

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data/sources/vectors.json").read_text()
)


def vector_id(vector: dict[str, Any]) -> str:
    """A name for a test of a vector."""
    return f"{vector['provider']}-{VECTORS.index(vector)}"


def definition_of(vector: dict[str, Any]) -> SourceDefinition:
    """A source that takes the request of a vector."""
    settings = msgspec.convert(vector.get("settings", {}), Settings)
    if "secret" in vector:
        settings = msgspec.structs.replace(settings, secret_name="s")
    return SourceDefinition(name="it", type=vector["provider"], settings=settings)


def inbound_of(vector: dict[str, Any], *, body: bytes | None = None, later: float = 0.0) -> Inbound:
    """The request of a vector, with another body, or received some seconds later."""
    url = vector.get("url", "https://gateway.example.com/v1/sources/it")
    return Inbound(
        method="POST",
        target="/" + url.split("/", 3)[3],
        url=url,
        headers={name.lower(): value for name, value in vector["headers"].items()},
        body=vector["body"].encode() if body is None else body,
        received_at=vector["at"] + later,
    )


def proof_of(vector: dict[str, Any], *secrets: str) -> Proof:
    """What the request of a vector is checked with; by default the secret of the vector."""
    documents = {url: text.encode() for url, text in vector.get("documents", {}).items()}
    own = [vector["secret"]] if "secret" in vector else []
    tolerance = PROVIDERS[vector["provider"]].tolerance
    return Proof(secrets or own, documents, tolerance)
