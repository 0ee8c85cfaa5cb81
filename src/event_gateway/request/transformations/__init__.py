"""Transformations: an event in, a receiver's content type and body out.

``live`` has those in force. A new built-in one is a module with a function, and a line there.
"""

from event_gateway.request.transformations.available import Transformations, compiled
from event_gateway.request.transformations.pending_body import BodyPending, PendingBody

__all__ = ["BodyPending", "PendingBody", "Transformations", "compiled"]
