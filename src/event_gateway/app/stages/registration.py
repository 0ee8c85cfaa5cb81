"""Builds the registration stage: webhooks and streams are registered, and receivers verified."""

from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.request import Requests
from event_gateway.broker.positions import PositionCopies
from event_gateway.config.definitions import source_of, stream_of, webhook_of
from event_gateway.config.model import Config
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.applied_streams import AppliedStreams
from event_gateway.registration.declared import FilePlans
from event_gateway.registration.log_positions import LogPositions
from event_gateway.registration.reloads import Reloads
from event_gateway.registration.renames import WebhookRenames
from event_gateway.registration.sources import SourceRegistration
from event_gateway.registration.stream_file import FileStreams
from event_gateway.registration.stream_holds import StreamHolds
from event_gateway.registration.streams import StreamRegistration
from event_gateway.registration.takeovers import Takeovers
from event_gateway.registration.verification import Verifier
from event_gateway.registration.waiting import Waiting
from event_gateway.registration.webhook_amendments import WebhookAmendments
from event_gateway.registration.webhook_deletions import WebhookDeletions
from event_gateway.registration.webhook_file import FileWebhooks
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.state.order import Order
from event_gateway.state.renames import Renames
from event_gateway.tasks import TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrations:
    """The parts of this stage."""

    webhooks: WebhookRegistration
    file_webhooks: FileWebhooks
    amendments: WebhookAmendments
    deletions: WebhookDeletions
    positions: LogPositions
    streams: StreamRegistration
    file_streams: FileStreams
    applied_streams: AppliedStreams
    holds: StreamHolds
    sources: SourceRegistration
    verifier: Verifier
    waiting: Waiting
    plans: FilePlans
    renames: WebhookRenames
    reloads: Reloads

    async def load_file(self, config: Config, *, force: bool) -> None:
        """Writes the file's streams, webhooks and sources into the registry. ``force``: the streams
        may drop events that they hold, and webhooks are deleted with their deliveries.

        Raises ProvisionError, ServerRefused, InvalidDefinition, or the exceptions in BrokerError
        and StateError.
        """
        await self.file_streams.load(streams_of(config), force=force)
        await self.file_webhooks.load(webhooks_of(config), force=force)
        await self.sources.load_file(sources_of(config))
        await self.verifier.withdraw_outdated()
        await self.positions.adopt_streams()

    def start(self, tasks: TaskGroup) -> None:
        """Starts to finish deletions, and to verify receivers."""
        tasks.start("webhook-deletion", self.deletions.resume)
        tasks.start("webhook-renaming", self.renames.run)
        tasks.start("stream-deletion", self.applied_streams.resume_changes)
        tasks.start("verification", self.verifier.run)

    async def stop(self) -> None:
        """Ends the verifications and deletions that are under way."""
        await self.verifier.stop()
        await self.deletions.stop()
        await self.amendments.stop()


def build_registration(config: Config, adapters: Adapters, requests: Requests) -> Registrations:
    """Needs the requests stage for the handshakes with receivers."""
    order = Order(adapters.redis, adapters.peers.process)
    waiting = Waiting(adapters.registry, adapters.queues, order, adapters.events)
    positions = LogPositions(adapters.registry, adapters.events)
    takeovers = Takeovers(adapters.registry, adapters.audit)
    deletions = WebhookDeletions(adapters.registry, adapters.queues, adapters.lifecycle)
    amendments = WebhookAmendments(adapters.registry, adapters.audit, adapters.lifecycle)
    webhooks = WebhookRegistration(
        adapters.registry, adapters.queues, adapters.lifecycle,
        positions=positions, takeovers=takeovers, deletions=deletions,
    )  # fmt: skip
    applied = AppliedStreams(
        adapters.broker, adapters.registry, adapters.events, adapters.lifecycle
    )
    return Registrations(
        webhooks=webhooks,
        file_webhooks=FileWebhooks(
            adapters.registry, adapters.audit,
            webhooks=webhooks, takeovers=takeovers, deletions=deletions, waiting=waiting,
        ),
        amendments=amendments,
        deletions=deletions,
        positions=positions,
        streams=StreamRegistration(
            adapters.broker, adapters.registry, adapters.events,
            applied=applied, lifecycle=adapters.lifecycle,
        ),
        file_streams=FileStreams(
            adapters.broker, adapters.registry, adapters.audit,
            applied=applied, lifecycle=adapters.lifecycle,
        ),
        applied_streams=applied,
        holds=StreamHolds(adapters.registry, applied, adapters.lifecycle),
        sources=SourceRegistration(adapters.registry, adapters.audit),
        verifier=Verifier(
            adapters.registry, amendments, adapters.peers, receivers=requests.receivers,
            builders=requests.builders, origin=config.delivery.origin,
        ),
        waiting=waiting,
        renames=WebhookRenames(
            adapters.registry,
            Renames(
                adapters.redis, adapters.ledger, report_due=adapters.due_signal.due_now
            ),
            order,
            PositionCopies(adapters.broker),
            peers=adapters.peers, takeovers=takeovers, lifecycle=adapters.lifecycle,
        ),
        plans=FilePlans(adapters.broker, adapters.registry, waiting),
        reloads=Reloads(),
    )  # fmt: skip


def webhooks_of(config: Config) -> list[Webhook]:
    """The file's webhooks."""
    return [webhook_of(model, name, managed_by="file") for name, model in config.webhooks.items()]


def streams_of(config: Config) -> list[StreamDefinition]:
    """The file's named streams."""
    return [stream_of(model, name, managed_by="file") for name, model in config.streams.items()]


def sources_of(config: Config) -> list[SourceDefinition]:
    """The file's inbound sources."""
    return [source_of(model, name, managed_by="file") for name, model in config.sources.items()]
