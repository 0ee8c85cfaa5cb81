"""Numbers keep their digits and are numbers on every way; content types are media types; JSON is
JSON however it comes in."""

import base64
import json
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from support.bus import connect_bus
from support.client import STRUCTURED, Client
from support.fixtures import Start
from support.receiver import Receiver

HEAD = '{"specversion":"1.0","id":"%s","source":"s","type":"user.n"'
DATA = '{"a":10.10,"big":123456789012345678901234567890,"e":1e5,"zero":-0.0,"far":1e400,"n":100}'
DIGITS = DATA[1:-1]


@pytest.fixture
async def gateway(start: Start) -> Running:
    templates = {
        "picked": {"template": {"a": "{{ data.a }}", "all": ["{{ data.big }}", "{{ data.far }}"]}},
        "words": {"template": "{{ data.a }} {{ data.zero }}", "content_type": "text/plain"},
    }
    return await start({"transformations": templates})  # type: ignore[no-any-return]


async def test_numbers(client: Client, receiver: Receiver) -> None:
    http = client.http
    for name, more in (
        ("standard", {}), ("binary", {"mode": "binary"}), ("batch", {"mode": "batch"}),
        ("analytics_format", {}), ("crm_format", {}), ("siem_format", {}),
        ("picked", {}), ("words", {"enrich": False}),
    ):  # fmt: skip
        kind = name if name not in ("binary", "batch") else "standard"
        await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=["user.n"], transformation=kind,
            expression="event.data.n * 1.2 == 120 && event.data.big > 1e29 && event.data.far > 5.0",
            filters=[{"field": "data.a", "operator": "equals", "value": 10.1},
                     {"field": "data.big", "operator": "gt", "value": 2**64 - 1},
                     {"field": "data.far", "operator": "gt", "value": 1.5}], **more,
        )  # fmt: skip
    made = await http.post("/v1/streams", json={"name": "s", "subjects": ["user.n"]})
    assert made.status_code == 201, made.text
    sent = f'{HEAD % "1"},"data":{DATA}}}'.encode()
    async with client.websocket() as live:
        await live.request(action="subscribe", stream="s", expression="event.data.big > 1.0")
        answer = await http.post("/v1/events", content=sent, headers=STRUCTURED)
        assert answer.status_code == 202, answer.text
        assert DIGITS in await live.connection.recv()
    for name in ("standard", "binary", "batch", "analytics_format", "crm_format", "siem_format"):
        [request] = await receiver.until(1, f"/{name}")
        assert DIGITS in request.body.decode(), name
    [picked] = await receiver.until(1, "/picked")
    assert picked.body == b'{"a":10.10,"all":[123456789012345678901234567890,1e400]}'
    [words] = await receiver.until(1, "/words")
    assert words.body == b"10.10 -0.0"
    assert DIGITS in (await http.get("/v1/streams/s/messages")).text
    event = sent.decode()
    json_type = {"content-type": "application/json"}
    shown = await http.post(
        "/v1/transformations/preview",
        content=f'{{"transformation":"picked","event":{event}}}', headers=json_type,
    )  # fmt: skip
    assert '"a":10.10,"all":[123456789012345678901234567890,1e400]' in shown.text
    for path, body in (
        ("/v1/webhooks/match", f'{{"event":{event}}}'), ("/v1/webhooks/match", event),
    ):  # fmt: skip
        matched = await http.post(path, content=body, headers=json_type)
        assert matched.json()["matched_count"] == 8, matched.text
    tried = await http.post(
        "/v1/webhooks/standard/test", content=f'{{"event":{event}}}', headers=json_type
    )
    assert tried.status_code == 200, tried.text
    assert DIGITS in (await receiver.until(2, "/standard"))[1].body.decode()
    evaluated = await http.post(
        "/v1/expressions/evaluate", headers=json_type,
        content=f'{{"expression":"event.data.big > 5","event":{event}}}',
    )  # fmt: skip
    assert evaluated.json() == {"value": True, "errors": []}


