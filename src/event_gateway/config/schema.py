"""The JSON Schema of the configuration file, for editors and for whoever generates such files."""

from typing import Any

from event_gateway.config.model import Config


def json_schema(transformations: frozenset[str]) -> dict[str, Any]:
    """The schema (draft 2020-12); ``transformations`` are the names that a webhook may give.

    It knows the shape. What depends on other keys, only ``check`` tells.
    """
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Event Gateway configuration"
    webhook = schema["$defs"]["WebhookModel"]["properties"]
    webhook["transformation"]["enum"] = [*sorted(transformations), None]
    one = webhook["security"]["items"]
    webhook["security"] = {
        "anyOf": [one, {"type": "array", "items": one}],
        "description": webhook["security"]["description"],
    }
    for section in ("webhooks", "streams"):
        schema["properties"][section]["propertyNames"] = {"pattern": "^[A-Za-z0-9_-]{1,64}$"}
    return schema
