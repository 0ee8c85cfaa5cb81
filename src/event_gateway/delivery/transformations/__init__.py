"""Transformations: an event in, a receiver's content type and body out.

A new one is a module with a function and a line in ``TRANSFORMATIONS``.
"""

from collections.abc import Callable

from event_gateway.core.event import Event
from event_gateway.delivery.transformations.analytics import analytics_format
from event_gateway.delivery.transformations.standard import standard

Transformation = Callable[[Event], tuple[bytes, bytes]]

TRANSFORMATIONS: dict[str, Transformation] = {
    "standard": standard,
    "analytics_format": analytics_format,
}
