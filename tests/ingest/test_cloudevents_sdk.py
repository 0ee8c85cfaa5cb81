"""The official SDK as the other end, where it is right, and the published JSON Schema.

It is not asked where it departs from the specification: it writes booleans in headers as ``True``,
text for JSON data as no JSON string, times with microseconds at most, and makes up one where there
is none.
"""

import asyncio
import json
from datetime import datetime
from typing import Any

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_http_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.core.cloudevents.binary_mode import from_binary, to_binary
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.cloudevents.json_format import from_structured, to_structured
from event_gateway.core.cloudevents.media_types import STRUCTURED, mode_of
from event_gateway.core.cloudevents.nats_message import from_message
from support.client import Client, event
from support.cloudevent_schema import conforms
from support.examples import examples
from support.generated_events import (
    GeneratedEvent,
    binary,
    canonical,
    events,
    json_values,
    read_structured,
    structured,
    times,
)
from support.patience import PATIENCE
from support.receiver import Receiver

_data = (
    st.tuples(
        st.sampled_from(["application/json", "application/vnd.acme+json"]),
        st.dictionaries(
            st.text(max_size=8).filter(lambda name: name != "enrichment"), json_values, min_size=1
        ).map(lambda value: ("json", json.dumps(value).encode())),
    )
    | st.tuples(
        st.sampled_from(["text/plain", "application/xml"]),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(
            lambda text: ("text", text.encode())
        ),
    )
    | st.tuples(
        st.sampled_from(["application/octet-stream", "image/png"]),
        st.binary(min_size=1).map(lambda raw: ("bytes", raw)),
    )
    | st.just((None, None))
)


@st.composite
def shared(draw: Any, root: str = "") -> GeneratedEvent:
    """Events that the SDK and the gateway can both represent."""
    result = draw(events(root))
    content_type, payload = draw(_data)
    attributes = {n: v for n, v in result.attributes.items()
                  if not isinstance(v, bool) and n != "datacontenttype"}  # fmt: skip
    attributes["time"] = draw(times.map(_time)).isoformat()
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return GeneratedEvent(attributes, payload)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _of_sdk(decoded: CloudEvent) -> tuple[dict[str, str], bytes | Any]:
    """An event of the SDK in canonical form: attributes as text, and the payload decoded."""
    attributes = {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in decoded.get_attributes().items()
    }
    data = decoded.get_data()
    return attributes, data.encode() if isinstance(data, str) else data


def _expected(generated: GeneratedEvent) -> tuple[dict[str, str], bytes | Any]:
    attributes = {name: str(value) for name, value in generated.attributes.items()}
    if generated.payload is None:
        return attributes, None
    kind, raw = generated.payload
    return attributes, json.loads(raw) if kind == "json" else raw


def _sdk(generated: GeneratedEvent) -> CloudEvent:
    attributes = dict(generated.attributes)
    if "time" in attributes:
        attributes["time"] = _time(attributes["time"])
    _, data = _expected(generated)
    if generated.payload and generated.payload[0] == "text":
        data = data.decode()
    return CloudEvent(attributes, data)


def _read(message: HTTPMessage) -> Event:
    """Decodes an HTTP message as the gateway does."""
    headers = {name.lower(): value for name, value in message.headers.items()}
    content_type = headers.get("content-type")
    if mode_of(content_type) == "structured":
        return from_structured(message.body)
    return from_binary(headers.items(), content_type, message.body)


def _message(generated: Event, in_binary: bool) -> HTTPMessage:
    """Encodes an event as the gateway sends it."""
    if not in_binary:
        return HTTPMessage({"content-type": STRUCTURED}, to_structured(generated))
    lines, body = to_binary(generated)
    pairs = [line.partition(": ") for line in lines.decode().split("\r\n") if line]
    return HTTPMessage({name: value for name, _, value in pairs}, body)


def _utc(decoded: tuple[dict[str, Any], Any]) -> tuple[dict[str, Any], Any]:
    attributes, payload = decoded
    if "time" in attributes:
        attributes = attributes | {"time": _time(attributes["time"])}
    return attributes, payload


@settings(max_examples=examples(500))
@given(generated=shared())
def test_the_gateway_reads_events_of_the_sdk(generated: GeneratedEvent) -> None:
    for message in (to_structured_event(_sdk(generated)), to_binary_event(_sdk(generated))):
        result = to_structured(_read(message))
        conforms(result)
        assert _utc(read_structured(result, texts_only=True)) == _utc(
            canonical(generated, texts_only=True)
        )
        # In NATS headers are written in the same way.
        headers = dict(message.headers)
        over_nats = from_message(
            headers, message.body, subject="a", stream="S", seq=1, time=0.0
        ).event
        assert to_structured(over_nats) == result


