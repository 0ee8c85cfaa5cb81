"""The OpenAPI document keeps to what HashiCorp's generator of Terraform providers can map.

Its rules: https://github.com/hashicorp/terraform-plugin-codegen-openapi/blob/main/DESIGN.md
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from event_gateway.api.openapi.python_client import offline_document

CONFIG = yaml.safe_load(
    (Path(__file__).parents[2] / "deploy" / "terraform" / "generator_config.yml").read_text()
)
PRIMITIVES = {"string", "integer", "number", "boolean"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return offline_document()


def _operation(document: dict[str, Any], named: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][named["path"]][named["method"].lower()]
    return found


def _schema(document: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = content["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _unsupported(
    schema: dict[str, Any], known: dict[str, Any], place: str, inside: tuple[str, ...] = ()
) -> Iterator[str]:
    """The attributes, with dots, that have no type in Terraform."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in inside:  # it contains itself
            yield place
            return
        yield from _unsupported(known[name], known, place, (*inside, name))
        return
    choices = [
        choice
        for keyword in ("anyOf", "oneOf", "allOf")
        for choice in schema.get(keyword, ())
        if choice.get("type") != "null"
    ]
    if choices:
        if len(choices) > 1:
            yield place
        else:
            yield from _unsupported(choices[0], known, place, inside)
        return
    kinds = schema.get("type")
    kinds = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if kinds == ["array"]:
        yield from _unsupported(schema.get("items", {}), known, place, inside)
    elif kinds == ["object"]:
        for name, member in schema.get("properties", {}).items():
            yield from _unsupported(member, known, f"{place}.{name}".lstrip("."), inside)
        if isinstance(values := schema.get("additionalProperties"), dict):
            yield from _unsupported(values, known, place, inside)
    elif len(kinds) != 1 or kinds[0] not in PRIMITIVES:
        yield place


def test_each_resource_is_created_read_and_deleted(document: dict[str, Any]) -> None:
    for name, resource in CONFIG["resources"].items():
        body = _schema(document, _operation(document, resource["create"])["requestBody"])
        read = _operation(document, resource["read"])
        assert body["properties"], name
        assert "200" in read["responses"], name
        for verb in ("update", "delete"):
            if verb in resource:
                assert _operation(document, resource[verb]), name
        # What the path names is an attribute, by its own name or by an alias.
        aliases = resource["schema"].get("attributes", {}).get("aliases", {})
        answers = _operation(document, resource["create"])["responses"]
        answer = answers.get("201") or answers["200"]
        attributes = set(body["properties"]) | set(_schema(document, answer)["properties"])
        for parameter in read["parameters"]:
            if parameter["in"] == "path":
                attribute = aliases.get(parameter["name"], parameter["name"])
                assert attribute in attributes, (name, attribute)


def test_what_terraform_cannot_have_is_ignored_and_nothing_else(document: dict[str, Any]) -> None:
    known = document["components"]["schemas"]
    for name, resource in CONFIG["resources"].items():
        created = _operation(document, resource["create"])
        body = _schema(document, created["requestBody"])
        answer = _schema(document, created["responses"].get("201") or created["responses"]["200"])
        found = set(_unsupported(body, known, ""))
        for attribute, schema in answer["properties"].items():
            if attribute not in body["properties"]:
                found |= set(_unsupported(schema, known, attribute))
        assert set(resource["schema"].get("ignores", ())) == found, name


def test_what_is_secret_is_marked_as_sensitive(document: dict[str, Any]) -> None:
    known = document["components"]["schemas"]
    for name, member in (
        ("SetSecretBody", "value"), ("RotateSecretBody", "value"), ("NewKey", "key"),
        ("NewToken", "token"),
    ):  # fmt: skip
        assert known[name]["properties"][member]["format"] == "password", name
