"""A running process applies another configuration, all or nothing."""

from event_gateway.app.stages.api import Api
from event_gateway.app.stages.registration import sources_of, streams_of, webhooks_of
from event_gateway.app.stages.stages import Stages
from event_gateway.app.telemetry import log_settings
from event_gateway.broker.provision import ProvisionError
from event_gateway.config.model import Config
from event_gateway.config.plan import Plan
from event_gateway.core.errors import InvalidDefinition, ServerRefused
from event_gateway.observability.logs import configure_logs
from event_gateway.registration.reloads import ReloadRefused, loss_reason
from event_gateway.registration.stream_file import StreamRefused

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
    "compliance",
    "console",
    "durability",
)


async def plan_reload(former: Config, config: Config, stages: Stages, *, force: bool) -> Plan:
    """What a reload would change in the registry, and what it would lose; with ``force`` also of
    webhooks that are orphaned already.

    Raises ReloadRefused if the configuration cannot be applied without a restart, or at all; and
    the exceptions in BrokerError and StateError.
    """
    changed = [key for key in FIXED if _at(config, key) != _at(former, key)]
    if (config.server.tls is None) != (former.server.tls is None):
        changed.append("server.tls")  # the files may change, but the port speaks TLS or does not
    if changed:
        raise ReloadRefused([(key, "cannot change without a restart") for key in changed])
    try:
        stages.registrations.file_webhooks.check(webhooks_of(config))
    except InvalidDefinition as error:
        raise ReloadRefused([(error.key, error.detail)]) from None
    plans = stages.registrations.plans
    return await plans.plan(
        webhooks_of(config), streams_of(config), sources_of(config), force=force
    )


async def apply_configuration(
    former: Config, config: Config, stages: Stages, api: Api, *, force: bool = False
) -> Plan:
    """Checks the configuration, then applies it to each stage. Returns what it has changed in the
    registry. ``force``: also if that loses deliveries that wait, or messages of a stream.

    Raises ReloadRefused, with all as it was; or the exceptions in BrokerError and StateError if
    NATS or Redis goes away on the way: then the caller tries again.
    """
    plan = await plan_reload(former, config, stages, force=force)
    if plan.losses and not force:
        problems = [(step.key, loss_reason(step, loss, plan)) for step, loss in plan.losses]
        raise ReloadRefused(problems, plan)
    audit = stages.adapters.audit
    async with audit.change(audit.file, "configuration.reload", "configuration") as call:
        # Values of the file may contain credentials.
        call.about(after={"changed": _changed_sections(former, config), "force": force})
        await _apply(former, config, stages, api, force=force)
    return plan


async def _apply(former: Config, config: Config, stages: Stages, api: Api, *, force: bool) -> None:
    await _load_streams(former, config, stages, force=force)
    stages.requests.protect_files(config)
    # Before the file's webhooks, whose receivers must be allowed and transformations known.
    stages.requests.load_transformations(config)
    stages.requests.use_secret_namespaces(config)
    if config.delivery != former.delivery:
        stages.requests.configure_egress(config)
        await stages.registrations.verifier.change_origin(config.delivery.origin)
    await stages.registrations.file_webhooks.load(webhooks_of(config), force=force)
    await stages.registrations.sources.load_file(sources_of(config))
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


async def _load_streams(former: Config, config: Config, stages: Stages, *, force: bool) -> None:
    """Raises ReloadRefused, with the streams as they were."""
    streams = stages.registrations.file_streams
    try:
        await stages.adapters.provision(config)
        await streams.load(streams_of(config), force=force)
    except (ProvisionError, ServerRefused) as error:
        await stages.adapters.provision(former)
        await streams.load(streams_of(former))
        key = error.key if isinstance(error, StreamRefused) else ""
        raise ReloadRefused([(key, str(error))]) from None


def _changed_sections(former: Config, config: Config) -> list[str]:
    return [name for name in Config.model_fields if getattr(former, name) != getattr(config, name)]


def _at(config: Config, key: str) -> object:
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    return value
