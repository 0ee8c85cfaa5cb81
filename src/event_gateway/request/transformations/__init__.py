"""Transformations: from an event to the content type and the body that a receiver gets."""

from event_gateway.request.transformations.available import Transformations
from event_gateway.request.transformations.built_in import compile_definition
from event_gateway.request.transformations.pending_body import BodyPending, PendingBody

__all__ = ["BodyPending", "PendingBody", "Transformations", "compile_definition"]
