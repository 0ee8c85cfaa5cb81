"""Converts models of the configuration and of requests to the core's definitions."""

import hashlib
from typing import Any

import msgspec

from event_gateway.config.model import Config, StreamModel, TransformationModel
from event_gateway.config.selection_model import selection_arguments
from event_gateway.config.source_model import SourceModel
from event_gateway.config.webhook_model import (
    OrderedModel,
    RateLimitModel,
    RetryPolicyModel,
    SecurityModel,
    WebhookModel,
)
from event_gateway.core.sources.definition import Settings, SourceDefinition, Templates
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.core.webhook.retry_policy import RetryPolicy
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.webhook import Batch, CircuitBreaker, RateLimit, Tls, Webhook


def webhook_of(model: WebhookModel, webhook_id: str, *, managed_by: str) -> Webhook:
    """The core's webhook. Values that the model leaves out keep the core's defaults."""
    given: dict[str, Any] = {
        name: value
        for name in (
            "transformation",
            "mode",
            "method",
            "content_type",
            "timeout",
            "concurrency",
            "disable_after",
            "enrich",
            "enabled",
            "description",
            "renamed_from",
        )
        if (value := getattr(model, name)) is not None
    }
    return Webhook(
        id=webhook_id,
        url=model.url,
        events=tuple(model.events),
        **selection_arguments(model),
        retry_policy=_retry_policy(model.retry_policy),
        retry_on=None if model.retry_on is None else tuple(dict.fromkeys(model.retry_on)),
        rate_limit=_rate_limit(model.rate_limit),
        batch=Batch(**model.batch.model_dump(exclude_none=True)),
        circuit_breaker=CircuitBreaker(**model.circuit_breaker.model_dump(exclude_none=True)),
        ordered=bool(model.ordered),
        ordered_by=model.ordered.by if isinstance(model.ordered, OrderedModel) else "",
        verify=model.verify,
        headers=dict(model.headers),
        security=tuple(
            _security(settings) for settings in model.security if settings.auth_type != "none"
        ),
        tls=Tls(model.tls.ca or ""),
        metadata=dict(model.metadata),
        managed_by=managed_by,
        **given,
    )


def _retry_policy(model: RetryPolicyModel) -> RetryPolicy:
    given = model.model_dump(exclude_none=True)
    schedule = tuple(given.pop("schedule", ()))
    if schedule:  # each delay is followed by another attempt
        given.setdefault("max_attempts", len(schedule) + 1)
    return RetryPolicy(schedule=schedule, **given)


def _rate_limit(model: RateLimitModel | None) -> RateLimit | None:
    return None if model is None else RateLimit(**model.model_dump(exclude_none=True))


def _security(model: SecurityModel) -> Security:
    return Security(**model.model_dump(exclude_none=True))


def stream_of(model: StreamModel, name: str, *, managed_by: str) -> StreamDefinition:
    """The core's stream definition, without its time of creation."""
    return StreamDefinition(
        name=name,
        subjects=tuple(model.subjects),
        retention=model.retention,
        max_messages=model.max_messages,
        max_bytes=model.max_bytes,
        compliance=model.compliance,
        compression=model.compression,
        sealed_by=model.sealed_by,
        replicas=model.replicas,
        managed_by=managed_by,
    )


def source_of(model: SourceModel, name: str, *, managed_by: str) -> SourceDefinition:
    """The core's source, without its time of creation."""
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key in Settings.__struct_fields__
        if (value := getattr(model, key)) is not None
    }
    return SourceDefinition(
        name=name,
        type=model.type,
        settings=Settings(**settings),
        event=Templates(**model.event.model_dump(exclude_none=True)),
        tolerance=model.tolerance,
        keep_refused=model.keep_refused,
        enabled=model.enabled,
        description=model.description or "",
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


def definitions_digest(config: Config) -> str:
    """A digest of all definitions, by which processes compare their files; empty without any."""
    if not (config.webhooks or config.streams or config.sources or config.transformations):
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
    if config.sources:
        definitions["sources"] = {
            name: source_of(model, name, managed_by="file")
            for name, model in config.sources.items()
        }
    if config.transformations:
        definitions["transformations"] = {
            name: transformation_of(model, name) for name, model in config.transformations.items()
        }
    return hashlib.sha256(msgspec.json.encode(definitions, order="sorted")).hexdigest()[:16]
