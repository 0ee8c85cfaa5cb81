"""A running process applies another configuration, all or nothing."""

from event_gateway.app.stages.api import Api
from event_gateway.app.stages.registration import streams_of, webhooks_of
from event_gateway.app.stages.stages import Stages
from event_gateway.app.telemetry import log_settings
from event_gateway.broker.provision import ProvisionError
from event_gateway.config.model import Config
from event_gateway.core.errors import InvalidDefinition, ServerRefused
from event_gateway.observability.logs import configure_logs

# Keys that a running process cannot change. A reload applies all others.
FIXED = (
    "server.host",
    "server.port",
    "server.admin",
    "server.subscribers",
    "nats",
    "redis",
    "ingest.streams",
    "secrets.env_prefix",
    "secrets.dir",
)


class ReloadRefused(Exception):
    """The former configuration stays; ``problems`` are pairs of key and reason."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in problems))
        self.problems = problems


async def apply_configuration(former: Config, config: Config, stages: Stages, api: Api) -> None:
    """Checks the configuration, then applies it to each stage.

    Raises ReloadRefused, with all as it was; or the exceptions in BrokerError if NATS goes away on
    the way: then the caller tries again.
    """
    audit = stages.adapters.audit
    async with audit.change(audit.file, "configuration.reload", "configuration") as call:
        # Values of the file may contain credentials.
        call.about(after={"changed": _changed_sections(former, config)})
        await _apply(former, config, stages, api)


async def _apply(former: Config, config: Config, stages: Stages, api: Api) -> None:
    await _check(former, config, stages)
    stages.requests.protect_files(config)
    # Before the file's webhooks, whose receivers must be allowed and transformations known.
    stages.requests.load_transformations(config)
    stages.requests.use_secret_namespaces(config)
    if config.delivery != former.delivery:
        stages.requests.configure_egress(config)
        await stages.registrations.verifier.change_origin(config.delivery.origin)
    await stages.registrations.webhooks.load_file(webhooks_of(config))
    stages.ingest.configure(config)
    stages.deliveries.configure(config)
    stages.routing.configure(config)
    stages.replaying.configure(config)
    stages.alerts.configure(config)
    api.configure(config)
    await stages.telemetry.configure(config, former)
    if config.telemetry.logs != former.telemetry.logs:
        configure_logs(log_settings(config))
    stages.adapters.configure(config)  # last: the peers learn that this process has the file


async def _check(former: Config, config: Config, stages: Stages) -> None:
    """Raises ReloadRefused, with the streams as they were."""
    changed = [key for key in FIXED if _at(config, key) != _at(former, key)]
    if (config.server.tls is None) != (former.server.tls is None):
        changed.append("server.tls")  # the files may change, but the port speaks TLS or does not
    if changed:
        raise ReloadRefused([(key, "cannot change without a restart") for key in changed])
    streams = stages.registrations.streams
    try:
        stages.registrations.webhooks.check_file(webhooks_of(config))
        await stages.adapters.provision(config)
        await streams.load_file(streams_of(config))
    except (ProvisionError, ServerRefused) as error:
        await stages.adapters.provision(former)
        await streams.load_file(streams_of(former))
        raise ReloadRefused([("", str(error))]) from None
    except InvalidDefinition as error:
        raise ReloadRefused([(error.key, error.detail)]) from None


def _changed_sections(former: Config, config: Config) -> list[str]:
    return [name for name in Config.model_fields if getattr(former, name) != getattr(config, name)]


def _at(config: Config, key: str) -> object:
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value
