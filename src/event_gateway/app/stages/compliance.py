"""Builds the stage of compliance streams: their chains, and the key that signs the anchors."""

import contextlib
from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.observability import Observability
from event_gateway.app.stages.request import Requests
from event_gateway.audit.trail import NotRecorded
from event_gateway.broker.subject_keys import SubjectKeys
from event_gateway.compliance.anchoring import AnchorKey
from event_gateway.compliance.chains import Chains
from event_gateway.compliance.sealing import DataSealing
from event_gateway.config.model import Config
from event_gateway.core.access.sealing import CannotSeal, new_key
from event_gateway.core.errors import ChangedInBetween, InvalidDefinition
from event_gateway.core.webhook.signing_keys import PRIVATE
from event_gateway.tasks import Supervisor, TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """The parts of this stage."""

    chains: Chains
    sealing: DataSealing

    def start(self, tasks: TaskGroup) -> None:
        """Starts to write the chains of compliance streams, in the process that leads."""
        tasks.start("chains", self.chains.run)


def build_compliance(
    config: Config,
    adapters: Adapters,
    *,
    observability: Observability,
    requests: Requests,
    supervisor: Supervisor,
) -> Compliance:
    """Needs the registry and the leader of the adapters, the announcements of lifecycle events,
    and the secrets of the requests stage."""
    settings = config.compliance

    def find_key() -> str | None:
        values = requests.secrets.find(settings.anchor_key)
        return values[0] if values else None

    async def make_key() -> None:
        audit, name = adapters.audit, settings.anchor_key
        with contextlib.suppress(CannotSeal, ChangedInBetween, InvalidDefinition, NotRecorded):
            requests.sealed.check_key()  # no record of a change that cannot be made
            async with audit.change(audit.gateway, "secrets.set", f"secret/{name}") as call:
                await requests.sealed.set(name, PRIVATE + new_key())
                call.about(after={"name": name, "from": "sealed"})

    sealing = DataSealing(
        SubjectKeys(adapters.broker),
        adapters.installation_key,
        requests.sealed.seal_bytes,
        requests.sealed.open_bytes,
    )
    chains = Chains(
        adapters.broker,
        adapters.registry,
        adapters.peers,
        observability.announcements,
        key=AnchorKey(find_key, make_key),
        sealing=sealing,
        counters=adapters.metrics.streams,
        supervisor=supervisor,
        chain_every=settings.chain_every,
        anchor_every=settings.anchor_every,
    )
    return Compliance(chains=chains, sealing=sealing)
