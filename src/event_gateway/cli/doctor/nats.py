"""Looks at NATS: as the gateway does when it starts, and at the gateway's streams."""

import datetime
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from event_gateway.app.server_logins import nats_login
from event_gateway.broker.append_only import allowed_changes
from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker, BrokerError
from event_gateway.broker.named_streams import is_named, stream_name
from event_gateway.cli.doctor.finding import (
    Area,
    ClockReading,
    Finding,
    Installation,
    remedy_for,
)
from event_gateway.core.errors import ServerRefused
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.text.units import format_size
from event_gateway.core.text.urls import without_password

CONNECT_TIMEOUT = 3.0  # seconds
NEARLY = 0.9  # of a limit
_area = Area("nats")
# What to do about a refusal, by words of its text.
_REMEDIES = (
    ("does not allow", "Give the user the permissions in docs/operations.md, \"The least "
     "permissions in NATS\"."),
    ("is version", "Update the NATS server."),
    ("max_payload", "Raise max_payload in the server's configuration."),
    ("has no JetStream", "Enable JetStream on the server, and for the gateway's account."),
    ("nats.", "Correct this key of the configuration, or the user on the server."),
)  # fmt: skip
COMPLIANCE_GUIDE = "docs/guides/compliance.md"
_AWAY = "Start NATS, mend the network to it, or correct nats.url."


async def examine_nats(installation: Installation) -> AsyncIterator[Finding]:
    """Connects, and looks at server, permissions, streams and clock."""
    url = installation.server_url("nats")
    if url is None:
        yield installation.unknown_server("nats")
        return
    login, away = None, installation.start_server("nats", _AWAY)
    if installation.config is not None and installation.config.nats.url:
        login = nats_login(installation.config)
    broker = Broker(url, login=login)
    try:
        try:
            await broker.connect(CONNECT_TIMEOUT)
        except ServerRefused as error:
            text = str(error)
            yield _area.error(text, remedy_for(text, _REMEDIES, away))
            return
        yield _area.ok(
            f"{without_password(url)} answers, version {broker.server_version}, with JetStream"
        )
        missing = broker.violations.recent()
        for text in missing:
            yield _area.warning(f"{text}; the gateway runs without it", _REMEDIES[0][1])
        if not missing:
            yield _area.ok("the user has all permissions that the gateway uses")
        async for finding in _examine_streams(broker, installation):
            yield finding
    except BrokerError as error:
        yield _area.error(f"it stopped answering: {error or type(error).__name__}", away)
    finally:
        await broker.close()


async def _examine_streams(broker: Broker, installation: Installation) -> AsyncIterator[Finding]:
    began, at = time.monotonic(), time.time()
    events = await _ask(broker, f"$JS.API.STREAM.INFO.{EVENTS}")
    took = time.monotonic() - began
    if (shown := time_of(events.get("ts", ""))) is not None:
        installation.clocks.append(ClockReading("NATS", at + took / 2 - shown, took / 2))
    if "error" in events:
        yield _area.warning(
            f"there is no stream {EVENTS}: no gateway has run with this server and account",
            "Start the gateway, which creates its streams, or correct nats.url.",
        )
        return
    streams = (await _ask(broker, "$JS.API.STREAM.LIST", b"{}")).get("streams") or []
    own = [stream for stream in streams if "GATEWAY_" in stream["config"]["name"]]
    faults = [finding for stream in own for finding in faults_of_stream(stream)]
    faults += [finding async for finding in _examine_compliance(broker, own)]
    for finding in faults:
        yield finding
    if not faults:
        state = events["state"]
        yield _area.ok(
            f"{len(own)} streams, stored in files; {EVENTS} holds {state['messages']} events "
            f"({format_size(state['bytes'])})"
        )


async def _examine_compliance(
    broker: Broker, streams: list[dict[str, Any]]
) -> AsyncIterator[Finding]:
    """Whether compliance streams can only grow, by what the gateway's user may do."""
    for stream in streams:
        config = stream["config"]
        if not (is_named(config["name"]) and config.get("deny_delete")):
            continue
        name = config["name"].removeprefix(stream_name(""))
        allowed = await allowed_changes(broker, name)
        if allowed:
            yield _area.warning(
                f"the compliance stream {name} is not append-only: the gateway's user may publish "
                f"on {', '.join(allowed)}",
                f"Deny these subjects to every user but an administrator's ({COMPLIANCE_GUIDE}).",
            )


def faults_of_stream(stream: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong with a stream, of which JetStream gives this information."""
    config, state, cluster = stream["config"], stream["state"], stream.get("cluster") or {}
    name, limit = config["name"], config.get("max_bytes", -1)
    if config["storage"] != "file":
        yield _area.error(
            f"{name} is stored in memory: a restart of NATS loses what is in it",
            "Delete the stream once it is empty; the gateway creates it again, in files.",
        )
    if cluster.get("name") and config.get("num_replicas", 1) == 1:
        yield _area.warning(
            f"{name} is on one server of the cluster {cluster['name']}",
            "Set nats.replicas to 3, so that the loss of a server loses nothing.",
        )
    if cluster.get("name") and not cluster.get("leader"):
        yield _area.error(f"{name} has no leader", "Start the missing servers of the cluster.")
    if name == EVENTS and limit > 0 and state["bytes"] > NEARLY * limit:
        yield _area.warning(
            f"{name} holds {format_size(state['bytes'])} of {format_size(limit)}",
            "Raise ingest.max_bytes, or shorten ingest.retention, and reload.",
        )


def time_of(text: str) -> float | None:
    """A time of NATS (RFC 3339, up to nanoseconds) in seconds since the epoch; None if it is
    none."""
    try:
        shown = datetime.datetime.fromisoformat(text.removesuffix("Z")[:26] + "+00:00")
    except ValueError:
        return None
    return shown.timestamp()


async def _ask(broker: Broker, subject: str, body: bytes = b"") -> dict[str, Any]:
    answer = await broker.nc.request(subject, body, timeout=REQUEST_TIMEOUT)
    decoded: dict[str, Any] = msgspec.json.decode(answer.data)
    return decoded
