"""An event whose request arrives in one piece goes round ASGI: its answers are those of a request
that arrives in two, which does not."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from support.program import LOOPBACK, Program
from support.raw_http import RawClient, Response

ORIGIN = "https://app.example"
JSON = "Content-Type: application/cloudevents+json"


@dataclass
class Served:
    """A gateway for all tests of this module, and keys by what they may do."""

    url: str
    keys: dict[str, str]
    metrics: httpx.Client

    def request(self, body: bytes, *lines: str, key: str = "admin", version: str = "1.1") -> bytes:
        """A request with an event; ``key``: empty for none."""
        credential = [f"Authorization: Bearer {self.keys.get(key, key)}"] if key else []
        length = f"Content-Length: {len(body)}"
        head = [f"POST /v1/events HTTP/{version}", "Host: x", *lines, *credential, length, "", ""]
        return "\r\n".join(head).encode() + body

    def wrong_logins(self) -> float:
        """How many credentials were refused."""
        name = 'event_gateway_failed_logins_total{reason="wrong"}'
        lines = self.metrics.get("/metrics").text.splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(name)), 0.0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    config = LOOPBACK | {"server": {"max_body": "64KiB", "cors": {"origins": [ORIGIN]}}}
    program = Program(tmp_path_factory.mktemp("at-once"), config)
    at = asyncio.run(program.start())
    with httpx.Client(base_url=at["http"], headers={"x-api-key": at["key"]}) as client:
        schema = {"type": "object", "required": ["n"]}
        event_type = {"type": "user.checked", "schema": schema, "enforce": "reject"}
        assert client.post("/v1/event-types", json=event_type).is_success
        keys = {"admin": at["key"]}
        limited: dict[str, dict[str, Any]] = {
            "reader": {"scopes": ["streams:read"]},
            "narrow": {"scopes": ["events:publish"], "types": ["user.*"]},
            "limited": {"scopes": ["events:publish"], "limits": {"requests": 1000, "per": "1m"}},
        }
        for name, members in limited.items():
            created = client.post("/v1/keys", json={"name": name} | members)
            assert created.status_code == 201, created.text
            keys[name] = created.json()["key"]
        yield Served(at["http"], keys, client)
    asyncio.run(program.stop())
    assert "Traceback" not in program.output, program.output


def event(event_id: str, event_type: str = "user.made", **members: Any) -> bytes:
    """An event in the JSON format."""
    given = {"specversion": "1.0", "id": event_id, "source": "/s", "type": event_type}
    return json.dumps(given | members).encode()


BINARY = ("ce-specversion: 1.0", "ce-source: /s", "ce-type: user.made", "Content-Type: text/plain")
TRACE = f"traceparent: 00-{'a' * 32}-{'b' * 16}-01"
# By name: what is sent, with a number in place of N, and the status of the answer.
SENT: dict[str, tuple[int, bytes, tuple[str, ...], str]] = {
    "structured": (202, event("sN"), (JSON,), "admin"),
    "binary": (202, b"text", (*BINARY, "ce-id: bN"), "admin"),
    "with a trace": (202, event("tN"), (JSON, TRACE), "admin"),
    "of a page": (202, event("oN"), (JSON, f"Origin: {ORIGIN}"), "admin"),
    "of another page": (202, event("pN"), (JSON, "Origin: https://other.example"), "admin"),
    "closing": (202, event("cN"), (JSON, "Connection: close"), "admin"),
    "a narrowed key": (202, event("nN"), (JSON,), "narrow"),
    "a limited key": (202, event("lN"), (JSON,), "limited"),
    "a batch": (202, b"[%b]" % event("aN"), ("Content-Type: application/cloudevents-batch+json",),
                "admin"),
    "a batch in capitals": (202, b"[%b,%b]" % (event("dN"), event("eN")),
                            ("Content-Type: Application/CloudEvents-Batch+JSON",), "admin"),
    "no key": (401, event("1"), (JSON,), ""),
    "a wrong key": (401, event("1"), (JSON,), "eg_wrong"),
    "a key that may not": (403, event("1"), (JSON,), "reader"),
    "a type that it may not": (403, event("1", "order.made"), (JSON,), "narrow"),
    "a reserved type": (403, event("1", "webhook.made"), (JSON,), "admin"),
    "no JSON": (400, b"{", (JSON,), "admin"),
    "no event": (422, b"{}", (JSON,), "admin"),
    "against the schema": (422, event("1", "user.checked", data={}), (JSON,), "admin"),
    "a media type of something else": (415, b"{}", ("Content-Type: text/html",), "admin"),
    "compressed": (415, event("1"), (JSON, "Content-Encoding: gzip"), "admin"),
    "too large": (413, event("1", data="x" * 70_000), (JSON,), "admin"),
}  # fmt: skip


def answer(url: str, *pieces: bytes) -> Response:
    """The answer to a request that is sent in pieces, on a connection of its own."""
    with RawClient(url) as client:
        for piece in pieces:
            client.send(piece)
            if piece is not pieces[-1]:
                # The gateway has begun to answer the request, of which the rest is missing.
                httpx.get(f"{url}/healthz").raise_for_status()
        return client.response()


def comparable(response: Response) -> tuple[int, dict[str, str], Any]:
    """The parts of an answer that do not differ from request to request."""
    headers = dict(response.headers)
    for name in ("date", "x-request-id", "ratelimit", "content-length"):
        headers.pop(name, None)
    body = json.loads(response.body)
    for item in body.get("items", ()):
        assert item.pop("sequence")
        item["id"] = item["id"][:1]
    return response.status, headers, body


@pytest.mark.parametrize("name", SENT)
def test_answers_are_those_of_asgi(served: Served, name: str) -> None:
    status, body, lines, key = SENT[name]

    def request(number: bytes) -> bytes:
        given = [line.replace("bN", f"b{number.decode()}") for line in lines]
        return served.request(body.replace(b'N"', number + b'"'), *given, key=key)

    refused = served.wrong_logins()
    whole = answer(served.url, request(b"1"))
    once = served.wrong_logins() - refused
    other = request(b"2")
    parts = answer(served.url, other[:-1], other[-1:])
    assert whole.status == status, whole
    assert comparable(whole) == comparable(parts)
    assert served.wrong_logins() - refused == 2 * once


def test_http_1_0_is_answered_and_closed(served: Served) -> None:
    with RawClient(served.url) as client:
        client.send(served.request(event("old"), JSON, version="1.0"))
        assert client.last_response().status == 202


def test_requests_on_one_connection_keep_their_order(served: Served) -> None:
    """One after another, many in one piece, and with other requests between them."""
    with RawClient(served.url) as client:
        for number in range(5):  # heads that differ in the length alone
            client.send(served.request(event(f"{10**number}"), JSON))
            answered = json.loads(client.response().body)
            assert answered["items"][0]["id"] == f"{10**number}"
        requests = [served.request(event(f"piped-{number}"), JSON) for number in range(20)]
        health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        client.send(b"".join([*requests[:10], health, *requests[10:]]))
        bodies = [json.loads(client.response().body) for _ in range(21)]
        assert "status" in bodies.pop(10)
        assert [body["items"][0]["id"] for body in bodies] == [f"piped-{n}" for n in range(20)]


def test_a_key_that_is_revoked_opens_no_kept_connection(served: Served) -> None:
    created = served.metrics.post("/v1/keys", json={"name": "k", "scopes": ["events:publish"]})
    key = created.json()
    with RawClient(served.url) as client:
        for number in range(3):
            client.send(served.request(event(f"kept-{number}"), JSON, key=key["key"]))
            assert client.response().status == 202
        assert served.metrics.delete(f"/v1/keys/{key['id']}").is_success
        client.send(served.request(event("kept-9"), JSON, key=key["key"]))
        assert client.response().status == 401
