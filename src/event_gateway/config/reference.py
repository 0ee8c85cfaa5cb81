"""The reference page of the configuration file, generated from its models.

``python -m event_gateway.config.reference`` prints it.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from event_gateway.config.definitions import webhook_of
from event_gateway.config.model import Config
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.config.values import DURATION_EXAMPLES, SIZE_EXAMPLES
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.text.units import exact_size, format_duration

HEAD = """# Configuration

Generated from the code. `event-gateway schema` prints the same as a JSON Schema, which editors use
when the file begins with `# yaml-language-server: $schema=gateway.schema.json`.

Every key has a default unless it says *required*. Durations are written `30s`, `5m`, `1h30m`, `7d`,
`2y` or as ISO 8601, sizes `64KiB`, `1MiB`, `10GB`. `${NAME}` and `${NAME:-default}` in a value are
replaced from the environment; `EVENT_GATEWAY__SERVER__PORT=9000` sets `server.port`. Anchors,
aliases and `<<` work. `event-gateway check -c FILE` prints each problem as a line, all of them at
once.

`check` and the start warn of variables that look as if the gateway should read them and that it
does not, such as `EVENT_GATEWAY_SERVER_PORT`, with the right spelling.

The file is YAML 1.2 (core schema): `NO`, `on` and `12:30` are text, `012` is the number 12.
`check`, the start and a reload warn of each value that YAML 1.1 reads differently, up to 100.
"""


def reference() -> str:
    """The page as Markdown."""
    return HEAD + "\n" + "\n".join(_section(Config, "", {}))


def _section(model: type[BaseModel], prefix: str, defaults: dict[str, Any]) -> Iterator[str]:
    rows, below = [], []
    schemas = _properties(model)
    # Required keys come first.
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    for name, field in fields:
        inner, container = _inner(field.annotation)
        key = f"{prefix}{name}"
        name = field.alias or name
        if inner is model:  # groups of groups are described once
            inner = None
        elif inner is not None:
            key = {"mapping": f"{key}.<name>", "list": f"{key}[]"}.get(container, key)
            below.append((inner, f"{key}.", _defaults_of(inner, defaults.get(name))))
        if inner is None or prefix:
            text = field.description or f"See `{key}`."
            values = _values(schemas[name], field)
            limits = re.search(r"; ((?:\w+ to|at most|at least) \w+)\.", text)
            if limits:  # those that the core checks are in the text of the model
                values, text = f"{values} ({limits[1]})", text.replace(limits[0], ".")
            default = _default(field, defaults.get(name), values)
            if default:  # it has a column of its own
                text = re.sub(rf" Default: `?{re.escape(default.strip('`'))}`?\.$", "", text)
            rows.append(f"| `{name}` | {values} | {default} | {text} |")
    if rows:
        title = prefix.rstrip(".") or "Top level"
        yield f"## `{title}`\n"
        if model.__doc__:
            yield f"{inspect.cleandoc(model.__doc__)}\n"
        yield "| key | value | default | meaning |\n| --- | --- | --- | --- |"
        yield from rows
        yield ""
    for inner, path, known in below:
        yield from _section(inner, path, known)


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schemas of the keys of a model."""
    schema = model.model_json_schema()
    if "properties" not in schema:  # a model that refers to itself
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema["properties"]  # type: ignore[no-any-return]


def _values(schema: dict[str, Any], field: FieldInfo) -> str:
    """What may stand under a key: the values, or their kind with its limits."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if schema.get("examples") == DURATION_EXAMPLES:
        return f"duration{_limits(*_bounds(field, format_duration))}"
    if schema.get("examples") == SIZE_EXAMPLES:
        return f"size{_limits(*_bounds(field, exact_size))}"
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(_values(part, field) for part in parts))
    kind = schema.get("type", "object" if "$ref" in schema else "any value")
    if kind == "array":
        most = schema.get("maxItems")
        return f"list of {_plural(schema['items'], field)}{_limits(None, most)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_plural(schema['additionalProperties'], field)}"
    if kind in ("integer", "number"):
        return f"{kind}{_limits(schema.get('minimum'), schema.get('maximum'))}"
    return str(kind)


def _plural(schema: dict[str, Any], field: FieldInfo) -> str:
    if "enum" in schema:
        return _values(schema, field)
    parts = [_values(part, field) for part in schema.get("anyOf", [schema])]
    return " or ".join(re.sub("^[a-z]+", r"\g<0>s", part) for part in parts)


def _bounds(field: FieldInfo, written: Callable[[Any], str]) -> Iterator[str | None]:
    """The least and the most value of a duration or a size, unless it is the least of its kind."""
    least = max((getattr(part, "ge", 0) for part in field.metadata), default=0)
    most = [part.le for part in field.metadata if hasattr(part, "le")]
    yield written(least) if least > (written is exact_size) else None
    yield written(min(most)) if most else None


def _limits(least: object, most: object) -> str:
    if least is not None and most is not None:
        return f" ({least} to {most})"
    if most is not None:
        return f" (at most {most})"
    return "" if least is None else f" (at least {least})"


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model within a field's type, and its container: ``mapping``, ``list`` or empty."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    origin = getattr(annotation, "__origin__", None)
    for part in getattr(annotation, "__args__", ()):
        model, container = _inner(part)
        if model is not None:
            return model, "mapping" if origin is dict else "list" if origin is list else container
    return None, ""


def _defaults_of(model: type[BaseModel], known: Any) -> dict[str, Any]:
    """The core's defaults of the keys for which the model has none."""
    if model is WebhookModel:
        minimal = WebhookModel(url="https://example.com/", events=["a"])
        shown = webhook_to_json(webhook_of(minimal, "w", managed_by="file"))
        return {key: value for key, value in shown.items() if key not in ("url", "events")}
    return known if isinstance(known, dict) else {}


def _default(field: FieldInfo, known: Any, values: str) -> str:
    """The default of a key, as it is written in the file. ``values``: what may stand there."""
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True) if known is None else known
    if isinstance(value, BaseModel | dict) or value in (None, [], ()):
        return ""
    if values.startswith("duration") and not isinstance(value, str):
        value = format_duration(value)
    elif values.startswith("size"):
        value = exact_size(value)
    elif isinstance(value, float):
        value = f"{value:g}"
    elif isinstance(value, list):
        value = f"[{', '.join(value)}]"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    print(reference(), end="")
