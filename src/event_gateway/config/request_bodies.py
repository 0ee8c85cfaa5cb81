"""Reads and validates the bodies of API requests that register something."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from event_gateway.config.definitions import source_of, stream_of, transformation_of, webhook_of
from event_gateway.config.model import StreamModel, TransformationModel
from event_gateway.config.problems import (
    MAX_PROBLEMS,
    MAX_SUGGESTIONS,
    reason_of,
    shortened,
)
from event_gateway.config.selection_model import SelectionModel, selection_arguments
from event_gateway.config.source_model import SourceModel
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.selection import Selection, selection_problems
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.rules import source_problems
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.json_values import check_bounds, check_plain
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.core.webhook.ownership import owned
from event_gateway.core.webhook.validation import RefusesUrl, webhook_problems
from event_gateway.core.webhook.webhook import Webhook

MAX_IN_DETAIL = 10  # problems that the text of an answer names


class InvalidBody(Exception):
    """A definition that cannot be registered. ``problems`` are pairs of key and reason, at most
    MAX_PROBLEMS; ``more`` counts the others."""

    def __init__(self, problems: Sequence[tuple[str, str]], more: int = 0) -> None:
        self.problems = [shortened(key, reason) for key, reason in problems[:MAX_PROBLEMS]]
        self.more = more + max(0, len(problems) - MAX_PROBLEMS)
        super().__init__(self.detail)

    @property
    def detail(self) -> str:
        """The first problems in one line."""
        shown = [f"{key}: {reason}".lstrip(": ") for key, reason in self.problems[:MAX_IN_DETAIL]]
        more = self.more + len(self.problems) - len(shown)
        return "; ".join([*shown, *([f"and {more} more"] if more else [])])


Model = TypeVar("Model", bound=BaseModel)
_READ_ONLY = (
    "managed_by",
    "owner",
    "created_at",
    "state",
    "disabled",
    "verification",
    "expression_errors",
    "rate",
    "subscribers",
    "warnings",
    "holds",
    "in_force",
    "secret_state",
    "requests",
)  # members of the API's responses that are not part of the definition


def _with_read_only_members(schema: dict[str, Any]) -> None:
    """Adds the members of responses that a request may have, to send a response back."""
    for name in _READ_ONLY:
        schema["properties"].setdefault(name, {"readOnly": True})


class WebhookBody(WebhookModel):
    """A webhook of the API: as in the configuration, with its id."""

    model_config = ConfigDict(title="Webhook", json_schema_extra=_with_read_only_members)

    id: str = Field(description="The id: 1 to 64 letters, digits, _ and -.")


class StreamBody(StreamModel):
    """A stream of the API: as in the configuration, with its name."""

    model_config = ConfigDict(title="Stream", json_schema_extra=_with_read_only_members)

    name: str = Field(description="The name: 1 to 64 letters, digits, _ and -.")


class SourceBody(SourceModel):
    """A source of the API: as in the configuration, with its name."""

    model_config = ConfigDict(title="Source", json_schema_extra=_with_read_only_members)

    name: str = Field(description="The name: 1 to 64 letters, digits, _ and -.")


def webhook_from_json(
    body: object,
    transformations: frozenset[str],
    retention: float,
    refuses_url: RefusesUrl,
    *,
    owner: tuple[str, ...] = (),
    former: Webhook | None = None,
) -> Webhook:
    """The webhook in the body of an API request. Raises InvalidBody.

    Members that the API adds to its responses, such as ``managed_by``, are ignored, so that a
    response can be sent back. ``owner``: the namespaces that the webhook belongs to. ``former``:
    the stored webhook that the body changes. Faults that this webhook already has, by newer rules,
    do not make the change invalid.
    """
    model = validated(WebhookBody, "webhooks", body, stored=former is not None)
    webhook = owned(webhook_of(model, model.id, managed_by="api"), owner)

    def problems(of: Webhook) -> list[tuple[str, str]]:
        found = webhook_problems(of, transformations, retention, refuses_url)
        return [(problem.key, problem.detail) for problem in found]

    wrong = problems(webhook)
    if wrong and former is not None:
        known = frozenset(problems(former))
        wrong = [problem for problem in wrong if problem not in known]
    if wrong:
        raise InvalidBody(wrong)
    return webhook


def stream_from_json(body: object) -> StreamDefinition:
    """The stream in the body of an API request, which may be a response sent back.

    Raises InvalidBody."""
    model = validated(StreamBody, "streams", body)
    definition = stream_of(model, model.name, managed_by="api")
    try:
        definition.check()
    except InvalidDefinition as error:
        raise InvalidBody([(error.key, error.detail)]) from None
    return definition


def source_from_json(body: object) -> SourceDefinition:
    """The source in the body of an API request, which may be a response sent back.

    Raises InvalidBody."""
    model = validated(SourceBody, "sources", body)
    definition = source_of(model, model.name, managed_by="api")
    problems = [(problem.key, problem.detail) for problem in source_problems(definition)]
    if problems:
        raise InvalidBody(problems)
    return definition


def transformation_from_json(body: object) -> TransformationDefinition:
    """The transformation in the body of an API request, which cannot be a function.

    Its template is not compiled here. Raises InvalidBody.
    """
    definition = transformation_of(validated(TransformationModel, "transformations", body), "it")
    if definition.python is not None:
        raise InvalidBody([("python", "functions are allowed only in the configuration file")])
    return definition


def selection_from_json(body: dict[str, Any]) -> Selection:
    """The selection of a subscribe request, from the members that are fields of a selection.

    Raises InvalidBody.
    """
    if not body:
        return Selection()
    model = validated(SelectionModel, "webhooks", body)
    selection = Selection(**selection_arguments(model))
    problems = [(problem.key, problem.detail) for problem in selection_problems(selection)]
    if problems:
        raise InvalidBody(problems)
    return selection


def validated(model: type[Model], section: str, body: object, *, stored: bool = False) -> Model:
    """The body of a request as a model. ``section`` is the section of the configuration file with
    the same keys. ``stored``: most of the body is stored already, and may exceed today's bounds.

    Raises InvalidBody.
    """
    if not isinstance(body, dict):
        raise InvalidBody([("", "the body must be a JSON object")])
    given = {k: v for k, v in body.items() if k not in _READ_ONLY}
    try:
        if not stored:
            check_bounds(given)
        check_plain(given)
    except InvalidDefinition as error:
        raise InvalidBody([(error.key, error.detail)]) from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        problems = []
        for position, entry in enumerate(wrong[:MAX_PROBLEMS]):
            path = tuple(str(part) for part in entry["loc"])
            reason = reason_of(entry, (section, *path), suggest=position < MAX_SUGGESTIONS)
            problems.append((".".join(path), reason))
        raise InvalidBody(problems, len(wrong) - len(problems)) from None
