"""Requests to inbound sources."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.cloudevents.attributes import check_event
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.definition import Settings, SourceDefinition, Templates
from event_gateway.core.sources.events import EventMaker
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Refused, Wanted
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.rules import source_problems
from fuzz.pieces import encoded
from support.generated_events import json_values
from support.sources import VECTORS, definition_of, inbound_of, proof_of

_NAMES = sorted({name.lower() for vector in VECTORS for name in vector["headers"]})
_names = st.sampled_from([*_NAMES, "authorization", "ce-id", "ce-specversion", "x-time"])
_values = st.sampled_from([
    "", "t=1,v1=ab", "sha256=", "v1,AAAA", "1777863721", "-1", "9" * 40, "Bearer eyJ.e.s",
    "Basic YTpi", "application/json", "application/x-www-form-urlencoded", "text/plain",
    "application/cloudevents+json", "application/cloudevents-batch+json", "1.0", "é",
]) | st.text(max_size=6)  # fmt: skip
_bodies = (
    st.sampled_from([vector["body"].encode() for vector in VECTORS])
    | json_values.map(encoded)
    | st.binary(max_size=12)
    | st.sampled_from([b"payload=%7B%7D", b"a=1&a=2&=%ff", b"[{}]", b"[[]]", b'[{"id":"1"}]'])
)
_parts = st.sampled_from([
    "{", "}", "{{", "}}", "{body.a}", "{body.0.b}", "{query.q}", "{name}", "{digest}", "{x|'y'}",
    "{X-Time}", "|", "'", ".", "/", "github", "{body.type|body.id|digest}",
]) | st.text(max_size=3)  # fmt: skip
_templates = st.lists(_parts, max_size=5).map("".join)
_settings = Settings(
    secret_name="s", header="X-Time", query="q", username="a", audience="a", email="a",
    issuer="i", jwks_url="https://keys.example/", dns="a", topics=("arn:a",),
    public_key=next(v["settings"]["public_key"] for v in VECTORS if v["provider"] == "sendgrid"),
)  # fmt: skip


@given(
    st.sampled_from(sorted(PROVIDERS)),
    st.dictionaries(_names, _values, max_size=6),
    _bodies,
    st.builds(Templates, type=_templates, id=_templates, time=_templates, source=_templates),
)
def any_request(name: str, headers: dict[str, str], body: bytes, event: Templates) -> None:
    """A request is refused, wants a document, or is verified; its events are valid, or refused."""
    definition = SourceDefinition(name="it", type=name, settings=_settings, event=event)
    if any(problem.key.startswith("event.") for problem in source_problems(definition)):
        _never_compiles(definition)
        return
    inbound = Inbound(
        method="POST", target="/v1/sources/it?q=s&bodySHA256=x", url="https://h/v1/sources/it",
        headers=headers, body=body, received_at=1777863721.0,
    )  # fmt: skip
    provider = PROVIDERS[name]
    try:
        provider.check(inbound, definition, Proof(("s",)))
        answer = provider.answer(inbound)
        assert answer is None or isinstance(answer.body, bytes)
    except (Refused, Wanted) as error:
        assert str(error)
    try:
        events = EventMaker(definition).events(inbound, provider.entries(inbound))
    except Refused as error:
        assert error.detail
        return
    for made in events:
        assert check_event(made) == made


@given(st.sampled_from(VECTORS), st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def altered_vector(vector: dict[str, Any], at: int, piece: bytes) -> None:
    """No provider verifies another body than the one that was signed."""
    body = vector["body"].encode()
    at %= len(body)
    altered = body[:at] + piece + body[at + 1 :]
    credentials = {"X-Gitlab-Token", "Authorization"} & vector["headers"].keys()
    if credentials or vector["provider"] in ("aws_sns", "azure_event_grid"):
        return  # they sign a part of the body, or nothing of it
    provider = PROVIDERS[vector["provider"]]
    try:
        provider.check(inbound_of(vector, body=altered), definition_of(vector), proof_of(vector))
    except Refused:
        assert altered != body
    else:
        assert altered == body or vector["provider"] == "twilio"  # forms have several spellings


def _never_compiles(definition: SourceDefinition) -> None:
    try:
        EventMaker(definition)
    except InvalidDefinition as error:
        assert error.detail
    else:
        raise AssertionError(definition.event)
