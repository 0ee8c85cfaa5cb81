"""The configuration without its credentials, as the API shows it.

A field of a model that is a credential, or may contain one, is declared with ``repr=False``.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from event_gateway.config.model import Config
from event_gateway.core.text.urls import without_password

HIDDEN = "(hidden)"
ELSEWHERE = ("webhooks", "streams")  # the API has lists of them, and they may be changed there


def settings_of(config: Config) -> dict[str, Any]:
    """The values in force by section, those of defaults too, as a configuration file has them;
    credentials are :data:`HIDDEN`, and URLs of servers are without user, password and query."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude=set(ELSEWHERE))
    return _hidden(config, values)


def given_keys(config: Config) -> list[str]:
    """The keys of :func:`settings_of` that the file or the environment has set, sorted:
    ``server.port``. All others have their defaults."""
    keys: list[str] = []
    for name in config.model_fields_set - set(ELSEWHERE):
        keys += _given(getattr(config, name), name)
    return sorted(keys)


def _hidden(model: BaseModel, values: dict[str, Any]) -> dict[str, Any]:
    shown = {}
    for name, value in values.items():
        field = type(model).model_fields[name]
        if value and not field.repr:
            shown[name] = _without_credentials(name, value)
        else:
            shown[name] = _within(getattr(model, name), value)
    return shown


def _without_credentials(name: str, value: Any) -> Any:
    if name == "url":
        return without_password(value)
    return dict.fromkeys(value, HIDDEN) if isinstance(value, dict) else HIDDEN


def _within(source: Any, value: Any) -> Any:
    """A value with what its models hide; ``source``: what it was made from."""
    if isinstance(source, BaseModel):
        return _hidden(source, value)
    if isinstance(source, Mapping):
        return {key: _within(source[key], each) for key, each in value.items()}
    if isinstance(source, list):
        return [_within(each, shown) for each, shown in zip(source, value, strict=True)]
    return value


def _given(value: Any, key: str) -> list[str]:
    if not isinstance(value, BaseModel):
        return [key]
    return [
        inner
        for name in value.model_fields_set
        for inner in _given(getattr(value, name), f"{key}.{name}")
    ]
