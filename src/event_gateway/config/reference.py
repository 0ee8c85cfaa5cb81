"""The reference page of the configuration file, generated from its models.

``python -m event_gateway.config.reference`` prints it.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from event_gateway.config.definitions import webhook_of
from event_gateway.config.model import Config
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.config.values import Duration
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.text.units import format_duration

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
            rows.append(f"| `{name}` | {_default(field, defaults.get(name))} | {text} |")
    if rows:
        title = prefix.rstrip(".") or "Top level"
        yield f"## `{title}`\n"
        if model.__doc__:
            yield f"{inspect.cleandoc(model.__doc__)}\n"
        yield "| key | default | |\n| --- | --- | --- |"
        yield from rows
        yield ""
    for inner, path, known in below:
        yield from _section(inner, path, known)


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


def _default(field: FieldInfo, known: Any) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True) if known is None else known
    # Only durations are read from text.
    is_duration = any(isinstance(part, BeforeValidator) for part in field.metadata)
    if isinstance(value, float) and (is_duration or field.annotation is Duration):
        value = format_duration(value)
    if isinstance(value, BaseModel) or value in (None, [], {}, ()) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    print(reference(), end="")
