"""AsyncAPI documents: the event types and schemas that are read from them."""

import gzip
import json
import string
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.config.yaml_faults import BadYaml
from event_gateway.config.yaml_source import read_plain
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.asyncapi import messages, reading
from event_gateway.core.schema.asyncapi.gateway_channels import Surroundings
from event_gateway.core.schema.asyncapi.reading import read
from event_gateway.core.schema.asyncapi.writing import write
from event_gateway.core.schema.event_schema import EventSchema
from event_gateway.core.schema.event_type import EventType, to_json
from event_gateway.core.schema.lifecycle_types import LIFECYCLE_TYPES
from support.asyncapi_documents import documents
from support.event_schemas import schemas
from support.examples import examples

SCHEMA = Path(__file__).parents[1] / "data" / "asyncapi-3.0.0.schema.json.gz"


def schema_of(event_type: EventType) -> Any:
    """The schema of an event type, decoded."""
    assert isinstance(event_type.schema, msgspec.Raw)
    return msgspec.json.decode(event_type.schema)


def holds(event_type: EventType, data: Any) -> bool:
    """Whether data is valid under the schema of an event type."""
    return EventSchema(schema_of(event_type)).violation(data, 100) is None


def test_traits_win_in_version_2_and_the_message_in_version_3() -> None:
    message: dict[str, Any] = {
        "name": "own.name", "description": "own", "contentType": "application/json",
        "headers": {"properties": {"ce_type": {"const": "own.type"}}},
        "payload": {"type": "object", "required": ["own"]},
        "x-event-gateway": {"owner": "own", "dataschema": "https://e.com/own"},
        "examples": [{"payload": {"own": 1}}],
        "traits": [
            {"$ref": "#/components/messageTraits/first"},
            {"description": "second",
             "headers": {"properties": {"ce_type": {"const": "second.type"}}}},
            {"$ref": "https://cloudevents.io/trait.json"},
        ],
    }  # fmt: skip
    first: dict[str, Any] = {
        "description": "first", "summary": "first", "payload": False,
        "x-event-gateway": {"owner": "first", "enforce": "reject"},
        "headers": {"properties": {"ce_type": {"const": "first.type"}}},
    }  # fmt: skip
    parts: dict[str, Any] = {"messages": {"m": message}, "messageTraits": {"first": first}}
    seen = {}
    for version in ("2.6.0", "3.0.0"):
        [found], skipped = read({"asyncapi": version, "components": parts})
        assert not skipped
        assert holds(found, {"own": 1})
        assert not holds(found, {})
        seen[version] = (
            found.type,
            found.description,
            found.owner,
            found.dataschema,
            found.enforce,
        )
    assert seen == {
        "2.6.0": ("second.type", "second", "first", "https://e.com/own", "reject"),
        "3.0.0": ("own.type", "own", "own", "https://e.com/own", "reject"),
    }
    del message["headers"], message["description"]
    for trait in (first, message["traits"][1]):
        del trait["headers"]
    first["name"] = "first.name"
    for version, name in (("2.6.0", "first.name"), ("3.0.0", "own.name")):
        [found], _ = read({"asyncapi": version, "components": parts})
        assert (found.type, found.description) == (name, "second")
    first["name"] = None  # RFC 7396: removes it, and the key of the message is its next name
    parts["messages"] = {"by.key": message}
    [found], _ = read({"asyncapi": "2.6.0", "components": parts})
    assert found.type == "by.key"


def test_what_an_envelope_requires_beyond_its_data_is_named() -> None:
    uri = {"type": "string", "minLength": 1, "format": "uri-reference"}
    envelope: dict[str, Any] = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "allOf": [{"properties": {"partitionkey": {"$ref": "#/components/schemas/key"}}}],
        "properties": {
            "specversion": {"const": "1.0"}, "type": {"const": "a.b"}, "id": {"type": "string"},
            "source": {"const": "/shop"}, "time": {"type": "string", "format": "date-time"},
            "dataschema": uri, "subject": {"type": ["string", "null"], "pattern": "^o/"},
            "level": {"type": "integer"}, "never": False, "data": {"type": "object"},
        },
        "additionalProperties": False,
    }  # fmt: skip
    schemas = {"key": {"type": "string", "maxLength": 5, "description": "…"}}
    binary = {
        "name": "c.d",
        "payload": {"type": "object"},
        "headers": {
            "required": ["ce-time", "x-other"],
            "properties": {
                "ce-source": {"enum": ["/a"]},
                "ce-id": {"type": "string"},
                "x-other": {"const": 1},
            },
        },
    }
    parts = {"messages": {"m": {"payload": envelope}, "n": binary}, "schemas": schemas}
    found, skipped = read({"asyncapi": "3.0.0", "components": parts})
    assert [event_type.type for event_type in found] == ["a.b", "c.d"]
    assert [(each.place, each.reason.partition("requirements: ")[2]) for each in skipped] == [
        ("/components/messages/m",
         "time (required), source (const), subject (pattern), level (type), never (not allowed), "
         "additionalProperties of the event, partitionkey (maxLength)"),
        ("/components/messages/n", "time (required), source (enum)"),
    ]  # fmt: skip
    for plain in ("source", "subject", "level", "never"):
        del envelope["properties"][plain]
    del envelope["additionalProperties"], envelope["allOf"]
    envelope["required"].remove("time")
    assert (
        read({"asyncapi": "3.0.0", "components": {"messages": {"m": {"payload": envelope}}}})[1]
        == []
    )


