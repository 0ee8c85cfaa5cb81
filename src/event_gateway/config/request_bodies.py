"""Reads and validates the bodies of API requests that register something."""

from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from event_gateway.config.definitions import stream_of, transformation_of, webhook_of
from event_gateway.config.model import StreamModel, TransformationModel
from event_gateway.config.problems import reason_of
from event_gateway.config.selection_model import SelectionModel, selection_arguments
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.selection import Selection, selection_problems
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.json_values import check_plain
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.core.webhook.validation import RefusesUrl, webhook_problems
from event_gateway.core.webhook.webhook import Webhook


class InvalidBody(Exception):
    """A definition that cannot be registered; ``problems`` are pairs of key and reason."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in problems))
        self.problems = problems


class _WebhookBody(WebhookModel):
    """A webhook of the API: as in the configuration, with its id."""

    id: str = Field(description="The id: 1 to 64 letters, digits, _ and -.")


class _StreamBody(StreamModel):
    """A stream of the API: as in the configuration, with its name."""

    name: str = Field(description="The name: 1 to 64 letters, digits, _ and -.")


Model = TypeVar("Model", bound=BaseModel)
_READ_ONLY = (
    "managed_by",
    "created_at",
    "state",
    "disabled",
    "verification",
    "expression_errors",
    "rate",
    "subscribers",
)  # members of the API's responses that are not part of the definition


def webhook_from_json(
    body: object, transformations: frozenset[str], retention: float, refuses_url: RefusesUrl
) -> Webhook:
    """The webhook in the body of an API request. Raises InvalidBody.

    Members that the API adds to its responses, such as ``managed_by``, are ignored, so that a
    response can be sent back.
    """
    model = validated(_WebhookBody, "webhooks", body)
    webhook = webhook_of(model, model.id, managed_by="api")
    problems = [
        (problem.key, problem.detail)
        for problem in webhook_problems(webhook, transformations, retention, refuses_url)
    ]
    if problems:
        raise InvalidBody(problems)
    return webhook


def stream_from_json(body: object) -> StreamDefinition:
    """The stream in the body of an API request, which may be a response sent back.

    Raises InvalidBody."""
    model = validated(_StreamBody, "streams", body)
    definition = stream_of(model, model.name, managed_by="api")
    try:
        definition.check()
    except InvalidDefinition as error:
        raise InvalidBody([(error.key, error.detail)]) from None
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


def validated(model: type[Model], section: str, body: object) -> Model:
    """The body of a request as a model. ``section`` is the section of the configuration file with
    the same keys.

    Raises InvalidBody.
    """
    if not isinstance(body, dict):
        raise InvalidBody([("", "the body must be a JSON object")])
    given = {k: v for k, v in body.items() if k not in _READ_ONLY}
    try:
        check_plain(given)
    except InvalidDefinition as error:
        raise InvalidBody([(error.key, error.detail)]) from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidBody(
            [
                (".".join(path), reason_of(entry, (section, *path)))
                for entry in error.errors()
                for path in [tuple(str(part) for part in entry["loc"])]
            ]
        ) from None
