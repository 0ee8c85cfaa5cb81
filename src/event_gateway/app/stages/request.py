"""Builds the requests stage: what makes a webhook's request and sends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from event_gateway import __version__
from event_gateway.app.stages.adapters import Adapters
from event_gateway.config.definitions import transformation_of
from event_gateway.config.model import Config
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.request.access_tokens import AccessTokens
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.request.transformations import Transformations
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import SecretNamespaces, Secrets
from event_gateway.secrets.private_files import PrivateFiles
from event_gateway.secrets.sealed import SealedSecrets
from event_gateway.transport.client import HttpClient
from event_gateway.transport.egress_guard import EgressGuard, configure, guard_of
from event_gateway.transport.proxy import proxy_of
from event_gateway.transport.tls_files import Trust

# Seconds for the body of a response, from its head on. The head decides; the body is only shown,
# and one that never ends must not hold a place in the lane for the whole timeout of the webhook.
BODY_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The parts of this stage."""

    secrets: Secrets
    secret_namespaces: SecretNamespaces
    sealed: SealedSecrets
    guard: EgressGuard
    trust: Trust
    http: HttpClient
    transformations: Transformations
    builders: RequestBuilders
    receivers: ReceiverClient
    private: PrivateFiles

    def protect_files(self, config: Config) -> None:
        """Keeps the private key of the API's TLS from callers that name secrets and files."""
        self.private.configure(_key_files(config))

    def load_transformations(self, config: Config) -> None:
        """Uses the transformations of the configuration file."""
        self.transformations.load(transformations_of(config))

    def use_secret_namespaces(self, config: Config) -> None:
        """Uses the namespaces that the configuration file gives secrets to."""
        self.secret_namespaces.use(config.secrets.namespaces)

    def configure_egress(self, config: Config) -> None:
        """Allows the receivers, and uses the proxy and the authorities, that the configuration
        names. Changes nothing and raises ValueError if the authorities are unusable."""
        delivery = config.delivery
        self.trust.use(authorities_file(config))
        configure(self.guard, delivery)
        self.http.renew(proxy_of(delivery.proxy))

    async def stop(self) -> None:
        """Ends the requests that are left, and closes the connections to receivers."""
        await self.receivers.stop()
        await self.http.close()


def build_requests(
    config: Config,
    adapters: Adapters,
    environ: Mapping[str, str],
    *,
    sealing_key: Path | None,
    private: PrivateFiles,
    own_servers: Sequence[tuple[str, int]],
    max_attempts: int,
) -> Requests:
    """``max_attempts``: how many may be in flight at a time; ``sealing_key``: the file with the
    key of the sealed store, used if there is no secret of that name; ``private``: files that no
    caller may name; ``own_servers``: hosts and ports to which nothing is sent."""
    external = ExternalSecrets(
        environ, config.secrets.env_prefix, Path(config.secrets.dir), private,
        sealing_key_file=sealing_key,
    )  # fmt: skip
    private.configure(_key_files(config))
    sealed = SealedSecrets(adapters.registry, external)
    secret_namespaces = SecretNamespaces(config.secrets.namespaces)
    secrets = Secrets(external, sealed, namespaces=secret_namespaces)
    delivery = config.delivery
    guard = guard_of(delivery, own_servers)
    trust = Trust(authorities_file(config))
    http = HttpClient(
        guard,
        body_timeout=BODY_TIMEOUT,
        max_idle=max(1, max_attempts // 4),
        proxy=proxy_of(delivery.proxy),
        trust=trust,
    )
    transformations = Transformations(
        transformations_of(config), on_fallback=adapters.metrics.fell_back
    )
    return Requests(
        secrets=secrets,
        secret_namespaces=secret_namespaces,
        sealed=sealed,
        guard=guard,
        trust=trust,
        http=http,
        transformations=transformations,
        builders=RequestBuilders(
            secrets=secrets,
            tokens=AccessTokens(http),
            key=adapters.installation_key,
            version=__version__,
            transformations=transformations,
            trust=trust,
        ),
        receivers=ReceiverClient(http),
        private=private,
    )


def _key_files(config: Config) -> list[Path]:
    tls = config.server.tls
    return [] if tls is None else [Path(config.secrets.dir) / (tls.key or tls.cert)]


def authorities_file(config: Config) -> Path | None:
    """The file of ``delivery.ca``."""
    ca = config.delivery.ca
    return None if ca is None else Path(config.secrets.dir) / ca


def transformations_of(config: Config) -> list[TransformationDefinition]:
    """The file's transformations."""
    return [transformation_of(model, name) for name, model in config.transformations.items()]
