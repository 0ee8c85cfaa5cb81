"""The definition of a webhook as the fields of its form, and back.

A field is named after the member of the API's body that it is for, ``__`` in place of dots:
``retry_policy__max_attempts``. Members without a field of their own stand in ``more``, as JSON.
"""

import json
from collections.abc import Mapping
from typing import Any

from event_gateway.console.pages.webhooks.texts import ADDED

MORE = "more"
_TEXTS = ("id", "url", "description", "expression", "transformation", "mode", "timeout")
_LISTS = ("events", "namespaces", "sources")  # separated by lines, commas or spaces
_NUMBERS = ("concurrency",)
_RETRY = ("max_attempts", "backoff", "initial_delay", "max_delay")
_RATE = ("events", "per")
FIELDS = (
    *_TEXTS, *_LISTS, *_NUMBERS, *(f"retry_policy__{each}" for each in _RETRY),
    *(f"rate_limit__{each}" for each in _RATE),
    "ordered", "verify", "enrich", "auth_type", "secret_name", "header", "filters", MORE,
)  # fmt: skip
AUTH_TYPES = ("none", "hmac_signature", "bearer_token", "api_key", "basic")


def fields_of(webhook: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields for a webhook as the API shows it, or a part of one."""
    left = {name: value for name, value in webhook.items() if name not in ADDED}
    values: dict[str, Any] = {name: left.pop(name, None) or "" for name in _TEXTS}
    values |= {name: "\n".join(left.pop(name, None) or []) for name in _LISTS}
    values |= {name: _text(left.pop(name, None)) for name in _NUMBERS}
    retry, rate = dict(left.pop("retry_policy", {})), dict(left.pop("rate_limit", None) or {})
    values |= {f"retry_policy__{name}": _text(retry.pop(name, None)) for name in _RETRY}
    values |= {f"rate_limit__{name}": _text(rate.pop(name, None)) for name in _RATE}
    if any(value not in (None, 0, 2, 2.0) for value in retry.values()):  # not the defaults
        left["retry_policy"] = retry
    values["ordered"] = left.pop("ordered", False) is True if _plain(left, "ordered") else False
    values["verify"], values["enrich"] = left.pop("verify", False), left.pop("enrich", True)
    security = left.get("security") or []
    values |= {"auth_type": "none", "secret_name": "", "header": ""}
    if len(security) <= 1 and all(
        each["auth_type"] in AUTH_TYPES and not set(each) - {"auth_type", "secret_name", "header"}
        for each in security
    ):
        left.pop("security", None)
        values |= {name: value or "" for each in security for name, value in each.items()}
    filters = left.pop("filters", None)
    values["filters"] = json.dumps(filters, indent=2) if filters else ""
    more = {name: value for name, value in left.items() if value not in (None, [], {}, "")}
    values[MORE] = json.dumps(more, indent=2, ensure_ascii=False) if more else ""
    return values


def definition_of(form: Mapping[str, list[str]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The definition that a form says, and what is wrong with a field that cannot be read, by the
    field's name. What is empty is left out: then the gateway's default holds."""
    given = {name: form.get(name, [""])[0].strip() for name in FIELDS}
    errors: dict[str, str] = {}
    definition: dict[str, Any] = {}
    for name in (MORE, "filters"):
        try:
            value = json.loads(given[name]) if given[name] else None
        except (ValueError, RecursionError) as error:
            errors[name] = f"is not JSON: {error}"
            continue
        if value is None:
            continue
        if name == MORE and isinstance(value, dict):
            definition |= value
        elif name == MORE:
            errors[name] = 'must be an object, such as {"headers": {"X-Tenant": "acme"}}'
        else:
            definition[name] = value
    definition |= {name: given[name] for name in _TEXTS if given[name]}
    for name in _LISTS:
        if parts := given[name].replace(",", "\n").split():
            definition[name] = parts
    definition |= {name: _number(given[name]) for name in _NUMBERS if given[name]}
    for group, members in (("retry_policy", _RETRY), ("rate_limit", _RATE)):
        inner = {name: _number(value) for name in members if (value := given[f"{group}__{name}"])}
        if inner and (group == "retry_policy" or "events" in inner):
            definition[group] = {**definition.get(group, {}), **inner}
    if given["ordered"]:
        definition.setdefault("ordered", True)
    if given["verify"]:
        definition["verify"] = True
    if not given["enrich"]:
        definition["enrich"] = False
    if given["auth_type"] not in ("", "none"):
        method = {name: given[name] for name in ("auth_type", "secret_name", "header")}
        definition["security"] = [{name: value for name, value in method.items() if value}]
    return definition, errors


def field_errors(problem: Mapping[str, Any]) -> dict[str, str]:
    """What the gateway says of a definition, by the field that it is about; the empty name has what
    is about none."""
    errors: dict[str, str] = {}
    for each in problem.get("errors") or [{"key": "", "detail": problem.get("detail", "")}]:
        key, detail = str(each.get("key", "")), str(each.get("detail", ""))
        place = key.removeprefix("webhook.").replace("].", "__").replace("[", "__")
        name = _field(place.replace(".", "__").replace("]", ""))
        text = detail if name in key.replace(".", "__") else f"{key}: {detail}"
        errors[name] = f"{errors[name]}; {text}" if name in errors else text
    return errors


def _field(place: str) -> str:
    """The field for a place in a definition: that of itself, or of what it is in."""
    parts = place.split("__")
    if parts[0] == "security":
        return parts[-1] if parts[-1] in FIELDS else "auth_type"
    for length in range(len(parts), 0, -1):
        name = "__".join(parts[:length])
        if name in FIELDS:
            return name
    return MORE if parts[0] and parts[0] != "webhook" else ""


def _plain(left: dict[str, Any], name: str) -> bool:
    """Whether a member is true or false, and not an object."""
    return isinstance(left.get(name, False), bool)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text
