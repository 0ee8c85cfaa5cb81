"""The JSON Schema of the configuration file, for editors and for programs that write such files."""

from typing import Any

from event_gateway.config.model import Config
from event_gateway.config.webhook_model import STANDARD_POLICY
from event_gateway.core.transformation.definition import BUILT_IN


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12).

    It describes the shape. Conditions over several keys are checked by ``event-gateway check``.
    """
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Event Gateway configuration"
    webhook = schema["$defs"]["WebhookModel"]["properties"]
    name: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    webhook["transformation"]["anyOf"] = [{"enum": [*BUILT_IN]}, name, {"type": "null"}]
    settings = webhook["security"]["items"]
    webhook["security"] = {
        "anyOf": [settings, {"type": "array", "items": settings}],
        "description": webhook["security"]["description"],
    }
    policy = webhook["retry_policy"]
    webhook["retry_policy"] = {
        "anyOf": [{"const": STANDARD_POLICY}, {"$ref": policy["$ref"]}],
        "description": policy["description"],
    }
    for section in ("webhooks", "streams", "transformations"):
        schema["properties"][section]["propertyNames"] = {"pattern": name["pattern"]}
    return schema
