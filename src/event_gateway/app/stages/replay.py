"""Builds the replay stage: deliveries are retried by hand, and many replayed."""

from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.ingest import Ingest
from event_gateway.config.model import Config
from event_gateway.replay.execution import ReplayExecution
from event_gateway.replay.manual_retry import ManualRetry
from event_gateway.replay.new_runs import NewRuns
from event_gateway.replay.replayer import Replayer
from event_gateway.replay.resend import Resend
from event_gateway.routing.past_events import PastEvents
from event_gateway.state.replays import Replays
from event_gateway.tasks import TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """The parts of this stage."""

    new_runs: NewRuns
    manual_retry: ManualRetry
    resend: Resend
    replays: Replays
    replayer: Replayer

    def configure(self, config: Config) -> None:
        """Applies the retentions of the log and of dead letters."""
        self.new_runs.configure(
            retention=config.ingest.retention,
            dead_letter_retention=config.dead_letters.retention,
        )

    def start(self, tasks: TaskGroup) -> None:
        """Starts to carry out replays."""
        tasks.start("replays", self.replayer.run)


def build_replay(config: Config, adapters: Adapters, ingest: Ingest) -> Replaying:
    """Needs the ingest stage, through which the events of the log go again."""
    new_runs = NewRuns(
        retention=config.ingest.retention,
        dead_letter_retention=config.dead_letters.retention,
        external_retention=adapters.external_retention,
    )
    manual_retry = ManualRetry(
        adapters.registry,
        reader=adapters.reader,
        dead_letters=adapters.dead_letters,
        runs=adapters.runs,
        new_runs=new_runs,
    )
    replays = Replays(adapters.redis, adapters.peers.process)
    execution = ReplayExecution(
        replays.holder,
        runs=adapters.runs,
        new_runs=new_runs,
        dead_letters=adapters.dead_letters,
        registry=adapters.registry,
        read_log=PastEvents(adapters.broker, ingest.decoder).read,
    )
    return Replaying(
        new_runs=new_runs,
        manual_retry=manual_retry,
        resend=Resend(adapters.runs, new_runs),
        replays=replays,
        replayer=Replayer(replays, execution),
    )
