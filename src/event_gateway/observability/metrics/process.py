"""CPU, memory and files of this process."""

from prometheus_client import ProcessCollector

from event_gateway.observability.metrics.families import BY_NAME
from event_gateway.observability.metrics.figures import Figures


class ProcessFigures:
    """Reads what the system knows of this process; nothing where it has no ``/proc``."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)

    def read(self, figures: Figures) -> None:
        """Sets the figures of the process."""
        for metric in self._collector.collect():
            family = BY_NAME.get(metric.name)
            if family is not None:
                for sample in metric.samples:
                    figures.set(family, sample.value)
