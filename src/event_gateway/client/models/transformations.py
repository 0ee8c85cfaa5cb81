"""The types of bodies and answers of the tag `transformations`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from event_gateway.client.models.shared import CloudEvent

__all__ = ["PreviewTransformationBody", "TransformationModel"]


class PreviewTransformationBody(TypedDict):
    """The event, and the transformation: a name, or a definition without a Python function."""

    event: CloudEvent
    transformation: NotRequired[str | TransformationModel | None]
    webhook: NotRequired[str | None]


class TransformationModel(TypedDict):
    """A transformation of your own: one of `base`, `template` and `python`."""

    base: NotRequired[str | None]
    format: NotRequired[str | None]
    platform: NotRequired[str | None]
    template: NotRequired[Any]
    content_type: NotRequired[str | None]
    python: NotRequired[str | None]
