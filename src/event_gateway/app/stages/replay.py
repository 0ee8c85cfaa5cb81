"""Builds the replay stage: deliveries are retried by hand, and many replayed."""

from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.ingest import Ingest
from event_gateway.config.model import Config
from event_gateway.replay.manual_retry import ManualRetry
from event_gateway.replay.replayer import Replayer
from event_gateway.routing.past_events import PastEvents
from event_gateway.state.replays import Replays
from event_gateway.tasks import TaskGroup


@dataclass(frozen=True, slots=True)
class Replaying:
    """The parts of this stage."""

    manual_retry: ManualRetry
    replays: Replays
    replayer: Replayer

    def configure(self, config: Config) -> None:
        """Applies the retentions of the log and of dead letters."""
        self.manual_retry.set_retention(config.ingest.retention, config.dead_letters.retention)

    def start(self, tasks: TaskGroup) -> None:
        """Starts to carry out replays."""
        tasks.start("replays", self.replayer.run)


def build_replay(config: Config, adapters: Adapters, ingest: Ingest) -> Replaying:
    """Needs the ingest stage, through which the events of the log go again."""
    manual_retry = ManualRetry(
        adapters.registry, adapters.reader, adapters.letters, adapters.runs,
        config.ingest.retention, config.dead_letters.retention, adapters.external_retention,
    )  # fmt: skip

    past_events = PastEvents(adapters.broker, ingest.decoder)
    replays = Replays(adapters.redis, adapters.peers.process)
    replayer = Replayer(
        replays, adapters.runs, manual_retry, adapters.letters, adapters.registry, past_events.read
    )
    return Replaying(manual_retry, replays, replayer)
