"""Reads the configuration file of a command."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from event_gateway.app.server_logins import login_problems
from event_gateway.app.telemetry import telemetry_problems
from event_gateway.cli.process.callers import caller_warnings, unusable_callers
from event_gateway.cli.process.console_warnings import console_warnings
from event_gateway.config.definitions import webhook_of
from event_gateway.config.ingest_subjects import unfed_patterns
from event_gateway.config.load import examine, in_order
from event_gateway.config.model import Config
from event_gateway.config.near_misses import near_misses
from event_gateway.config.problems import MAX_PROBLEMS, ConfigError, ConfigProblem, KeyLocations
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.addresses import is_loopback
from event_gateway.core.text.count import count_of
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.signing_keys import signers
from event_gateway.core.webhook.warnings import webhook_warnings
from event_gateway.request.transformations import compile_definition
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.transport.egress_guard import url_rule
from event_gateway.transport.tls_files import read_file


def read_config(path: Path | None) -> tuple[Config, KeyLocations]:
    """The configuration, and the lines of its keys. Raises ConfigError, also if a webhook of the
    file has a signing secret in the environment or in a file that cannot sign, or if what callers
    prove themselves with, or the files of the logins to NATS and Redis, cannot be used."""
    config, locations, problems = examine(
        path, os.environ, transformation_rule=compile_definition, url_rule=url_rule
    )
    if config is not None:
        known = {problem.key for problem in problems}
        problems = in_order(problems + [
            problem for problem in _of_what_it_names(config, locations)
            if not any(_overlap(problem.key, key) for key in known)
        ])  # fmt: skip
    if problems or config is None:
        raise ConfigError(problems)
    return config, locations


def contents(config: Config) -> str:
    """How many webhooks, streams and sources a configuration has, in words."""
    parts = [count_of(len(config.webhooks), "webhook"), count_of(len(config.streams), "stream")]
    if config.sources:
        parts.append(count_of(len(config.sources), "source"))
    return ", ".join(parts)


def _of_what_it_names(config: Config, locations: KeyLocations) -> Iterator[ConfigProblem]:
    """Problems of the files and secrets that a configuration names."""
    yield from _unusable_keys(config, locations)
    yield from _unusable_authorities(config, locations)
    yield from _unusable_tls(config, locations)
    for key, why in unusable_callers(config, external_secrets(config)):
        yield locations.problem(key, why)
    for key, why in login_problems(config):
        yield locations.problem(key, why)
    for key, why in telemetry_problems(config):
        yield locations.problem(key, why)


def _overlap(key: str, other: str) -> bool:
    """Whether one of two keys is the other one, or holds it."""
    shorter, longer = sorted((key, other), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))


def warnings(
    config: Config, locations: KeyLocations, host: str | None = None
) -> list[ConfigProblem]:
    """Warnings: an API that can be reached without TLS, certificates that end soon, patterns that
    match no captured subject, secrets that are missing, a console that cannot work, retries that
    may not be what the operator expects, and values that YAML 1.1 reads differently. At most
    MAX_PROBLEMS, and how many more there are. Variables of the environment that are not read and
    look as if they should be are among them. ``host``: the address to listen on, if not that of
    the file."""
    problems = [locations.problem(key, reason) for key, reason in _of_the_listener(config, host)]
    problems += [locations.problem(key, reason) for key, reason in unfed_patterns(config)]
    if config.durability == "fsync" and config.nats.place is not None:
        problems.append(locations.problem(
            "durability", "is of the embedded NATS: set sync_interval: always in the jetstream "
            "section of your own server, or more than one replica",
        ))  # fmt: skip
    problems += missing_secrets(config, locations)
    external = external_secrets(config)
    problems += [locations.problem(key, why) for key, why in caller_warnings(config, external)]
    problems += [locations.problem(key, why) for key, why in console_warnings(config, external)]
    for name, model in config.webhooks.items():
        webhook = webhook_of(model, name, managed_by="file")
        for warning in webhook_warnings(webhook, lambda _name: True, config.ingest.retention):
            problems.append(locations.problem(f"webhooks.{name}.{warning.key}", warning.detail))
    problems += locations.differences
    problems += near_misses(os.environ, config.secrets.env_prefix)
    more = len(problems) - MAX_PROBLEMS
    if more > 0:
        problems[MAX_PROBLEMS:] = [
            ConfigProblem(locations.file, 0, "", f"and {more} more warnings")
        ]
    return problems


def missing_secrets(config: Config, locations: KeyLocations) -> list[ConfigProblem]:
    """Secrets that webhooks and sources of the file name, and that are neither in the environment
    nor in a file."""
    external = external_secrets(config)
    named = [
        (key, method.secret_name, "its deliveries wait")
        for key, method in _security(config) if method.secret_name
    ] + [
        (f"sources.{name}.secret_name", model.secret_name, "its requests are refused")
        for name, model in config.sources.items() if model.secret_name
    ]  # fmt: skip
    return [
        locations.problem(
            key,
            f"the secret {secret} is missing (neither {external.variable(secret)} nor a file in "
            f"{config.secrets.dir}); unless it is in the sealed store, {effect}",
        )
        for key, secret, effect in named
        if external.find(secret) is None
    ]


def _unusable_keys(config: Config, locations: KeyLocations) -> Iterator[ConfigProblem]:
    external = external_secrets(config)
    for key, method in _security(config):
        if method.auth_type != "hmac_signature" or not method.secret_name:
            continue
        found = external.find(method.secret_name)
        try:
            signers(() if found is None else (found[1],))
        except ValueError as error:
            yield locations.problem(key, f"the secret {method.secret_name}: {error}")


def _unusable_authorities(config: Config, locations: KeyLocations) -> Iterator[ConfigProblem]:
    files = {f"webhooks.{name}.tls.ca": model.tls.ca for name, model in config.webhooks.items()}
    for key, ca in {"delivery.ca": config.delivery.ca, **files}.items():
        if ca:
            try:
                read_file(Path(config.secrets.dir) / ca, "ca")
            except ValueError as error:
                yield locations.problem(key, str(error).removeprefix("ca: "))


def _unusable_tls(config: Config, locations: KeyLocations) -> Iterator[ConfigProblem]:
    if config.server.tls is not None:
        from event_gateway.api.http.server_tls import load_tls

        try:
            load_tls(config.server.tls, Path(config.secrets.dir))
        except InvalidDefinition as error:
            yield locations.problem(f"server.tls.{error.key}", error.detail)


def _of_the_listener(config: Config, host: str | None) -> Iterator[tuple[str, str]]:
    server = config.server
    host = host or server.host
    if server.tls is not None:
        from event_gateway.api.http.server_tls import load_tls

        with contextlib.suppress(InvalidDefinition):  # it became unusable after it was read
            loaded = load_tls(server.tls, Path(config.secrets.dir))
            for key, reason in loaded.warnings(time.time()):
                yield f"server.tls.{key}", reason
    by_certificate = server.forwarded_client_certificate or (
        server.tls is not None and server.tls.client_ca is not None
    )
    if config.auth.mtls and not by_certificate:
        yield (
            "auth.mtls",
            "no client can show a certificate: set server.tls.client_ca, or "
            "server.forwarded_client_certificate if a reverse proxy speaks TLS",
        )
    if server.admin is not None and not is_loopback(server.admin.host):
        yield (
            "server.admin.host",
            f"the admin port listens on {server.admin.host}: clients that can connect to it read "
            "the metrics, which name webhooks, streams and event types, without a key. Keep others "
            "away from it, or listen on 127.0.0.1",
        )
    if server.tls is None and not is_loopback(host) and not server.trusted_proxies:
        yield (
            "server.host",
            f"the API listens on {host} without TLS: keys, tokens and events can be read on the "
            "way. Set server.tls, or name the reverse proxy that speaks TLS in "
            "server.trusted_proxies, or listen on 127.0.0.1",
        )


def _security(config: Config) -> Iterator[tuple[str, Security]]:
    """The auth methods of all webhooks of the file, each after the key that it stands under."""
    for name, model in config.webhooks.items():
        for method in webhook_of(model, name, managed_by="file").security:
            yield f"webhooks.{name}.security", method


def external_secrets(config: Config, sealing_key: Path | None = None) -> ExternalSecrets:
    """The secrets in the environment and in files. ``sealing_key``: the file of the data directory
    that has the sealing key if these have none."""
    return ExternalSecrets(
        os.environ, config.secrets.env_prefix, Path(config.secrets.dir),
        sealing_key_file=sealing_key,
    )  # fmt: skip
