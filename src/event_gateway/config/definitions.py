"""Between the configuration's (and the API's) words and the core's webhooks and streams."""

import hashlib
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, Field, ValidationError

from event_gateway.config.model import Config, StreamModel, TransformationModel
from event_gateway.config.problems import reason_of
from event_gateway.config.webhook_model import (
    FilterModel,
    OrderedModel,
    RateLimitModel,
    RetryPolicyModel,
    SecurityModel,
    WebhookModel,
)
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.filter import Filter
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.json_values import check_plain
from event_gateway.core.text.times import rfc3339
from event_gateway.core.text.units import format_duration
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.webhook import (
    Batch,
    CircuitBreaker,
    RateLimit,
    RefusesUrl,
    Webhook,
)


class InvalidBody(Exception):
    """A definition that cannot be registered; ``problems`` are pairs of key and reason."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in problems))
        self.problems = problems


class _WebhookBody(WebhookModel):
    """The API's webhook: the configuration's and its id."""

    id: str = Field(description="The id: 1 to 64 letters, digits, _ and -.")


class _StreamBody(StreamModel):
    """The API's stream: the configuration's and its name."""

    name: str = Field(description="The name: 1 to 64 letters, digits, _ and -.")


Model = TypeVar("Model", bound=BaseModel)
_SHOWN = (
    "managed_by",
    "created_at",
    "state",
    "disabled",
    "verification",
    "expression_errors",
    "rate",
    "subscribers",
)  # what an answer says beyond the definition


def webhook_of(model: WebhookModel, webhook_id: str, *, managed_by: str) -> Webhook:
    """The core's webhook; what the model leaves out keeps the core's default."""
    given: dict[str, Any] = {
        name: value
        for name in (
            "transformation",
            "mode",
            "timeout",
            "concurrency",
            "disable_after",
            "enrich",
            "enabled",
            "description",
        )
        if (value := getattr(model, name)) is not None
    }
    return Webhook(
        id=webhook_id,
        url=model.url,
        events=tuple(model.events),
        filters=tuple(filter_of_model(one) for one in model.filters),
        cloudevents_filters=tuple(model.cloudevents_filters),
        expression=model.expression,
        namespaces=tuple(model.namespaces),
        sources=tuple(model.sources),
        retry_policy=_retry_policy(model.retry_policy),
        rate_limit=_rate_limit(model.rate_limit),
        batch=Batch(**model.batch.model_dump(exclude_none=True)),
        circuit_breaker=CircuitBreaker(**model.circuit_breaker.model_dump(exclude_none=True)),
        ordered=bool(model.ordered),
        ordered_by=model.ordered.by if isinstance(model.ordered, OrderedModel) else "",
        verify=model.verify,
        headers=dict(model.headers),
        security=tuple(_security(one) for one in model.security if one.auth_type != "none"),
        metadata=dict(model.metadata),
        managed_by=managed_by,
        **given,
    )


def filter_of_model(model: FilterModel) -> Filter:
    """The core's filter, groups and all."""
    if model.not_ is not None:
        return Filter(not_=filter_of_model(model.not_))
    if model.all is not None:
        return Filter(all=tuple(filter_of_model(one) for one in model.all))
    if model.any is not None:
        return Filter(any=tuple(filter_of_model(one) for one in model.any))
    value = model.value if "value" in model.model_fields_set else msgspec.UNSET
    return Filter(model.field or "", model.operator or "", value)


def _retry_policy(model: RetryPolicyModel) -> RetryPolicy:
    given = model.model_dump(exclude_none=True)
    schedule = tuple(given.pop("schedule", ()))
    if schedule:  # each of its delays is for one more attempt
        given.setdefault("max_attempts", len(schedule) + 1)
    return RetryPolicy(schedule=schedule, **given)


def _rate_limit(model: RateLimitModel | None) -> RateLimit | None:
    return None if model is None else RateLimit(**model.model_dump(exclude_none=True))


def _security(model: SecurityModel) -> Security:
    return Security(**model.model_dump(exclude_none=True))


def stream_of(model: StreamModel, name: str, *, managed_by: str) -> StreamDefinition:
    """The core's stream definition, its creation left out."""
    return StreamDefinition(
        name=name,
        subjects=tuple(model.subjects),
        retention=model.retention,
        max_messages=model.max_messages,
        max_bytes=model.max_bytes,
        compliance=model.compliance,
        compression=model.compression,
        replicas=model.replicas,
        managed_by=managed_by,
    )


def transformation_of(model: TransformationModel, name: str) -> TransformationDefinition:
    """The core's definition of a transformation."""
    return TransformationDefinition(
        name,
        model.base,
        model.format,
        model.platform,
        model.template if "template" in model.model_fields_set else msgspec.UNSET,
        model.content_type,
        model.python,
    )


def transformation_from_json(body: object) -> TransformationDefinition:
    """The transformation of an API request's body, which cannot be a function. Raises InvalidBody.

    Templates are not looked at yet.
    """
    definition = transformation_of(validated(TransformationModel, "transformations", body), "it")
    if definition.python is not None:
        raise InvalidBody([("python", "functions are named in the configuration file alone")])
    return definition