def test_version_2() -> None:
    result, skipped = read(documents()["2"])
    types = {item.type: item for item in result}
    assert list(types) == ["shop.order.placed", "shop.order.paid", "stock.level.changed"]
    placed = types["shop.order.placed"]
    assert placed.description == "An order was placed."
    assert [msgspec.json.decode(example) for example in placed.examples] == [
        {"id": 7, "lines": [{"sku": "a"}]}
    ]
    for name in ("shop.order.placed", "shop.order.paid"):
        assert holds(types[name], {"id": 1, "lines": [{"sku": "x"}], "parent": {"id": 2}})
        for wrong in ({}, {"id": "x"}, {"id": 1, "lines": [{"q": 1}]}, {"id": 1, "parent": {}}):
            assert not holds(types[name], wrong), wrong
    level = types["stock.level.changed"]
    assert holds(level, {"level": 1, "pair": ["a", 1]})
    for other in ({"level": 0, "pair": []}, {"level": 1}, {"pair": []},
                  {"level": 1, "pair": ["a", 1, 2]}, {"level": 1, "pair": [1]}):  # fmt: skip
        assert not holds(level, other), other
    reasons = {item.place.rpartition("/")[2]: item.reason for item in skipped}
    assert set(reasons) == {"message", "Avro", "Nameless", "Remote", "Wrong", "Reserved"}
    assert "./other.yaml#/messages/x, which is not in this document" in reasons["message"]
    assert "vnd.apache.avro" in reasons["Avro"]
    assert "names no type" in reasons["Nameless"]
    assert "https://example.com/order.json" in reasons["Remote"]
    assert "schema/type" in reasons["Wrong"]
    assert "reserved for the gateway" in reasons["Reserved"]


def test_version_3() -> None:
    result, skipped = read(documents()["3"])
    types = {item.type: item for item in result}
    assert not skipped
    assert set(types) == {"lights.office.switched", "lights.on", "lights.off", "lights.out",
                          "lights.modern.made", "lights.dated.made"}  # fmt: skip
    assert schema_of(types["lights.on"]) == {"type": "boolean"}
    assert schema_of(types["lights.out"]) == {"type": "null"}
    assert holds(types["lights.office.switched"], {"position": "ON"})
    assert not holds(types["lights.office.switched"], {"position": "on"})
    assert schema_of(types["lights.modern.made"]) == {
        "type": "array", "prefixItems": [{"$ref": "#/$defs/n"}],
        "$defs": {"n": {"type": "integer"}},
    }  # fmt: skip
    assert schema_of(types["lights.dated.made"]) == {"const": "2026-05-04"}


def test_yaml_1_2_is_read() -> None:
    text = "[ON, yes, 010, 1_0, 1:30, 0o17, 0x1F, 1e3, .5, ~, TRUE, '1', !!str 1, 2026-05-04, 1.]"
    assert read_plain(text, 8) == [
        "ON", "yes", 10, "1_0", "1:30", 15, 31, 1000.0, 0.5, None, True, "1", "1", "2026-05-04",
        1.0,
    ]  # fmt: skip
    for wrong in (
        "!x y",
        "!!python/name:os.system y",
        "a: 1\na: 2",
        "9" * 5000,
        "[" * 20 + "]" * 20,
    ):
        with pytest.raises(BadYaml):
            read_plain(wrong, 8)


def message(payload: Any, **more: Any) -> dict[str, Any]:
    """A document with one message."""
    return {
        "asyncapi": "3.0.0",
        "components": {"messages": {"m": {"name": "a.b", "payload": payload, **more}}},
    }


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (None, "not an AsyncAPI document"),
        ([], "not an AsyncAPI document"),
        ({"openapi": "3.0.0"}, "not an AsyncAPI document"),
        ({"asyncapi": 3}, "not an AsyncAPI document"),
        ({"asyncapi": "1.2.0"}, "versions 2 and 3"),
        ({"asyncapi": "4.0.0"}, "versions 2 and 3"),
    ],
)
def test_invalid_documents_are_refused(content: Any, detail: str) -> None:
    with pytest.raises(InvalidDefinition, match=detail):
        read(content)


