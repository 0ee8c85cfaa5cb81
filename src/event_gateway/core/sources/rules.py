"""The rules for sources: every reason why one cannot be registered."""

from collections.abc import Iterator

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.definition import (
    MAX_TOLERANCE,
    RESERVED_NAMES,
    Settings,
    SourceDefinition,
    Templates,
)
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.template import compile_template
from event_gateway.core.text.identifier import ID
from event_gateway.core.text.suggestion import suggestion
from event_gateway.core.webhook.security import SECRET_NAME, is_sealing_key

MAX_SETTING = 2048  # characters
MAX_TOPICS = 100
MAX_DESCRIPTION = 1000  # characters
SETTINGS = tuple(Settings.__struct_fields__)
ATTRIBUTES = tuple(Templates.__struct_fields__)


def source_problems(definition: SourceDefinition) -> Iterator[InvalidDefinition]:
    """All reasons why a source cannot be registered, each with its key."""
    name = definition.name
    if ID.fullmatch(name) is None:
        yield InvalidDefinition("name", f"{name!r} is not of the form {ID.pattern}")
    elif name.lower() in RESERVED_NAMES:
        yield InvalidDefinition("name", f"{name} is an origin of events that are of no source")
    if len(definition.description) > MAX_DESCRIPTION:
        yield InvalidDefinition("description", f"is longer than {MAX_DESCRIPTION} characters")
    for key in ATTRIBUTES:
        template = getattr(definition.event, key)
        if template:
            try:
                compile_template(template, f"event.{key}")
            except InvalidDefinition as error:
                yield error
    provider = PROVIDERS.get(definition.type)
    if provider is None:
        hint = suggestion(definition.type, PROVIDERS) or f"; there are: {', '.join(PROVIDERS)}"
        yield InvalidDefinition("type", f"unknown{hint}")
        return
    yield from _setting_problems(definition)
    if definition.tolerance is not None:
        if not provider.timed:
            yield InvalidDefinition("tolerance", f"{provider.name} signs no time")
        elif not 1 <= definition.tolerance <= MAX_TOLERANCE:
            yield InvalidDefinition("tolerance", "must be 1s to 7d")


def _setting_problems(definition: SourceDefinition) -> Iterator[InvalidDefinition]:
    provider = PROVIDERS[definition.type]
    given = definition.given()
    known = provider.required | provider.optional
    missing = [name for name in SETTINGS if name in provider.required - given]
    unknown = [name for name in SETTINGS if name in given - known]
    for name in missing:
        yield InvalidDefinition(name, f"is required for {provider.name}")
    for name in unknown:
        yield InvalidDefinition(name, f"is no setting of {provider.name}")
    too_long = False
    for name, value in msgspec.to_builtins(definition.settings).items():
        values = [value] if isinstance(value, str) else list(value)
        if len(values) > MAX_TOPICS or any(len(text) > MAX_SETTING for text in values):
            too_long = True
            yield InvalidDefinition(name, "is too long")
    secret = definition.settings.secret_name
    if secret and (SECRET_NAME.fullmatch(secret) is None or is_sealing_key(secret)):
        yield InvalidDefinition("secret_name", f"{secret[:64]!r} is no name of a secret")
    if not (missing or unknown or too_long):
        try:
            provider.examine(definition)
        except InvalidDefinition as error:
            yield error
