"""Every route of the API gets numbers, bodies and names that it cannot take, and says so."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from event_gateway.cli.process.serve import Running
from support.client import BATCH, Client, event
from support.limited_work import limited_work

pytestmark = pytest.mark.shared

JSON = {"Content-Type": "application/json"}
SENT = event("a.b")
TOO_LARGE = (str(2**63), str(2**64), "1" + "0" * 30, "9" * 5000, "-1", "-" + "9" * 30)
WEBHOOK = {"id": "w", "url": "https://example.com/", "events": ["a.b"]}
NAMES = {"webhook_id": "w", "name": "st", "event_id": "e", "replay_id": "r", "letter_id": "1",
         "seq": "1", "subscription_id": "s"}  # fmt: skip


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, list[dict[str, Any]], bool]]:
    """Method, path, parameters, and whether there is a JSON body, of each route."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = operation.get("parameters", [])
            content = operation.get("requestBody", {}).get("content", {})
            yield method.upper(), path, parameters, "application/json" in content


def _is_integer(parameter: dict[str, Any]) -> bool:
    schema = parameter["schema"]
    return "integer" in [part.get("type") for part in (schema, *schema.get("anyOf", ()))]


def _filled(path: str, **values: str) -> str:
    for name, value in (NAMES | values).items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return path


def _says(answer: httpx.Response, *words: str) -> None:
    """The answer refuses, in few bytes, and names what is wrong."""
    assert 400 <= answer.status_code < 500, (answer.request.url, answer.text[:300])
    assert len(answer.content) < 100_000
    assert any(word in answer.text for word in words), (answer.request.url, answer.text[:300])


async def _registered(client: Client) -> dict[str, Any]:
    await client.webhook(**WEBHOOK)
    stream = {"name": "st", "subjects": ["user.>"]}
    assert (await client.http.post("/v1/streams", json=stream)).status_code == 201
    document: dict[str, Any] = (await client.http.get("/openapi.json")).json()
    return document


async def test_numbers_beyond_64_bits_are_named(client: Client) -> None:
    document = await _registered(client)
    tried = 0
    for method, path, parameters, _ in _operations(document):
        for parameter in parameters:
            name = parameter["name"]
            for number in TOO_LARGE:
                if _is_integer(parameter):
                    in_path = parameter["in"] == "path"
                    url = _filled(path, **({name: number} if in_path else {}))
                    query = {} if in_path else {name: number}
                    answer = await client.http.request(method, url, params=query, json=SENT)
                elif name == "cursor":
                    cursor = base64.urlsafe_b64encode(number.encode()).decode()
                    query = {name: cursor}
                    if method == "DELETE":
                        query["all"] = "true"  # it needs a filter or this
                    answer = await client.http.request(
                        method, _filled(path), params=query, json=SENT
                    )
                elif name == "from":
                    answer = await client.http.get(_filled(path), params={name: number})
                elif name == "last-event-id":
                    answer = await client.http.get(_filled(path), headers={name: number})
                else:
                    continue
                tried += 1
                _says(answer, name, name.title().replace("Id", "ID"))
    assert tried > 100
    for number in TOO_LARGE:
        for body in (
            f'{{"webhook": "w", "from_seq": {number}}}',
            f'{{"webhook": "w", "from_seq": 1, "until_seq": {number}}}',
        ):
            _says(
                await client.http.post("/v1/replays", content=body, headers=JSON), "_seq", "digits"
            )
        ids = f'{{"ids": [{number}]}}'
        answer = await client.http.post("/v1/dead-letters/replay", content=ids, headers=JSON)
        _says(answer, "ids", "digits")
    assert (await client.http.get("/readyz")).json() == {"status": "ok", "reasons": []}


