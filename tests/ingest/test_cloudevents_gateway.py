"""Any event that enters the gateway, in any way, leaves it equal, in every way."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, settings

from support.client import BATCH, STRUCTURED, Client
from support.cloudevent_schema import conforms
from support.generated_events import (
    GeneratedEvent,
    Payload,
    binary,
    canonical,
    events,
    read_binary,
    read_structured,
    structured,
)
from support.patience import PATIENCE
from support.receiver import ReceivedRequest, Receiver

EVENTS = 30  # by each way
AT_ONCE = 50
Meant = tuple[dict[str, Any], Payload]


def _generated(count: int) -> list[GeneratedEvent]:
    """Generated events; a failure is shown together with its event."""
    result: list[GeneratedEvent] = []

    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    @given(events("gen."))
    def generate(generated: GeneratedEvent) -> None:
        result.append(generated)

    generate()
    return result


async def _by_http(client: Client, generated: list[GeneratedEvent], binary_mode: bool) -> None:
    async def send(event: GeneratedEvent) -> None:
        headers, body = binary(event) if binary_mode else (STRUCTURED, structured(event))
        answer = await client.http.post("/v1/events", content=body, headers=headers)
        assert answer.status_code == 202, (event, answer.text)

    for start in range(0, len(generated), AT_ONCE):
        await asyncio.gather(*(send(item) for item in generated[start : start + AT_ONCE]))


async def _batched(client: Client, generated: list[GeneratedEvent]) -> None:
    for start in range(0, len(generated), AT_ONCE):
        batch = generated[start : start + AT_ONCE]
        body = b"[%b]" % b",\n".join(structured(item) for item in batch)
        answer = await client.http.post("/v1/events", content=body, headers=BATCH)
        assert answer.status_code == 202, answer.text
        assert answer.json()["accepted"] == len(batch)


async def _by_nats(client: Client, generated: list[GeneratedEvent], mode: str) -> None:
    for item in generated:
        if mode == "binary":
            headers, body = binary(item, nats=True)
            # Names are compared without case.
            headers = {name.replace("ce-", "Ce-"): value for name, value in headers.items()}
            await client.nats.publish("gen.any", body, headers=headers)
        elif mode == "structured":
            await client.nats.publish("gen.any", structured(item), headers=STRUCTURED)
        else:
            await client.nats.publish("gen.any", structured(item))
    await client.nats.flush()


WAYS: dict[str, Callable[[Client, list[GeneratedEvent]], Any]] = {
    "http-structured": lambda client, made: _by_http(client, made, False),
    "http-binary": lambda client, made: _by_http(client, made, True),
    "http-batch": _batched,
    "nats-structured": lambda client, made: _by_nats(client, made, "structured"),
    "nats-binary": lambda client, made: _by_nats(client, made, "binary"),
    "nats-bare": lambda client, made: _by_nats(client, made, "bare"),
}


def _plain(decoded: Meant) -> Meant:
    """The payload without what the gateway adds."""
    attributes, payload = decoded
    if payload is not None and isinstance(payload[1], dict):
        stored = {name: value for name, value in payload[1].items() if name != "enrichment"}
        payload = (payload[0], stored)
    return attributes, payload


def _bodies(request: ReceivedRequest) -> list[bytes] | None:
    """The events of a request in the JSON format; None for a request in binary mode."""
    media = request.headers.get("content-type", "")
    if media == "application/cloudevents-batch+json":
        return [bytes(raw) for raw in msgspec.json.decode(request.body, type=list[msgspec.Raw])]
    return [request.body] if media == "application/cloudevents+json" else None


async def _all_came(receiver: Receiver, path: str, count: int) -> list[ReceivedRequest]:
    """Waits until a path has received a number of events, and returns the requests."""
    async with asyncio.timeout(PATIENCE):
        while True:
            came = receiver.requests_to(path)
            if sum(len(_bodies(item) or "1") for item in came) >= count:
                return came
            await asyncio.sleep(0.05)


def _compare(decoded: Meant, sent: dict[str, tuple[str, GeneratedEvent]], enrich: bool) -> str:
    """Compares an event with the sent one; returns its id."""
    way, result = sent[decoded[0]["id"]]
    expected, plain = canonical(result, texts_only=True), _plain(decoded)
    assert plain == expected, (way, result)
    kind, raw = result.payload or ("", b"")
    if kind == "json" and b"\\ud" not in raw:
        of_object = expected[1] is not None and isinstance(expected[1][1], dict)
        assert (decoded != plain) is (enrich and of_object), (way, result)
    elif not enrich:
        assert decoded == plain, (way, result)
    return str(decoded[0]["id"])


async def test_every_way_in_and_out(client: Client, receiver: Receiver) -> None:
    outs = {f"{mode}-{'enriched' if enrich else 'plain'}": (mode, enrich)
            for mode in ("structured", "binary", "batch") for enrich in (True, False)}  # fmt: skip
    for name, (mode, enrich) in outs.items():
        webhook = await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["gen.>"],
                                    mode=mode, enrich=enrich)  # fmt: skip
        assert webhook["mode"] == mode
    answer = await client.http.post("/v1/streams", json={"name": "gen", "subjects": ["gen.>"]})
    assert answer.status_code == 201, answer.text

    sent: dict[str, tuple[str, GeneratedEvent]] = {}
    frames: dict[str, bytes] = {}
    async with client.websocket() as socket:
        assert (await socket.request(action="subscribe", stream="gen"))["type"] == "subscribed"

        async def listen() -> None:
            while len(frames) < EVENTS * len(WAYS):
                frame = msgspec.json.decode(
                    await socket.connection.recv(), type=dict[str, msgspec.Raw]
                )
                if bytes(frame["type"]) == b'"event"':
                    event = bytes(frame["event"])
                    frames[conforms(event)["id"]] = event

        listening = asyncio.create_task(listen())
        for way, send in WAYS.items():
            made_now = [
                webhook.named(id=f"{way} {number} {webhook.attributes['id']}")
                for number, webhook in enumerate(_generated(EVENTS))
            ]
            sent |= {webhook.attributes["id"]: (way, webhook) for webhook in made_now}
            await send(client, made_now)
        assert len(sent) == EVENTS * len(WAYS)
        for name in outs:
            await _all_came(receiver, f"/{name}", len(sent))
        await asyncio.wait_for(listening, PATIENCE)

    for name, (mode, enrich) in outs.items():
        seen = set()
        for request in receiver.requests_to(f"/{name}"):
            assert "ce-datacontenttype" not in request.headers
            bodies = _bodies(request)
            assert (bodies is None) is (mode == "binary")
            if bodies is None:
                seen.add(_compare(read_binary(request.headers.items(), request.body), sent, enrich))
                continue
            for body in bodies:
                conforms(body)
                event_id = _compare(read_structured(body, texts_only=True), sent, enrich)
                seen.add(event_id)
                way, generated = sent[event_id]
                if "binary" not in way:  # in all other ways types and bytes are unchanged too
                    assert _plain(read_structured(body)) == canonical(generated), (way, generated)
        assert seen == set(sent)
    for event_id, event in frames.items():
        way, generated = sent[event_id]
        assert _plain(read_structured(event, texts_only=True)) == canonical(
            generated, texts_only=True
        ), way
    assert await client.stream_messages("GATEWAY_REJECTED") == []
    for lifecycle in client.lifecycle:
        conforms(lifecycle)
