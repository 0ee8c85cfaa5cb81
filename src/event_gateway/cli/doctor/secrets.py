"""Looks whether the secrets that webhooks and sources name are there. No value is read from the
gateway."""

from collections.abc import Iterator

from event_gateway.cli.doctor.finding import Area, Finding, Installation
from event_gateway.cli.process.configuration import external_secrets
from event_gateway.config.definitions import webhook_of

SHOWN = 5  # webhooks that use a secret
_area = Area("secrets")


def examine_secrets(installation: Installation) -> Iterator[Finding]:
    """A line for each secret that is missing: as the gateway sees them, or else as they are
    here."""
    yield from _of_sources(installation)
    if installation.secrets is not None:
        yield from _as_the_gateway_sees(installation)
    elif installation.config is None:
        yield _area.skipped("neither the gateway nor the configuration could be asked for secrets")
    else:
        yield from _as_they_are_here(installation)


def _of_sources(installation: Installation) -> Iterator[Finding]:
    """A line for each source without its secret, as the gateway sees them."""
    for source in installation.sources or ():
        if source["secret_state"] == "missing":
            name = source["secret_name"]
            yield _area.error(
                f"{name} is missing, requests to the source {source['name']} are refused",
                f"Set it with event-gateway secrets set {name}, in the environment or in a file.",
            )


def _as_the_gateway_sees(installation: Installation) -> Iterator[Finding]:
    used = [secret for secret in installation.secrets or () if secret["used_by"]]
    faults = 0
    for secret in used:
        name, sealed = secret["name"], secret["sealed"]
        users = ", ".join(secret["used_by"][:SHOWN])
        if sealed and not sealed["readable"] and secret["from"] in (None, "sealed"):
            faults += 1
            yield _area.error(
                f"{name} cannot be unsealed, deliveries of {users} wait",
                f"Give the gateway the sealing key {sealed['key_id']} again, or set the secret "
                f"again with event-gateway secrets set {name}.",
            )
        elif secret["from"] is None:
            faults += 1
            yield _area.error(
                f"{name} is missing, deliveries of {users} wait",
                f"Set it with event-gateway secrets set {name}, in the environment or in a file.",
            )
    if not faults:
        yield _area.ok(f"the gateway has all {len(used)} secrets that webhooks name")


def _as_they_are_here(installation: Installation) -> Iterator[Finding]:
    config = installation.config
    assert config is not None
    external = external_secrets(config)
    names = {
        method.secret_name
        for name, model in config.webhooks.items()
        for method in webhook_of(model, name, managed_by="file").security
        if method.secret_name
    } | {model.secret_name for model in config.sources.values() if model.secret_name}
    missing = sorted(name for name in names if external.find(name) is None)
    for name in missing:
        yield _area.warning(
            f"{name} is neither {external.variable(name)} nor a file in {config.secrets.dir}, and "
            "the gateway's own store could not be asked",
            "Give a key with secrets:manage, so that the doctor can ask the gateway.",
        )
    if names and not missing:
        yield _area.ok(
            f"the {len(names)} secrets that webhooks and sources of the file name are there"
        )
    yield _area.skipped("secrets of the gateway's own store", "Give a key with secrets:manage.")
