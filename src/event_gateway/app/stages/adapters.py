"""Connects to NATS and Redis, and builds what reads and writes them."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from event_gateway.app.server_logins import nats_login, redis_login
from event_gateway.audit.trail import AuditTrail
from event_gateway.broker.audit_log import AuditLog
from event_gateway.broker.connection import Broker
from event_gateway.broker.connection import connect as connect_nats
from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.event_reader import EventReader
from event_gateway.broker.external_streams import ExternalStream, open_streams
from event_gateway.broker.leaders import wait_for_leaders
from event_gateway.broker.log_reader import LogReader
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import OWN, capture, provision
from event_gateway.broker.registry import Registry
from event_gateway.broker.registry_bucket import BUCKET_STREAM
from event_gateway.broker.rejected import RejectedInput
from event_gateway.broker.stream_list import StreamList
from event_gateway.config.definitions import definitions_digest
from event_gateway.config.ingest_subjects import captured_subjects
from event_gateway.config.model import Config
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import DISK_FULL, DISK_NEARLY_FULL
from event_gateway.core.webhook.retry_policy import longest_wait
from event_gateway.delivery.due_signal import DueSignal
from event_gateway.embedded.disk import Disk
from event_gateway.observability.alerts.tally import AttemptTallies
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.observability.metrics import Metrics
from event_gateway.state.condition import RedisSettings
from event_gateway.state.connection import close as close_redis
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.event_index import EventIndex
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues
from event_gateway.state.recorded_sequences import reached_sequences
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.state.runs import Runs
from event_gateway.tasks import Supervisor


class Storage:
    """Where the embedded servers keep their data. ``disk``: None if there are none; ``limit``:
    bytes that the streams of an embedded NATS may have, None if NATS is not embedded."""

    def __init__(self, data_dir: Path | None, limit: int | None) -> None:
        self.disk = None if data_dir is None else Disk(data_dir)
        self.limit = limit

    def shortage(self) -> str | None:
        """Why NATS takes no more events, as far as the disk is the reason."""
        return None if self.disk is None or self.limit is None else self.disk.shortage()

    @property
    def reasons(self) -> list[Reason]:
        """Why the gateway's health is degraded."""
        if self.disk is None:
            return []
        if shortage := self.disk.shortage():
            return [Reason(DISK_FULL, shortage)]
        warning = self.disk.nearly_full()
        return [Reason(DISK_NEARLY_FULL, warning)] if warning else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """What all stages share. ``installation_key`` is the key that all processes of this gateway
    share; ``external_retention`` the retention of each stream of ``ingest.streams``, in seconds."""

    broker: Broker
    redis: Redis
    streams: StreamList
    peers: Peers
    registry: Registry
    events: EventLog
    log_reader: LogReader
    dead_letters: DeadLetterLog
    reader: EventReader
    rejected: RejectedInput
    audit_log: AuditLog
    audit: AuditTrail
    ledger: Ledger
    queues: Queues
    runs: Runs
    event_index: EventIndex
    lifecycle: Lifecycle
    metrics: Metrics
    tallies: AttemptTallies
    due_signal: DueSignal
    lane_reports: LaneReports
    installation_key: bytes
    external_retention: Mapping[str, float]
    storage: Storage
    redis_settings: RedisSettings

    async def provision(self, config: Config) -> None:
        """Checks ``ingest.streams`` and makes the gateway's own streams as configured.

        Raises ProvisionError, ServerRefused, or the exceptions in BrokerError.
        """
        external = self.events.external
        names = [stream.name for stream in external]
        await open_streams(self.broker, names, longest_wait(config.ingest.retention))
        self.events.set_captured(
            await _provision(self.broker, config, external, self.storage.limit)
        )

    async def provision_again(self, config: Config, patterns: Sequence[str]) -> None:
        """Creates the gateway's own streams that were deleted. ``patterns``: the subjects that
        webhooks and streams need. Raises ProvisionError, or what BrokerError names."""
        captured = self.events.captured
        self.events.set_captured(
            await _provision(self.broker, config, self.events.external, self.storage.limit)
        )
        # Also the subjects that the log captured for webhooks which have gone since.
        if set(captured) - set(self.events.captured):
            self.events.set_captured(await capture(self.broker, captured))
        await self.events.capture_for(patterns)

    def configure(self, config: Config) -> None:
        """Applies how long records are kept, and what the log may capture; tells the peers which
        configuration file this process has."""
        self.ledger.set_retention(records_kept(config))
        self.runs.set_dead_letter_retention(config.dead_letters.retention)
        self.event_index.set_retention(config.ingest.retention)
        self.events.allow_new_roots(config.ingest.subjects is None)
        self.peers.set_file(definitions_digest(config))


