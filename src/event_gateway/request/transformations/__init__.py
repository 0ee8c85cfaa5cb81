"""Transformations: an event in, a receiver's content type and body out.

``live`` has those in force. A new built-in one is a module with a function, and a line there.
"""

from event_gateway.request.transformations.registry import Transformations, compiled
from event_gateway.request.transformations.result import BodyWanted, Making

__all__ = ["BodyWanted", "Making", "Transformations", "compiled"]