async def test_bodies_are_read_strictly_everywhere(client: Client) -> None:
    document = await _registered(client)
    many = json.dumps({f"unknown{n}": 1 for n in range(2_000)}).encode()
    long = json.dumps({"k" * 30_000: [0] * 20_000}).encode()
    tried = 0
    for method, path, _, has_body in _operations(document):
        if not has_body:
            continue
        tried += 1
        url = _filled(path)

        async def sent(content: bytes, method: str = method, url: str = url) -> httpx.Response:
            with limited_work(url):
                return await client.http.request(method, url, content=content, headers=JSON)

        for content in (b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16")):
            answer = await sent(content)
            _says(answer, "UTF-8")
            assert answer.status_code == 400
        _says(await sent(b'{"id": "w", "id": "w"}'), "twice")
        _says(await sent(b'{"a": {"b": [{"key": 1, "key": 2}]}}'), "key: is there twice")
        _says(await sent(b'{"a": ' + b"9" * 5000 + b"}"), "digits")
        _says(await sent(b'{"a": ' + b"[" * 500_000), "nested too deep")
        assert len((await sent(many)).content) < 20_000
        assert len((await sent(long)).content) < 20_000
    assert tried > 10
    assert (await client.http.get("/v1/webhooks")).json()["items"][0]["id"] == "w"


async def test_a_document_of_event_types_is_read_strictly(client: Client) -> None:
    for content, media, says in (
        (b'{"asyncapi": "3.0.0\xff"}', "application/json", "UTF-8"),
        (b'{"asyncapi": "3.0.0\xff"}', "", "UTF-8"),
        (b"asyncapi: \xff", "application/yaml", "UTF-8"),
        (b"\xff\xfe{\0", "text/plain", "UTF-8"),
        (b'{"asyncapi": "3.0.0", "asyncapi": "2.6.0"}', "application/json", "twice"),
        (b"asyncapi: 3.0.0\nasyncapi: 2.6.0\n", "application/yaml", "twice"),
        (b"asyncapi: 3.0.0\ninfo: {x: .nan}\n", "application/yaml", "finite"),
    ):  # fmt: skip
        headers = {"Content-Type": media} if media else {}
        _says(await client.http.post(
            "/v1/event-types/import", content=content, headers=headers
        ), says)  # fmt: skip
    messages = {f"m{n}": 1 for n in range(20_000)}
    document = {"asyncapi": "3.0.0", "components": {"messages": messages}}
    answer = await client.http.post("/v1/event-types/import", json=document)
    assert (len(answer.json()["skipped"]), answer.json()["skipped_omitted"]) == (1000, 19_000)


async def test_a_batch_of_too_much_is_refused_at_once(client: Client) -> None:
    with limited_work():
        answer = await client.http.post(
            "/v1/events", content="[" + "1," * 400_000 + "1]", headers=BATCH
        )
    assert answer.status_code == 413
    bad = [{"x" * 300: 1}] * 900
    answer = await client.http.post("/v1/events", content=json.dumps(bad), headers=BATCH)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 100)
    assert answer.json()["errors_omitted"] == 800


async def test_websocket_messages_are_read_strictly(client: Client) -> None:
    await _registered(client)
    async with client.websocket() as socket:
        subscribe = {"action": "subscribe", "stream": "st"}
        groups = [{"all": [{}] * 400}] * 40
        for frame, says in (
            ('{"action": "ping", "action": "ping"}', "twice"),
            ('{"action": "ping", "ref": ' + "9" * 5000 + "}", "digits"),
            ('{"action": "ping", "ref": ' + "[" * 900 + "]" * 900 + "}", "ref must be"),
            ('{"action": "ping", "ref": NaN}', "ref must"),
            (json.dumps(subscribe | {"from": {"seq": 2**63}}), "from must be"),
            (json.dumps(subscribe | {"from": {"seq": 10**30}}), "from must be"),
            (json.dumps(subscribe | {"filters": [{}] * 15_000}), "entries"),
            (json.dumps(subscribe | {"filters": groups}), "filters.0"),
            (json.dumps(subscribe | {f"k{n}": 1 for n in range(5000)}), "subscribe has no"),
        ):
            await socket.connection.send(frame)
            answer = await socket.next()
            assert answer["type"] == "error"
            assert says in answer["detail"], (frame[:100], answer["detail"][:300])
            assert len(answer["detail"]) < 10_000
        assert (await socket.request(action="ping", ref="r"))["type"] == "pong"


async def test_names_that_lead_to_private_files_are_refused(
    gateway: Running, client: Client
) -> None:
    """Also the short signing secret, in each place where it may be set."""

    def secured(name: str, auth_type: str = "bearer_token") -> dict[str, Any]:
        return WEBHOOK | {"security": {"auth_type": auth_type, "secret_name": name}}

    for name in ("sealing.key", "sealing-key", "Sealing_Key"):
        answer = await client.http.post("/v1/webhooks", json=secured(name))
        _says(answer, "security[0].secret_name")
    short = "whsec_" + base64.b64encode(b"k" * 23).decode()
    _says(await client.http.put("/v1/secrets/s", json={"value": short}), "24 to 64 bytes")
    unpadded = "whsec_" + base64.b64encode(b"k" * 25).decode().rstrip("=")
    assert (await client.http.put("/v1/secrets/s", json={"value": unpadded})).status_code == 201
    created = await client.http.post("/v1/webhooks", json=secured("s", "hmac_signature"))
    assert created.status_code == 201
    plain = short.removeprefix("whsec_")  # a signing key is known by its use, too
    _says(await client.http.put("/v1/secrets/s", json={"value": plain}), "24 to 64 bytes")
    rotate = {"value": plain}
    _says(await client.http.post("/v1/secrets/s/rotate", json=rotate), "24 to 64 bytes")
    _says(await client.http.post("/v1/webhooks/w/rotate-secret", json=rotate), "24 to 64 bytes")
    await client.http.put("/v1/secrets/t", json={"value": plain})  # a bearer token, say
    other = secured("t", "hmac_signature") | {"id": "w2"}
    _says(await client.http.post("/v1/webhooks", json=other), "security[0].secret_name")


async def test_a_path_may_hold_anything(client: Client) -> None:
    document = await _registered(client)
    odd = ("%00", "%ff%fe", quote("\u20ac"), "a" * 5000, "..%2f..", "%2e%2e", "*", "%3E", "a%20b")
    for method, path, _, _ in _operations(document):
        if "{" in path and not path.endswith("/sse"):
            for name in odd:
                url = _filled(path, **dict.fromkeys(NAMES, name))
                answer = await client.http.request(method, url, json={})
                assert answer.status_code < 500, (method, url[:100], answer.text[:200])
