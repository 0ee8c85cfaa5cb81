"""Looks whether deliveries would reach their receivers; no event is sent."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from event_gateway.api.http.server_tls import EXPIRES_SOON
from event_gateway.app.stages.request import authorities_file
from event_gateway.cli.doctor.finding import Area, Finding, Installation
from event_gateway.cli.process.configuration import external_secrets
from event_gateway.config.definitions import webhook_of
from event_gateway.config.model import Config
from event_gateway.core.text.urls import places_of
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.core.webhook.security import Security, tls_files_of
from event_gateway.tasks import end
from event_gateway.transport.client import Failure
from event_gateway.transport.egress_guard import guard_of
from event_gateway.transport.probe import Probe
from event_gateway.transport.proxy import proxy_of
from event_gateway.transport.target import Target, parse_target
from event_gateway.transport.tls_files import TlsFiles, Trust

TIMEOUT = 4.0  # seconds for one receiver
AT_A_TIME = 64
MAX_RECEIVERS = 512
SHOWN_WEBHOOKS = 3  # of those that share a receiver
_area = Area("receivers")
_REMEDIES: dict[str, str] = {
    AttemptErrorType.NAME_RESOLUTION: "Correct the URL's host, or the name server of this machine.",
    AttemptErrorType.EGRESS_REFUSED: "Correct the URL, or allow its network, port or scheme under "
    "delivery (allow_networks, allow_http, allow_service_ports).",
    AttemptErrorType.CONNECTION_REFUSED: "Start the receiver, or correct the URL's port.",
    AttemptErrorType.CONNECT_TIMEOUT: "Let the gateway's machine through the firewalls on the way, "
    "or set delivery.proxy.",
    AttemptErrorType.TLS_ERROR: "Renew the receiver's certificate, or name its authority in the "
    "webhook's tls.ca or in delivery.ca.",
}
_OTHER = "Look at the receiver and at the network to it."


class Receiver(msgspec.Struct, frozen=True):
    """A place to which deliveries go, with the TLS files of the webhook, None if it has none."""

    target: Target
    files: Security | None

    @property
    def key(self) -> tuple[str, ...]:
        """Receivers with the same key are reached alike."""
        files = self.files or Security("mtls")
        return str(self), files.cert, files.key, files.ca, files.secret_name or ""

    def __str__(self) -> str:
        scheme = self.target.scheme  # the path may hold a secret
        return f"{scheme}://{self.target.host_header.decode()}"


async def examine_receivers(installation: Installation) -> AsyncIterator[Finding]:
    """Connects to the receiver of each webhook, and to the servers of their access tokens."""
    config = installation.config
    if config is None:
        yield _area.skipped(
            "the rules for receivers are not known: the configuration cannot be used",
            "Correct the configuration first.",
        )
        return
    users: dict[tuple[str, ...], tuple[Receiver, list[str]]] = {}
    for webhook, receiver in _receivers(installation, config):
        users.setdefault(receiver.key, (receiver, []))[1].append(webhook)
    if installation.webhooks is None:
        yield _area.skipped("webhooks registered over the API: they cannot be listed without a key")
    elif not users:
        yield _area.ok("there are no webhooks that get events")
    if len(users) > MAX_RECEIVERS:
        yield _area.skipped(f"{len(users) - MAX_RECEIVERS} of {len(users)} receivers: too many")
    try:
        trust = Trust(authorities_file(config))
    except ValueError as error:
        yield _area.error(f"delivery.ca: {error}", "Correct delivery.ca, or the file.")
        return
    guard = guard_of(config.delivery, own_servers=_own_servers(installation))
    probe = Probe(guard, proxy=proxy_of(config.delivery.proxy), trust=trust)
    turn = asyncio.Semaphore(AT_A_TIME)

    async def look(receiver: Receiver, webhooks: list[str]) -> Finding:
        async with turn:
            return await _look(probe, receiver, webhooks, installation, config, trust)

    looks = [asyncio.create_task(look(*user)) for user in list(users.values())[:MAX_RECEIVERS]]
    try:
        for ended in asyncio.as_completed(looks):
            yield await ended
    finally:
        await end(looks)


async def _look(
    probe: Probe,
    receiver: Receiver,
    webhooks: list[str],
    installation: Installation,
    config: Config,
    trust: Trust,
) -> Finding:
    more = f" and {len(webhooks) - SHOWN_WEBHOOKS} more" if len(webhooks) > SHOWN_WEBHOOKS else ""
    shown = f"{receiver} ({', '.join(webhooks[:SHOWN_WEBHOOKS])}{more})"
    identity = None
    if receiver.files is not None:
        files, external = receiver.files, external_secrets(config)
        password = None
        if files.secret_name:
            found = external.find(files.secret_name)
            if found is None:
                return _area.skipped(
                    f"{shown}: the password of its key is not outside the gateway's store"
                )
            password = found[1]
        try:
            tls = TlsFiles(files, external.directory, external.is_private, trust)
            identity = tls.identity(password)
        except ValueError as error:
            return _area.error(
                f"{shown}: its TLS files cannot be used: {error}",
                "Correct the files in secrets.dir, or the webhook; run the doctor on the "
                "gateway's machine.",
            )
    began = time.monotonic()
    result = await probe.reach(receiver.target, TIMEOUT, identity)
    if isinstance(result, Failure):
        if result.error_type == AttemptErrorType.EGRESS_REFUSED and not installation.config_given:
            return _area.warning(
                f"{shown}: refused by the default rules: {result.message}",
                "Give the gateway's configuration with -c: it may allow this receiver.",
            )
        remedy = _REMEDIES.get(result.error_type, _OTHER)
        return _area.error(f"{shown}: {result.error_type}: {result.message}", remedy)
    text = f"{shown}: connected in {(time.monotonic() - began) * 1000:.0f} ms"
    if (ends := result.certificate_ends_at) is None:
        return _area.ok(text)
    text += f", its certificate ends on {time.strftime('%Y-%m-%d', time.gmtime(ends))}"
    if ends - time.time() < EXPIRES_SOON:
        return _area.warning(text, "Renew the receiver's certificate before that day.")
    return _area.ok(text)


def _receivers(installation: Installation, config: Config) -> Iterator[tuple[str, Receiver]]:
    """Each webhook that gets events, with its receiver and the servers of its access tokens."""
    shown = set()
    for webhook in installation.webhooks or ():
        shown.add(webhook["id"])
        if webhook["state"] != "paused":
            security = [msgspec.convert(method, Security) for method in webhook["security"]]
            ca = webhook["tls"]["ca"] or ""
            yield from _places(webhook["id"], webhook["url"], security, ca)
    for name, model in config.webhooks.items():
        webhook_ = webhook_of(model, name, managed_by="file")
        if name not in shown and webhook_.enabled:
            yield from _places(name, model.url, webhook_.security, model.tls.ca or "")


def _places(name: str, url: str, security: Any, ca: str) -> Iterator[tuple[str, Receiver]]:
    yield name, Receiver(parse_target(url), tls_files_of(security, ca))
    for method in security:
        if method.token_url:
            yield f"access tokens of {name}", Receiver(parse_target(method.token_url), None)


def _own_servers(installation: Installation) -> Iterator[tuple[str, int]]:
    for name, port in (("nats", 4222), ("redis", 6379)):
        url = installation.server_url(name)
        if url is not None:
            yield from places_of(url, port)
