"""Any input is an event, or is refused or rejected with a reason; nothing crashes the gateway."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.cli.process.serve import Running
from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.enrichment import splice
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.json_format import from_batch, from_structured, to_structured
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.matching.path import path_of
from support.client import BATCH, STRUCTURED, Client, event
from support.examples import examples
from support.receiver import Receiver

pytestmark = pytest.mark.shared

HEAD = b'{"specversion":"1.0","id":"1","source":"s","type":"user.x","data":'
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "user.x"}
DEEP = b"[" * 100_000 + b"]" * 100_000
NASTY = [
    b"", b"null", b"{", b"[]", b"\xff\xfe", b"\xef\xbb\xbf{}", b"NaN", b'"\\ud800"', DEEP,
    HEAD + DEEP + b"}", HEAD + b"1e999}", HEAD + b"9" * 5000 + b"}", HEAD + b'"\\ud800"}',
    HEAD + b"[" * 940 + b"]" * 940 + b"}", HEAD + b'{"\\ud800x":1}}', HEAD + b'{"a":1}}x',
    HEAD + b'1,"ext":1e999}', HEAD + b'1,"ext":' + DEEP + b"}", HEAD + b'1,"ext":{}}',
    HEAD + b'1,"data_base64":"eA=="}', HEAD[:-7] + b'"data_base64":"%%"}',
    HEAD[:-7] + b'"data_base64":' + DEEP + b"}", HEAD + b'1,"time":"2026-13-01T00:00:00Z"}',
    HEAD + b'1,"subject":""}', HEAD + b'1,"datacontenttype":7}', HEAD + b'1,"a-b":"x"}',
    b'{"specversion":1.0}', HEAD[:-7] + b'"x":"' + b"x" * 70_000 + b'"}',
    HEAD + b'1,' + b",".join(b'"x%d":1' % n for n in range(100)) + b"}",
]  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
names = st.sampled_from(
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema",
     "data", "data_base64", "ext", "Bad", ""]
)  # fmt: skip
objects = st.dictionaries(names, json_values | st.just("1.0") | st.just("a.b"), max_size=9)
bodies = (
    st.binary(max_size=64)
    | st.sampled_from(NASTY)
    | objects.map(lambda value: json.dumps(value).encode())
    | json_values.map(lambda value: json.dumps(value).encode())
)
headers = st.dictionaries(
    st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-ext", "CE-ID", "x"]),
    st.text(max_size=12) | st.just("1.0") | st.just("%zz") | st.just('"a\\"'),
)
types = st.sampled_from(
    [None, "application/json", "text/plain", "application/cloudevents+json", "", ";", "a/b+json",
     "application/cloudevents-batch+json", "application/xml"]
)  # fmt: skip


def _usable(generated: Event) -> None:
    """An accepted event can be filtered, enriched, encoded and decoded."""
    received = Received(generated, "S", 1, 0.0)
    path_of("data.a[*].b").values(received)
    again = from_structured(to_structured(generated))
    assert (again.id, again.source, again.type) == (generated.id, generated.source, generated.type)
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        splice(generated.data, b"{}")  # the enricher forwards unreadable data unchanged


@settings(max_examples=examples(600))
@given(body=bodies, given_headers=headers, content_type=types)
def test_parsers_return_an_event_or_a_reason(
    body: bytes, given_headers: dict[str, str], content_type: str | None
) -> None:
    message_headers = given_headers | ({"Content-Type": content_type} if content_type else {})
    place: dict[str, Any] = {"subject": "user.x", "stream": "S", "seq": 1, "time": 1.0}
    for parse in (
        lambda: [from_structured(body)],
        lambda: [item for item, _ in from_batch(body)],
        lambda: [from_binary(given_headers.items(), content_type, body)],
        lambda: [from_message(message_headers, body, **place).event],
    ):
        try:
            result = parse()
        except InvalidEvent:
            continue
        for item in result:
            if not isinstance(item, InvalidEvent):
                _usable(item)


async def test_nothing_hostile_stops_the_gateway(client: Client, receiver: Receiver) -> None:
    expected = [{"field": "data.a", "operator": "not_equals", "value": 1}]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], filters=expected)
    for body in NASTY:
        for headers in (STRUCTURED, BATCH, BINARY):
            answer = await client.http.post("/v1/events", content=body, headers=headers)
            assert answer.status_code in (202, 400, 413, 415, 422), (body[:80], answer.text)
            if answer.status_code != 202:
                assert answer.json()["detail"]
        for mode in (None, STRUCTURED, BINARY):
            await client.nats.publish("user.x", body, headers=mode)
    last = event("user.x", {"a": 2})
    await client.send(last)
    await client.until("w", last["id"], "succeeded")
    for message in await client.stream_messages("GATEWAY_REJECTED"):
        assert message.headers["Eg-Detail"]


WRONG_HEADERS: list[tuple[dict[str, str], int, str]] = [
    ({"Content-Type": "application/json"}, 415, "application/cloudevents+json"),
    ({"Content-Type": "text/csv"}, 415, "ce-"),
    ({}, 415, "ce-"),
    ({"Content-Type": "application/cloudevents+json; charset=utf-16"}, 415, "utf-16"),
    (STRUCTURED | {"Content-Encoding": "gzip"}, 415, "gzip"),
]


async def test_errors_say_how_to_send_an_event(client: Client, subtests: pytest.Subtests) -> None:
    for headers, status, message in WRONG_HEADERS:
        with subtests.test(headers=headers, message=message):
            body = json.dumps(event("user.x")).encode()
            answer = await client.http.post("/v1/events", content=body, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert message in answer.json()["detail"]


ODD: list[Any] = [
    None, True, 0, -1, 1.5, 1e308, 10**400, "", "x", "\ud800", "\0", "a" * 70_000, [], [None], [[]],
    {}, {"a": 1}, ["a.b"] * 500, "1e999s", "9" * 400 + "s", "-1s", "http://[::1", "http://a:99999/",
    "http://user:p@h/", "http://" + "a" * 5000, {"max_attempts": 10**30}, {"multiplier": 1e400},
    {"a\r\nb": "c"}, {"X": "a\r\nb"}, [{"field": "x", "operator": "equals", "value": {"a": 1}}],
]  # fmt: skip
WEBHOOK = {"id": "odd", "url": "https://example.com/", "events": ["user.*"]}
STREAM = {"name": "odd", "subjects": ["user.*"]}


@pytest.mark.parametrize(
    ("path", "sound", "keys"),
    [
        ("/v1/webhooks", WEBHOOK, [*WEBHOOK, "filters", "namespaces", "sources", "transformation",
         "retry_policy", "timeout", "concurrency", "headers", "enrich", "security", "enabled",
         "description", "metadata", "managed_by"]),
        ("/v1/streams", STREAM, [*STREAM, "retention", "max_messages", "max_bytes"]),
    ],
)  # fmt: skip
async def test_any_definition_is_accepted_or_refused(
    client: Client, path: str, sound: dict[str, Any], keys: list[str]
) -> None:
    bodies: list[Any] = [sound | {key: value} for key in keys for value in ODD]
    for body in [*bodies, None, [], 7, "x"]:
        answer = await client.http.post(
            path, content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        if answer.status_code == 201:
            content = answer.json()
            name = content.get("id") or content["name"]
            assert (await client.http.delete(f"{path}/{name}")).status_code == 204
        else:
            assert 400 <= answer.status_code < 500, (body, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
    for malformed in (DEEP, b'{"metadata":' + DEEP + b"}", b"{", b"\xff", b"NaN"):
        answer = await client.http.post(
            path, content=malformed, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422), answer.text


MIB = 1 << 20
NONSENSE = {
    "names": HEAD + b"1" + b"".join(b',"%x":1' % n for n in range(MIB // 11)) + b"}",
    "unset names": HEAD + b"1" + b"".join(b',"%x":null' % n for n in range(MIB // 14)) + b"}",
    "a name again and again": HEAD + b"1" + b',"x":1' * (MIB // 6) + b"}",
    "depth": HEAD + b"[" * (MIB // 2) + b"]" * (MIB // 2) + b"}",
    "halves of characters": HEAD + b'"' + b"\\ud800" * (MIB // 6) + b'"}',
    "escapes": HEAD + b'"' + b"\\n" * (MIB // 2) + b"\\ud800}",
    "a name of quotes": HEAD + b'1,"' + b'\\"' * (MIB // 2) + b'":1}',
    "digits": HEAD + b'1,"x":' + b"9" * MIB + b"}",
    "a source": HEAD.replace(b'"s"', b'"' + b"a:" * (MIB // 2) + b' "') + b"1}",
    "a time": HEAD + b'1,"time":"2026-01-01T00:00:00.' + b"1" * MIB + b'x"}',
    "no UTF-8": HEAD + b'"' + b"\xc3" * MIB + b'"}',
    "an id": HEAD.replace(b'"1"', b'"' + "é".encode() * (MIB // 2) + b'"') + b"1}",
    "base64": HEAD[:-7] + b'"data_base64":"' + b"AAAA" * (MIB // 4) + b'%"}',
}


@pytest.mark.alone
async def test_large_invalid_input_does_not_delay_others(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    for _ in range(3):
        for body in NONSENSE.values():
            await client.nats.publish("user.x", body)
        good = event("user.x")
        await client.nats.publish("user.x", json.dumps(good).encode())
        # All the invalid input before it is read first: some 13 MiB.
        await client.until("w", good["id"], "succeeded")
    rejected = await client.stream_messages("GATEWAY_REJECTED")
    assert [item.data for item in rejected] == [*NONSENSE.values()] * 3
    assert all(item.headers["Eg-Detail"] for item in rejected)
    for body in NONSENSE.values():
        answer = await client.http.post("/v1/events", content=body[:MIB], headers=STRUCTURED)
        assert answer.status_code in (400, 422), answer.text


@pytest.mark.alone
async def test_what_surrounds_a_message_of_nats_stops_no_other(
    client: Client, receiver: Receiver
) -> None:
    """The server takes nearly any bytes as a subject, and any as headers."""
    await client.webhook(id="w", url=receiver.url, events=["user.>"])
    commands = [b"PUB user.a\x0bb 2\r\n{}\r\n", b"PUB user.\xff\xfe 2\r\n{}\r\n"]
    for odd in (b"abcd", b"NATS/1.0", b"NATS/1.0 \xff\xff\xff\r\n\r\n", b"NATS/1.0 \r\n\r\n",
                b"NATS/1.0 503\r\n\r\n", b"NATS/1.0 100 Idle \xff\r\n\r\n"):  # fmt: skip
        size = len(odd)
        commands.append(b"HPUB user.odd %d %d\r\n%b{}\r\n" % (size, size + 2, odd))
    await client.nats._send_command(b"".join(commands))
    await client.nats.flush()
    last = event("user.last")
    await client.send(last)
    await client.until("w", last["id"], "succeeded")
    answer = await client.http.get("/v1/events", params={"limit": 100})
    listed = [item["sequence"] for item in answer.json()["items"]]
    rejected = (await client.http.get("/v1/rejected")).json()["items"]
    assert sorted(listed + [item["sequence"] for item in rejected]) == list(range(1, 10))


async def test_a_fault_in_authentication_is_a_problem(
    gateway: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_arguments: object) -> None:
        raise RuntimeError("a fault")

    authenticator = gateway.gateway.api.access.authenticator
    with monkeypatch.context() as patched:
        patched.setattr(type(authenticator), "authenticate", faulty)
        answer = await client.http.post("/v1/events", json=event("user.a"),
                                        headers=STRUCTURED)  # fmt: skip
    assert answer.status_code == 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    await client.send(event("user.a"))