def definitions_digest(config: Config) -> str:
    """What tells files with different definitions apart; empty without any."""
    if not (config.webhooks or config.streams or config.transformations):
        return ""
    definitions: dict[str, Any] = {
        "webhooks": {
            name: webhook_of(model, name, managed_by="file")
            for name, model in config.webhooks.items()
        },
        "streams": {
            name: stream_of(model, name, managed_by="file")
            for name, model in config.streams.items()
        },
    }
    if config.transformations:
        definitions["transformations"] = {
            name: transformation_of(model, name) for name, model in config.transformations.items()
        }
    return hashlib.sha256(msgspec.json.encode(definitions, order="sorted")).hexdigest()[:16]


def webhook_from_json(
    body: object, transformations: frozenset[str], retention: float, refuses_url: RefusesUrl
) -> Webhook:
    """The webhook of an API request's body. Raises InvalidBody.

    What an answer says beyond the definition (``managed_by``, ``created_at``) may stand there, so
    that an answer can be sent back.
    """
    model = validated(_WebhookBody, "webhooks", body)
    webhook = webhook_of(model, model.id, managed_by="api")
    wrong = [
        (problem.key, problem.detail)
        for problem in webhook.problems(transformations, retention, refuses_url)
    ]
    if wrong:
        raise InvalidBody(wrong)
    return webhook


def stream_from_json(body: object) -> StreamDefinition:
    """The stream of an API request's body, which may be an answer sent back. Raises InvalidBody."""
    model = validated(_StreamBody, "streams", body)
    definition = stream_of(model, model.name, managed_by="api")
    try:
        definition.check()
    except InvalidDefinition as error:
        raise InvalidBody([(error.key, error.detail)]) from None
    return definition


def stream_to_json(definition: StreamDefinition) -> dict[str, Any]:
    """A stream as the API shows it."""
    retention = definition.retention
    return {
        "name": definition.name,
        "subjects": list(definition.subjects),
        "retention": None if retention is None else format_duration(retention),
        "max_messages": definition.max_messages,
        "max_bytes": definition.max_bytes,
        "compliance": definition.compliance,
        "compression": definition.compression,
        "replicas": definition.replicas,
        "managed_by": definition.managed_by,
        "created_at": rfc3339(definition.created_at),
    }


def validated(model: type[Model], section: str, body: object) -> Model:
    """A request's body as a model; ``section`` is where its keys are known from.

    Raises InvalidBody.
    """
    if not isinstance(body, dict):
        raise InvalidBody([("", "the body must be a JSON object")])
    given = {k: v for k, v in body.items() if k not in _SHOWN}
    try:
        check_plain(given)
    except InvalidDefinition as error:
        raise InvalidBody([(error.key, error.detail)]) from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidBody(
            [
                (".".join(path), reason_of(one, (section, *path)))
                for one in error.errors()
                for path in [tuple(str(part) for part in one["loc"])]
            ]
        ) from None


def webhook_to_json(webhook: Webhook) -> dict[str, Any]:
    """A webhook as the API shows it: names of secrets, never their values.

    Of its verification it says what the registry knows.
    """
    policy, rate = webhook.retry_policy, webhook.rate_limit
    agreed = webhook.verified if webhook.is_verified else None
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "filters": [msgspec.to_builtins(one) for one in webhook.filters],
        "cloudevents_filters": list(webhook.cloudevents_filters),
        "expression": webhook.expression,
        "namespaces": list(webhook.namespaces),
        "sources": list(webhook.sources),
        "transformation": webhook.transformation,
        "mode": webhook.mode,
        "batch": {
            "max_events": webhook.batch.max_events,
            "max_bytes": webhook.batch.max_bytes,
            "max_wait": format_duration(webhook.batch.max_wait),
        },
        "retry_policy": {
            "max_attempts": policy.max_attempts,
            "backoff": policy.backoff,
            "initial_delay": format_duration(policy.initial_delay),
            "multiplier": policy.multiplier,
            "max_delay": format_duration(policy.max_delay),
            "schedule": [format_duration(one) for one in policy.schedule] or None,
            "jitter": policy.jitter,
            "max_age": None if policy.max_age is None else format_duration(policy.max_age),
        },
        "timeout": format_duration(webhook.timeout),
        "concurrency": webhook.concurrency,
        "rate_limit": None
        if rate is None
        else {"events": rate.events, "per": format_duration(rate.per)},
        "circuit_breaker": {
            "failure_threshold": webhook.circuit_breaker.failure_threshold,
            "open_for": format_duration(webhook.circuit_breaker.open_for),
        },
        "disable_after": format_duration(webhook.disable_after),
        "ordered": {"by": webhook.ordered_by} if webhook.ordered_by else webhook.ordered,
        "verify": webhook.verify,
        "headers": dict(webhook.headers),
        "enrich": webhook.enrich,
        "security": [msgspec.to_builtins(one) for one in webhook.security],
        "enabled": webhook.enabled,
        "description": webhook.description,
        "metadata": dict(webhook.metadata),
        "managed_by": webhook.managed_by,
        "created_at": rfc3339(webhook.created_at),
        "state": webhook.state,
        "verification": {
            "verified_at": agreed and rfc3339(agreed.at),
            "allowed_rate": agreed and agreed.rate,
            "last_error": None,
            "next_try_at": None,
        }
        if webhook.verify
        else None,
        "disabled": webhook.disabled
        and {"reason": webhook.disabled.reason, "at": rfc3339(webhook.disabled.at)},
    }
