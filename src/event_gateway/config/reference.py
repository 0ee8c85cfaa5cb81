"""The reference of the configuration file, written from its models.

``python -m event_gateway.config.reference`` prints it.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from event_gateway.config.definitions import webhook_of
from event_gateway.config.model import Config
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.config.values import Duration
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.text.units import format_duration

HEAD = """# Configuration

Written from the code; `event-gateway schema` prints the same as a JSON Schema, which editors use
when the file begins with `# yaml-language-server: $schema=gateway.schema.json`.

Every key has a default unless it says *required*. Durations are written `30s`, `5m`, `1h30m`, `7d`,
`2y` or as ISO 8601, sizes `64KiB`, `1MiB`, `10GB`. `${NAME}` and `${NAME:-default}` in a value are
taken from the environment; `EVENT_GATEWAY__SERVER__PORT=9000` sets `server.port`. Anchors, aliases
and `<<` work. `event-gateway check -c FILE` says what is wrong, a line each.
"""


def reference() -> str:
    """The whole page, as Markdown."""
    return HEAD + "\n" + "\n".join(_section(Config, "", {}))


def _section(model: type[BaseModel], prefix: str, defaults: dict[str, Any]) -> Iterator[str]:
    rows, below = [], []
    # What is required comes first.
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    for name, field in fields:
        inner, many = _inner(field.annotation)
        key = f"{prefix}{name}"
        name = field.alias or name
        if inner is model:  # groups of groups are described once
            inner = None
        elif inner is not None:
            key = {"mapping": f"{key}.<name>", "list": f"{key}[]"}.get(many, key)
            below.append((inner, f"{key}.", _defaults_of(inner, defaults.get(name))))
        if inner is None or prefix:
            rows.append(
                f"| `{name}` | {_default(field, defaults.get(name))} | {field.description} |"
            )
    if rows:
        title = prefix.rstrip(".") or "Top level"
        yield f"## `{title}`\n"
        if model.__doc__:
            yield f"{model.__doc__.strip()}\n"
        yield "| key | default | |\n| --- | --- | --- |"
        yield from rows
        yield ""
    for inner, path, known in below:
        yield from _section(inner, path, known)


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model within a field's type, and whether it is one, or a ``mapping`` or ``list`` of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, "one"
    origin = getattr(annotation, "__origin__", None)
    for part in getattr(annotation, "__args__", ()):
        found, many = _inner(part)
        if found is not None:
            return found, "mapping" if origin is dict else "list" if origin is list else many
    return None, ""


def _defaults_of(model: type[BaseModel], known: Any) -> dict[str, Any]:
    """What the core takes where the model says nothing."""
    if model is WebhookModel:
        smallest = WebhookModel(url="https://example.com/", events=["a"])
        shown = webhook_to_json(webhook_of(smallest, "w", managed_by="file"))
        return {key: value for key, value in shown.items() if key not in ("url", "events")}
    return known if isinstance(known, dict) else {}


def _default(field: FieldInfo, known: Any) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True) if known is None else known
    if isinstance(value, float) and field.annotation in (float, Duration):
        value = format_duration(value)
    if isinstance(value, BaseModel) or value in (None, [], {}, ()) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    print(reference(), end="")