async def open_adapters(
    config: Config,
    nats_url: str,
    redis_url: str,
    *,
    storage: Storage,
    metrics: Metrics,
    supervisor: Supervisor,
    closing: AsyncExitStack,
) -> Adapters:
    """Connects to both servers and provisions the streams. ``closing`` gets what is to be closed.

    Raises ProvisionError, ServerRefused, or the exceptions in BrokerError and StateError.
    """
    broker = await connect_nats(
        nats_url,
        login=nats_login(config), replicas=config.nats.replicas, shortage=storage.shortage,
    )  # fmt: skip
    closing.push_async_callback(broker.close)
    await wait_for_leaders(broker, (*OWN, BUCKET_STREAM, *config.ingest.streams))
    redis = await connect_redis(redis_url, redis_login(config))
    closing.push_async_callback(close_redis, redis)
    wait = longest_wait(config.ingest.retention)
    external = await open_streams(broker, config.ingest.streams, wait)
    # An events log that is created now must not have the sequences of one that was there before.
    for stream, seq in (await reached_sequences(redis)).items():
        broker.known_sequences.note(stream, seq)
    captured = await _provision(broker, config, external, storage.limit)
    events = EventLog(broker, captured, external, captures_new_roots=config.ingest.subjects is None)
    log_reader = LogReader(broker, external)
    peers = Peers(broker, secrets.token_hex(6), definitions_digest(config), supervisor)
    await peers.start()
    closing.push_async_callback(peers.stop)
    streams = StreamList(broker)
    registry = Registry(broker, streams, peers, supervisor)
    installation_key = await registry.open()
    closing.push_async_callback(registry.stop)
    dead_letters = DeadLetterLog(broker, registry)
    audit_log = AuditLog(broker)
    lane_reports = LaneReports()
    ledger = Ledger(redis, records_kept(config), lane_reports, supervisor)
    due_signal = DueSignal()
    external_retention = {stream.name: stream.max_age for stream in external}
    return Adapters(
        broker=broker,
        redis=redis,
        streams=streams,
        peers=peers,
        registry=registry,
        events=events,
        log_reader=log_reader,
        dead_letters=dead_letters,
        reader=EventReader(log_reader, dead_letters),
        rejected=RejectedInput(broker),
        audit_log=audit_log,
        audit=AuditTrail(audit_log, peers.process),
        ledger=ledger,
        queues=Queues(redis, ledger, count_cancelled=metrics.cancelled),
        runs=Runs(
            redis,
            ledger,
            config.dead_letters.retention,
            count_cancelled=metrics.cancelled,
            report_due=due_signal.due_now,
        ),
        event_index=EventIndex(redis, config.ingest.retention, external_retention),
        lifecycle=Lifecycle(broker.post),
        metrics=metrics,
        tallies=AttemptTallies(),
        due_signal=due_signal,
        lane_reports=lane_reports,
        installation_key=installation_key,
        external_retention=external_retention,
        storage=storage,
        redis_settings=RedisSettings(redis),
    )


async def _provision(
    broker: Broker, config: Config, external: Sequence[ExternalStream], limit: int | None
) -> tuple[str, ...]:
    return await provision(
        broker, captured_subjects(config), config.ingest.retention, config.ingest.max_bytes,
        config.dead_letters.retention, external, limit,
        audit_retention=config.audit.retention, audit_max_bytes=config.audit.max_bytes,
    )  # fmt: skip


def records_kept(config: Config) -> float:
    """How long delivery records are kept, in seconds: at least as long as their events, which may
    be read again."""
    return max(config.delivery.keep_records, config.ingest.retention)