@settings(max_examples=examples(500))
@given(generated=shared(), in_binary=st.booleans())
def test_the_sdk_reads_events_of_the_gateway(generated: GeneratedEvent, in_binary: bool) -> None:
    event = _read(to_structured_event(_sdk(generated)))
    result = from_http_event(_message(event, in_binary))
    assert isinstance(result, CloudEvent)
    assert _utc(_of_sdk(result)) == _utc(_expected(generated))


@settings(max_examples=examples(1000))
@given(generated=events())
def test_events_of_the_gateway_conform_to_the_schema(generated: GeneratedEvent) -> None:
    headers, body = binary(generated)
    content_type = headers.get("content-type")
    conforms(to_structured(from_structured(structured(generated))))
    conforms(to_structured(from_binary(headers.items(), content_type, body)))


async def test_the_sdk_at_both_ends_of_the_gateway(client: Client, receiver: Receiver) -> None:
    for mode in ("structured", "binary"):
        await client.webhook(id=mode, url=f"{receiver.url}/{mode}", events=["sdk.>"], mode=mode,
                             enrich=False)  # fmt: skip
    sent: dict[str, GeneratedEvent] = {}

    @settings(max_examples=40, database=None, deadline=None)
    @given(generated=shared("sdk."))
    def generate(generated: GeneratedEvent) -> None:
        named = generated.named(id=f"{len(sent)} {generated.attributes['id']}")
        sent[named.attributes["id"]] = named

    generate()
    for number, generated in enumerate(sent.values()):
        write = to_structured_event if number % 2 else to_binary_event
        message = write(_sdk(generated))
        answer = await client.http.post("/v1/events", content=message.body, headers=message.headers)
        assert answer.status_code == 202, (generated, answer.text)
    for mode in ("structured", "binary"):
        for result in await receiver.until(len(sent), f"/{mode}"):
            matches = from_http_event(HTTPMessage(result.headers, result.body))
            assert isinstance(matches, CloudEvent)
            assert _utc(_of_sdk(matches)) == _utc(_expected(sent[matches.get_id()]))


async def test_lifecycle_events_conform_to_the_schema(client: Client, receiver: Receiver) -> None:
    receiver.answers["/dead"] = [500]
    once = {"max_attempts": 1}
    await client.webhook(id="dead", url=f"{receiver.url}/dead", events=["user.*"],
                         retry_policy=once)  # fmt: skip
    await client.webhook(id="well", url=f"{receiver.url}/well", events=["user.*"])
    answer = await client.http.post("/v1/streams", json={"name": "s", "subjects": ["user.*"]})
    assert answer.status_code == 201
    async with client.websocket() as socket:
        assert (await socket.request(action="subscribe", stream="s"))["type"] == "subscribed"
        sent = [event("user.a", subject="é", sequence="1", x=True), event("user.b", [1])]
        await client.send(sent)
        for _ in sent:
            conforms((await socket.next())["event"])
    for result in await receiver.until(4):
        conforms(result.body)
    for item in sent:
        await client.until("dead", item["id"], "dead_letter")
    letters = (await client.http.get("/v1/dead-letters")).json()["items"]
    assert len(letters) == 2
    for letter in letters:
        shown = (await client.http.get(f"/v1/dead-letters/{letter['id']}")).json()
        conforms(shown["event"])
    assert (await client.http.post("/v1/webhooks/well/test")).status_code == 200
    conforms((await receiver.until(3, "/well"))[-1].body)
    assert (await client.http.delete("/v1/webhooks/dead")).status_code == 204
    assert (await client.http.delete("/v1/streams/s")).status_code == 204
    await client.lifecycle_events(1, "webhook.deleted")
    await client.lifecycle_events(1, "stream.deleted")
    async with asyncio.timeout(PATIENCE):
        while len(kinds := {conforms(lifecycle)["type"] for lifecycle in client.lifecycle}) < 10:
            await asyncio.sleep(0.05)
    assert kinds >= {
        "webhook.registered", "webhook.triggered", "webhook.succeeded", "webhook.failed",
        "webhook.dead_lettered", "webhook.deleted", "stream.created", "stream.deleted",
        "stream.subscribed", "stream.unsubscribed",
    }  # fmt: skip
