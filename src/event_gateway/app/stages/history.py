"""Builds the history: what each process counts, written to Redis, and read as series."""

from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.routing import Routing
from event_gateway.app.stages.streaming import Streaming
from event_gateway.observability.history.counts import ProcessCounts
from event_gateway.observability.history.reader import HistoryReader
from event_gateway.observability.history.recorder import HistoryRecorder, Levels
from event_gateway.observability.metrics import OTHER, families
from event_gateway.state.history import HistoryStore
from event_gateway.tasks import TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The parts of this stage."""

    recorder: HistoryRecorder
    reader: HistoryReader

    def start(self, tasks: TaskGroup) -> None:
        """Starts to record."""
        tasks.start("history", self.recorder.run)


def build_history(adapters: Adapters, routing: Routing, streaming: Streaming) -> History:
    """Needs the metrics, the lag of the routers, and the hub, which counts the subscribers."""
    store = HistoryStore(adapters.redis, adapters.peers.process)
    registry = adapters.registry

    def known(webhook_id: str) -> bool:
        webhook = registry.webhooks.get(webhook_id)
        return webhook is not None and not webhook.deleting

    recorder = HistoryRecorder(
        store,
        ProcessCounts(adapters.metrics),
        levels=lambda: _levels(adapters, routing, streaming),
        known=known,
    )
    return History(recorder=recorder, reader=HistoryReader(store, recorder))


def _levels(adapters: Adapters, routing: Routing, streaming: Streaming) -> Levels:
    """What is at this moment. The queues are measured by the process that leads."""
    depths: dict[str, int] = {}
    waiting: tuple[int, float] | None = None
    if adapters.peers.leads:
        figures = adapters.metrics.figures
        queues = figures.labels_of(families.QUEUE_DEPTH)
        oldest = figures.labels_of(families.OLDEST_PENDING)
        depths = {
            name: round(depth) for (name,), depth in queues.items() if depth and name != OTHER
        }
        if queues or not adapters.registry.webhooks:
            waiting = round(sum(queues.values())), max(oldest.values(), default=0.0)
    return Levels(
        subscribers=sum(streaming.hub.counts().values()),
        lag=None if routing.lag.waited is None else routing.lag.behind,
        waiting=waiting,
        depths=depths,
    )