async def test_content_types(gateway: Running, client: Client, receiver: Receiver) -> None:
    """Refused over HTTP and NATS in each mode."""
    http = client.http
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], mode="binary")
    for wrong in ("xyz", "text/plain; charset", "te\u00e4xt/plain", "a/b; c=\u00e4"):
        item = json.loads(HEAD % "1" + "}") | {"datacontenttype": wrong, "data": "x"}
        batch = {"content-type": "application/cloudevents-batch+json"}
        attributes = {f"ce-{k}": v for k, v in json.loads(HEAD % "1" + "}").items()}
        for answer in (
            await http.post("/v1/events", content=json.dumps(item), headers=STRUCTURED),
            await http.post("/v1/events", content=json.dumps([item]), headers=batch),
            await http.post(
                "/v1/events", content=b"x", headers=attributes | {"content-type": wrong.encode()}
            ),
        ):
            assert answer.status_code == 422, (wrong, answer.text)
            assert "is no media type" in answer.text
    connection = await connect_bus(gateway.nats_url)
    jetstream = connection.jetstream()
    plain = {"type": "user.n", "source": "s", "datacontenttype": "xyz", "data": 1}
    structured = plain | {"specversion": "1.0", "id": "2"}
    ce = {"ce-specversion": "1.0", "ce-id": "3", "ce-source": "s", "ce-type": "user.n"}
    await jetstream.publish("user.n", json.dumps(plain).encode())
    await jetstream.publish("user.n", json.dumps(structured).encode())
    await jetstream.publish("user.n", b"x", headers=ce | {"content-type": "xyz"})
    good = ce | {"ce-id": "4", "content-type": "text/plain; charset=iso-8859-1"}
    await jetstream.publish("user.n", "é".encode("latin-1"), headers=good)
    await connection.close()
    [request] = await receiver.until(1, "/w")
    assert (request.headers["ce-id"], request.body) == ("4", b"\xe9")
    rejected = (await http.get("/v1/rejected")).json()["items"]
    assert len(rejected) == 3
    assert all("'xyz' is no media type" in item["detail"] for item in rejected)


async def test_json_in_other_clothes(client: Client, receiver: Receiver) -> None:
    """In base64, or in another encoding: for filters, expressions, schemas, templates and
    enrichment."""
    http = client.http
    body: dict[str, Any] = {
        "type": "user.n", "enforce": "reject",
        "schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
    }  # fmt: skip
    assert (await http.post("/v1/event-types", json=body)).status_code == 201
    select = {"filters": [{"field": "data.a", "operator": "equals", "value": "é"}],
              "expression": 'event.data.a == "é"'}  # fmt: skip
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.n"], **select)
    await client.webhook(id="b", url=f"{receiver.url}/b", events=["user.n"], mode="binary",
                         enrich=False, **select)  # fmt: skip
    await client.webhook(id="t", url=f"{receiver.url}/t", events=["user.n"],
                         transformation="picked", **select)  # fmt: skip
    sent = [("application/json", "utf-8"), ("application/json; charset=utf-16", "utf-16"),
            ("application/x+json;charset=ISO-8859-1", "latin-1")]  # fmt: skip
    for at, (content_type, encoding) in enumerate(sent):
        encoded = base64.b64encode('{"a":"é"}'.encode(encoding)).decode()
        wrong = base64.b64encode('{"a":1}'.encode(encoding)).decode()
        for data, status in ((encoded, 202), (wrong, 422)):
            item = json.loads(HEAD % f"{at}" + "}") | {"datacontenttype": content_type}
            answer = await http.post(
                "/v1/events", content=json.dumps(item | {"data_base64": data}), headers=STRUCTURED
            )
            assert answer.status_code == status, answer.text
    for request in await receiver.until(3, "/w"):
        assert request.json["data"]["a"] == "é"
        assert "processed_at" in request.json["data"]["enrichment"]
    bodies = {request.headers["ce-id"]: request.body for request in await receiver.until(3, "/b")}
    assert bodies == {
        str(at): '{"a":"é"}'.encode(encoding) for at, (_, encoding) in enumerate(sent)
    }
    assert [request.json["a"] for request in await receiver.until(3, "/t")] == ["é"] * 3


async def test_schemas_check_numbers_of_any_size(client: Client) -> None:
    http = client.http
    limits = {"properties": {"n": {"type": "number", "maximum": 100}, "i": {"type": "integer"}}}
    body = {"type": "user.n", "enforce": "reject", "schema": limits}
    assert (await http.post("/v1/event-types", json=body)).status_code == 201
    for at, (data, status) in enumerate({
        '{"n":100.0}': 202, '{"n":-1e400,"i":1e2}': 202, '{"n":1e400}': 422,
        '{"n":1e2,"x":1e999}': 202,
        '{"n":123456789012345678901234567890}': 422, '{"i":123456789012345678901234567890}': 202,
        '{"i":100.5}': 422, f'{{"n":{"9" * 5000}}}': 422, f'{{"n":-{"9" * 5000}}}': 202,
    }.items()):  # fmt: skip
        sent = f'{HEAD % at},"data":{data}}}'
        answer = await http.post("/v1/events", content=sent, headers=STRUCTURED)
        assert answer.status_code == status, (data[:40], answer.text)
