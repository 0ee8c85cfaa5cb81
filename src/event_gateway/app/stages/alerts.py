"""Builds the alerts: tallies of attempts, their evaluation, and what is stored of them."""

import time
from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.delivery import Deliveries
from event_gateway.app.stages.observability import Observability
from event_gateway.app.stages.routing import Routing
from event_gateway.config.model import Config
from event_gateway.core.observability.attempt_history import AttemptHistory
from event_gateway.observability.alerts.announcing import AlertAnnouncing
from event_gateway.observability.alerts.book import AlertBook
from event_gateway.observability.alerts.evaluation import AlertEvaluation
from event_gateway.observability.alerts.readings import Readings
from event_gateway.observability.alerts.tally_exchange import TallyExchange
from event_gateway.tasks import TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """The parts of this stage. ``book`` has all alerts and silences."""

    book: AlertBook
    announcing: AlertAnnouncing
    evaluation: AlertEvaluation
    exchange: TallyExchange

    def configure(self, config: Config) -> None:
        """Applies other thresholds, and another page of runbooks."""
        self.announcing.configure(config.alerts.runbooks)
        self.evaluation.configure(config.alerts.settings())

    async def start(self, tasks: TaskGroup) -> None:
        """Starts to count, to follow and to evaluate. Raises what BrokerError names."""
        await self.exchange.start()
        tasks.start("alert-tallies", self.exchange.run)
        tasks.start("alert-book", self.book.follow)
        tasks.start("alerts", self.evaluation.run)


def build_alerts(
    config: Config,
    adapters: Adapters,
    *,
    observability: Observability,
    deliveries: Deliveries,
    routing: Routing,
) -> Alerts:
    """Needs the observability stage, which stores and announces; the delivery stage, whose attempts
    are counted; and the routing stage, whose lag is part of that of deliveries."""
    settings, registry = config.alerts.settings(), adapters.registry
    history = AttemptHistory(settings.windows, time.monotonic())
    exchange = TallyExchange(
        adapters.broker, adapters.peers.process, adapters.tallies, history,
        settings=settings, known=registry.webhooks, waiting=deliveries.ordered.waiting,
    )  # fmt: skip
    readings = Readings(
        settings, history, adapters.queues,
        router_lag=lambda: routing.lag.waited,
    )  # fmt: skip
    book = AlertBook(observability.bucket)
    announcing = AlertAnnouncing(
        book, observability.announcements, registry.webhooks, runbooks=config.alerts.runbooks
    )
    evaluation = AlertEvaluation(
        adapters.broker,
        adapters.peers,
        history=history,
        exchange=exchange,
        readings=readings,
        book=book,
        announcing=announcing,
        webhooks=registry.webhooks,
        limit_reached=adapters.metrics.limit_reached,
    )
    observability.health.add_wide(book.reasons)
    return Alerts(book=book, announcing=announcing, evaluation=evaluation, exchange=exchange)