def test_hostile_documents_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"not": deep}
    with pytest.raises(InvalidDefinition, match="nested deeper"):
        read(message(deep))
    chain = {f"s{n}": {"properties": {"x": {"$ref": f"#/components/schemas/s{n + 1}"}}}
             for n in range(500)} | {"s500": {"type": "integer"}}  # fmt: skip
    circle = {"a": {"$ref": "#/components/schemas/b"}, "b": {"$ref": "#/components/schemas/a"}}
    overlapping: Any = {}
    for _ in range(50):
        overlapping = {"properties": {"x": overlapping}}
    pointers = ["#/components/schemas/deep" + "/properties/x" * n for n in range(50)]
    for payload, components, text in (
        ({"$ref": "#/components/schemas/s0"}, chain, None),
        ({"$ref": "#/components/schemas/a"}, circle, "circular"),
        ({"$ref": "#/components/messages/m/payload"}, {}, "circular"),
        ({"allOf": [{"$ref": "#/components/messages/m/payload"}] * 2}, {}, None),
        ({"allOf": [{"$ref": pointer} for pointer in pointers]}, {"deep": overlapping}, None),
        ({"properties": 7, "allOf": 7, "items": 7, "$ref": 7, "oneOf": 7}, {}, "schema"),
        ({"properties": {"type": 7, "specversion": 7, "data": 7}}, {}, "object, true or false"),
        ({"pattern": "(a+)+$", "$ref": "#"}, {}, None),
        ("text", {}, "object, true or false"),
    ):
        content = message(payload)
        content["components"]["schemas"] = components
        result, skipped = read(content)
        if text is None:
            assert len(result) + len(skipped) == 1
        else:
            assert text in skipped[0].reason
    # Many references to one large trait, of one message and of many.
    monkeypatch.setattr(messages, "MAX_MERGED", 25_000)
    trait = {f"x-{n}": n for n in range(250)}
    for count, each in ((1, 150), (150, 1)):
        refs = [{"$ref": "#/components/messageTraits/t"}] * each
        content = message({})
        content["components"] = {"messageTraits": {"t": trait}, "messages": {
            f"m{n}": {"name": f"a.m{n}", "payload": {}, "traits": refs} for n in range(count)
        }}  # fmt: skip
        result, skipped = read(content)
        assert len(result) + len(skipped) == count
        assert "more than can be copied" in skipped[-1].reason
    # Many messages that share a large part: limited, and reported.
    monkeypatch.setattr(reading, "MAX_COPIED", 25_000)
    shared = {"properties": {f"p{n}": {"type": "string"} for n in range(250)}}
    content = message({})
    content["components"] = {
        "schemas": {"s": shared},
        "messages": {f"m{n}": {"name": f"a.m{n}", "payload": {"$ref": "#/components/schemas/s"}}
                     for n in range(150)},
    }  # fmt: skip
    result, skipped = read(content)
    assert len(result) + len(skipped) == 150
    assert "more than can be copied" in skipped[-1].reason
    for odd in (
        {"channels": 7},
        {"channels": {"a": 7}},
        {"components": {"messages": {"m": 7}}},
        {"channels": {"a": {"messages": {"x": None}, "$ref": 3}}},
        {"channels": {"a": {"$ref": "#/channels/a"}}},
        {"channels": {"a": {"$ref": "#/none"}}},
        {
            "components": {
                "messages": {
                    "m": dict.fromkeys(
                        ("traits", "headers", "examples", "name", "x-event-gateway"), 7
                    )
                }
            }
        },
    ):
        for version in ("2.0.0", "3.0.0"):
            read({"asyncapi": version} | odd)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6)
    | st.sampled_from(["#/components/schemas/s", "#/components/messages/m", "3.0.0", "a.b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "$ref", "payload", "schema", "schemaFormat", "properties", "type", "data", "specversion",
        "allOf", "oneOf", "const", "enum", "messages", "message", "publish", "headers", "traits",
        "ce_type", "name", "examples", "items", "dependencies", "$defs", "m", "s",
    ]), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=examples(300))
@given(st.sampled_from(["2.6.0", "3.0.0"]), json_values, json_values, json_values)
def test_any_document_gives_types_and_reasons(
    version: str, channels: Any, messages: Any, named: Any
) -> None:
    result, skipped = read({
        "asyncapi": version, "channels": channels,
        "components": {"messages": messages, "schemas": named},
    })  # fmt: skip
    for item in result:
        item.check()
    assert all(item.reason for item in skipped)


texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), max_size=20)
names = st.one_of(
    st.from_regex(r"[a-z]{1,5}(\.[a-z0-9_-]{1,5}){0,3}", fullmatch=True), texts.filter(bool)
)


@st.composite
def event_types(draw: Any) -> EventType:
    """Types that may be registered."""
    schema: Any = msgspec.UNSET
    if draw(st.booleans()):
        result = draw(schemas)
        if isinstance(result, dict):
            result = result | {"$defs": {"d": draw(schemas), "a%b/c": {"$anchor": "x"}}}
            result |= {"anyOf": [True, {"$ref": "#x"}, {"$ref": "#/$defs/a%25b~1c"}]}
        else:
            result = {"allOf": [result], "$defs": {"d": True}}
        schema = to_json(result, "schema")
    return EventType(
        draw(names), description=draw(texts.map(str.strip)), owner=draw(texts),
        dataschema=draw(st.sampled_from(["", "https://example.com/a"])), schema=schema,
        examples=tuple(to_json(item, "e") for item in draw(st.lists(st.integers(), max_size=2))),
        enforce=draw(st.sampled_from([None, "off", "warn", "reject"])),
    )  # fmt: skip


@settings(max_examples=examples(300))
@given(st.lists(event_types(), max_size=5, unique_by=lambda event_type: event_type.type))
def test_an_export_is_imported_unchanged(types: list[EventType]) -> None:
    types = [type for type in types if next(type.problems(), None) is None]
    exported = json.loads(json.dumps(write([*types, *LIFECYCLE_TYPES.values()], "1.0")))
    result, skipped = read(exported)
    assert not skipped
    assert len(result) == len(types)
    for before, after in zip(types, result, strict=True):
        assert after.same(before), (before, after)


def test_an_export_is_an_asyncapi_3_document() -> None:
    around = Surroundings("gateway.example:8443", tls=True, streams=("audit", "live"))
    # A type may have the name of a channel that is always there.
    taken = [EventType("webhooks"), EventType("GET_v1_ws")]
    types = [*read(documents()["2"])[0], *taken, *LIFECYCLE_TYPES.values()]
    exported = json.loads(json.dumps(write(types, "1.0", around)))
    # The schema of AsyncAPI 3.0.0, from the package @asyncapi/specs 6.11.1 (Apache License 2.0).
    schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    valid = jsonschema.Draft7Validator(schema).is_valid
    assert valid(exported)
    operation = exported["operations"]["webhook.failed"]
    assert not valid(exported | {"operations": {"o": operation | {"action": "publish"}}})
    of_types = exported["components"]["messages"]
    channels = exported["channels"]
    others = {key: channels[key] for key in channels.keys() - of_types}
    assert set(others) == {"POST_v1_events", "webhooks_2", "GET_v1_ws_2", "GET_v1_streams_sse"}
    accepted = of_types.keys() - LIFECYCLE_TYPES
    assert others["POST_v1_events"]["messages"].keys() == accepted
    assert others["webhooks_2"]["messages"].keys() == of_types.keys()
    assert others["webhooks_2"]["address"] is None
    stream = others["GET_v1_streams_sse"]["parameters"]["stream"]
    assert stream["enum"] == others["GET_v1_ws_2"]["bindings"]["ws"]["query"]["properties"][
        "stream"]["enum"] == ["audit", "live"]  # fmt: skip
    assert exported["servers"]["websocket"] == {
        "host": "gateway.example:8443", "protocol": "wss",
        "security": [{"$ref": "#/components/securitySchemes/key"}],
    }  # fmt: skip
    actions = {key: exported["operations"][key]["action"] for key in others}
    assert actions.pop("POST_v1_events") == "receive"
    assert set(actions.values()) == {"send"}
    assert exported["asyncapi"] == "3.0.0"
    assert exported["info"].keys() >= {"title", "version"}
    keys = exported["components"]["messages"]
    assert all(set(key) <= set(string.ascii_letters + string.digits + "_.-") for key in keys)
    for key in of_types:
        assert channels[key]["messages"] == {key: {"$ref": f"#/components/messages/{key}"}}
        assert exported["operations"][key]["channel"] == {"$ref": f"#/channels/{key}"}
        sent = exported["components"]["messages"][key]
        assert sent["contentType"] == "application/cloudevents+json"
        assert sent["payload"]["schemaFormat"].endswith("2020-12")
    assert exported["operations"]["webhook.failed"]["action"] == "send"
    assert exported["operations"]["shop.order.paid"]["action"] == "receive"

    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [result for item in node for result in references(item)]
        if not isinstance(node, dict):
            return []
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [result for item in node.values() for result in references(item)]

    for reference in references(exported):
        at: Any = exported
        for part in reference.split("/")[1:]:
            at = at[part.replace("~1", "/")]
