"""Metrics: declared in :mod:`.families`, counted by :class:`Metrics`, shown by :mod:`.exposition`.

Only this module is imported from outside, apart from the declarations.
"""

from event_gateway.observability.metrics import families
from event_gateway.observability.metrics.attempt_counts import AttemptCounts, UnlabelledMetrics
from event_gateway.observability.metrics.exposition import CONTENT_TYPE
from event_gateway.observability.metrics.figure_files import FigureFiles, SharedFolder
from event_gateway.observability.metrics.figures import WebhookMetrics
from event_gateway.observability.metrics.http import HttpMetrics
from event_gateway.observability.metrics.metrics import (
    MAX_ORIGINS,
    MAX_TYPES,
    MAX_WEBHOOKS,
    OTHER,
    Metrics,
)
from event_gateway.observability.metrics.otlp import as_otlp
from event_gateway.observability.metrics.streams import MAX_STREAMS, StreamMetrics

__all__ = [
    "CONTENT_TYPE",
    "MAX_ORIGINS",
    "MAX_STREAMS",
    "MAX_TYPES",
    "MAX_WEBHOOKS",
    "OTHER",
    "AttemptCounts",
    "FigureFiles",
    "HttpMetrics",
    "Metrics",
    "SharedFolder",
    "StreamMetrics",
    "UnlabelledMetrics",
    "WebhookMetrics",
    "as_otlp",
    "families",
]
