"""What the configuration governs, and how a running process takes up another one."""

from dataclasses import dataclass

from event_gateway.api.server.state import ApiState
from event_gateway.app.stages.adapters import records_kept
from event_gateway.app.stages.registration import Registrations, streams_of, webhooks_of
from event_gateway.app.stages.request import Requests, transformations_of
from event_gateway.broker.connection import Broker
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.external_streams import open_streams
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import ProvisionError, provision
from event_gateway.config.definitions import definitions_digest
from event_gateway.config.ingest_subjects import captured_subjects
from event_gateway.config.model import Config
from event_gateway.core.errors import InvalidDefinition, ServerRefused
from event_gateway.core.webhook.retry_policy import longest_wait
from event_gateway.delivery.outcomes import Outcomes
from event_gateway.ingest.schema_policy import SchemaPolicy
from event_gateway.replay.manual_retry import ManualRetry
from event_gateway.routing.repair import Repair
from event_gateway.state.ledger import Ledger
from event_gateway.state.runs import Runs

# What a running process cannot change; all else is taken up by a reload.
FIXED = (
    "server.host",
    "server.port",
    "server.subscribers",
    "nats",
    "redis",
    "ingest.streams",
    "secrets",
)


class ReloadRefused(Exception):
    """The former configuration stays in force; ``problems`` are pairs of key and reason."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Governed:
    """The parts of a process that a changed configuration reaches."""

    broker: Broker
    events: EventLog
    peers: Peers
    requests: Requests
    registrations: Registrations
    ledger: Ledger
    outcomes: Outcomes
    runs: Runs
    manual_retry: ManualRetry
    repair: Repair
    schema_policy: SchemaPolicy
    api: ApiState

    async def reload(self, former: Config, config: Config) -> None:
        """Takes up another configuration, all or nothing.

        Raises ReloadRefused, with all as it was, and what BrokerError names where NATS goes away
        on the way: then it is to be repeated.
        """
        changed = [key for key in FIXED if _at(config, key) != _at(former, key)]
        if changed:
            raise ReloadRefused([(key, "cannot change without a restart") for key in changed])
        try:
            self.registrations.webhooks.check_file(webhooks_of(config))
            await self._provision(config)
            await self.registrations.streams.load_file(streams_of(config))
        except (ProvisionError, ServerRefused) as error:
            await self._provision(former)
            await self.registrations.streams.load_file(streams_of(former))
            raise ReloadRefused([("", str(error))]) from None
        except InvalidDefinition as error:
            raise ReloadRefused([(error.key, error.detail)]) from None
        if config.delivery != former.delivery:
            # First, so that new webhooks' receivers are let through.
            self.requests.configure_egress(config)
            await self.registrations.verifier.adopt(config.delivery.origin)
        # First, too: what webhooks are to name must be there.
        self.requests.transformations.load(transformations_of(config))
        await self.registrations.webhooks.load_file(webhooks_of(config))
        self.ledger.keep = records_kept(config)
        self.outcomes.max_age = longest_wait(config.ingest.retention)
        self.events.captures_new_roots = config.ingest.subjects is None
        self.api.configure(config)
        self.manual_retry.retention = config.ingest.retention
        self.schema_policy.configure(enforce=config.catalog.enforce, strict=config.catalog.strict)
        self.repair.manual = config.repair == "manual"
        self.runs.marked = self.manual_retry.letters_retention = config.dead_letters.retention
        self.peers.load(definitions_digest(config))

    async def _provision(self, config: Config) -> None:
        ingest = config.ingest
        names = [one.name for one in self.events.foreign]
        await open_streams(self.broker, names, longest_wait(ingest.retention))
        self.events.captured = await provision(
            self.broker, captured_subjects(config), ingest.retention, ingest.max_bytes,
            config.dead_letters.retention, self.events.foreign,
        )  # fmt: skip


def _at(config: Config, key: str) -> object:
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value
