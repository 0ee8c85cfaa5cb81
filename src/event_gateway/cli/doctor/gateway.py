"""Looks at the gateway itself, over HTTP."""

import email.utils
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from event_gateway import __version__
from event_gateway.cli.client.gateway_client import GatewayClient, RawAnswer
from event_gateway.cli.client.requests import PAGE_SIZE, quoted
from event_gateway.cli.doctor.finding import Area, ClockReading, Finding, Installation
from event_gateway.core.observability.reason_codes import (
    ALERT,
    CLOCK_JUMPED,
    DISK_NEARLY_FULL,
    LOG_NEARLY_FULL,
    MEMORY,
)

MAX_PAGES = 10  # of webhooks, secrets or sources
# Seconds that the header Date may be old: it has whole seconds, and uvicorn renews it every second
# if its event loop has the time.
DATE_AGE = 5.0
_area = Area("gateway")
_alerts = Area("alerts")
_webhooks = Area("webhooks")
# Reasons of degraded health with which the gateway still does all of its work.
_WARNINGS = (DISK_NEARLY_FULL, LOG_NEARLY_FULL, MEMORY, CLOCK_JUMPED)


async def examine_gateway(installation: Installation) -> AsyncIterator[Finding]:
    """Asks the gateway for its health and its alerts, and notes its webhooks, secrets and
    sources."""
    url, key, tls = installation.gateway
    client = GatewayClient(url, key, tls)
    try:
        try:
            began, at = time.monotonic(), time.time()
            alive = await client.read_whole("/healthz")
            took = time.monotonic() - began
            ready = await client.read_whole("/readyz")
        except ConnectionError as error:
            yield _area.error(
                f"cannot be reached: {error}",
                "Start the gateway, or name the right place with --url (and --ca for its "
                "authority).",
            )
            return
        version = _version(alive)
        if version is None:
            yield _area.error(
                f"{url} answers {alive.status}, and not as a gateway does",
                "Give the gateway's own URL with --url.",
            )
            return  # a server that is no gateway gets no key
        if (reading := _clock(alive, at, took)) is not None:
            installation.clocks.append(reading)
        for finding in (_alive(url, version), _ready(ready)):
            yield finding
        if not key:
            yield _area.skipped(
                "health of all processes, alerts, webhooks and secrets: there is no key",
                "Give --key-file with an operator's key.",
            )
            return
        try:
            async for finding in _with_key(client, installation):
                yield finding
        except ConnectionError as error:
            yield _area.error(
                f"it stopped answering: {error}", "Look at the gateway's log, and at its load."
            )
    finally:
        await client.close()


async def _with_key(client: GatewayClient, installation: Installation) -> AsyncIterator[Finding]:
    status, health = await client.request("GET", "/v1/health")
    if status == 401:
        yield _area.error("it does not accept the key", "Give another key with --key-file.")
        return
    if status == 200:
        for finding in of_health(health):
            yield finding
    else:
        yield _refused("the health of all processes", status, health, "metrics:read")
    status, alerts = await client.request("GET", f"/v1/alerts?limit={PAGE_SIZE}")
    if status == 200:
        for finding in alerting(alerts["items"]):
            yield finding
    else:
        yield _refused("alerts", status, alerts, "webhooks:read")
    for name, scope in (
        ("webhooks", "webhooks:read"), ("secrets", "secrets:manage"), ("sources", "events:read"),
    ):  # fmt: skip
        status, items = await _all(client, f"/v1/{name}")
        if status == 200:
            setattr(installation, name, items)
        else:
            yield _refused(f"the {name} of the API", status, items, scope)
    for finding in states(installation.webhooks or []):
        yield finding


def _version(response: RawAnswer) -> str | None:
    """The gateway's version; None if it is no gateway that has answered."""
    try:
        return str(msgspec.json.decode(response.body)["version"])
    except (msgspec.DecodeError, TypeError, KeyError):
        return None


def _alive(url: str, version: str) -> Finding:
    if version != __version__:
        return _area.warning(
            f"{url} has version {version}, this command {__version__}",
            f"Use the command of version {version}: another one may not know what it sees.",
        )
    return _area.ok(f"{url} answers, version {version}")


def _ready(response: RawAnswer) -> Finding:
    if response.status == 200:
        return _area.ok("/readyz is 200: load balancers send it requests")
    try:
        why = ", ".join(msgspec.json.decode(response.body)["reasons"])
    except (msgspec.DecodeError, TypeError, KeyError):
        why = "no reason is named"
    return _area.error(
        f"/readyz is {response.status} ({why}): load balancers send it nothing",
        "Mend what the other lines say of NATS; while it drains, start another process.",
    )


def of_health(health: dict[str, Any]) -> list[Finding]:
    """A line for each reason against the health."""
    processes = health["processes"]
    versions = sorted({process["version"] for process in processes if process["version"]})
    findings = []
    for reason in health["reasons"]:
        if reason["code"] == ALERT:  # the alerts have lines of their own
            continue
        see = f' See "{reason["see"]}" in docs/operations.md.' if reason["see"] else ""
        make = _area.warning if reason["code"] in _WARNINGS else _area.error
        findings.append(make(
            f"health: {reason['code']} since {reason['since']}: {reason['text']} "
            f"(seen by {', '.join(reason['processes'])})",
            reason["remedy"] + see,
        ))  # fmt: skip
    if not findings:
        findings = [_area.ok(f"health: ok, processes: {len(processes)}")]
    if len(versions) > 1:
        findings.append(_area.warning(
            f"its processes have the versions {', '.join(versions)}",
            "Finish the update: restart the processes with the older version.",
        ))  # fmt: skip
    return findings


def alerting(alerts: list[dict[str, Any]]) -> list[Finding]:
    """A line for each alert that fires or is about to."""
    firing = [alert for alert in alerts if alert["state"] == "firing"]
    pending = [alert for alert in alerts if alert["state"] == "pending"]
    findings = [
        (_alerts.warning if alert["silenced"] else _alerts.error)(
            f"{_about(alert)} fires since {alert['fired_at']}"
            f"{', silenced' if alert['silenced'] else ''}: {alert['detail']}",
            f"Follow the runbook: {alert['runbook']}",
        )
        for alert in firing
    ]
    findings += [
        _alerts.warning(f"{_about(alert)} is pending: {alert['detail']}",
                        f"Look before it fires: {alert['runbook']}")
        for alert in pending
    ]  # fmt: skip
    return findings or [_alerts.ok("none fires")]


def _about(alert: dict[str, Any]) -> str:
    return f"{alert['name']} of {alert['webhook'] or 'all webhooks'}"


def states(webhooks: list[dict[str, Any]]) -> list[Finding]:
    """A line for each webhook that gets no events although nobody has paused it."""
    findings = []
    for webhook in webhooks:
        path = f"/v1/webhooks/{quoted(webhook['id'])}"
        if webhook["state"] == "disabled":
            reason = (webhook["disabled"] or {}).get("reason", "")
            findings.append(_webhooks.error(
                f"{webhook['id']} is disabled and gets no events: {reason}",
                f"Mend its receiver, then POST {path}/enable.",
            ))  # fmt: skip
        elif webhook["state"] == "unverified":
            findings.append(_webhooks.warning(
                f"{webhook['id']} gets no events: its receiver is not verified",
                f"Have the receiver answer the handshake, then POST {path}/verify.",
            ))  # fmt: skip
        elif webhook["state"] == "orphaned":
            findings.append(_webhooks.warning(
                f"{webhook['id']} gets no events, and its waiting deliveries stay: the "
                "configuration file does not name it any more",
                f"Name it again, have another webhook take it over with renamed_from: "
                f"{webhook['id']}, or DELETE {path}.",
            ))  # fmt: skip
    return findings


def _refused(what: str, status: int, answer: Any, scope: str) -> Finding:
    if status == 403:
        return _area.skipped(f"{what}: the key may not read it", f"Use a key with {scope}.")
    detail = answer.get("detail", "") if isinstance(answer, dict) else ""
    return _area.error(
        f"{what}: the gateway answers {status} {detail}".rstrip(),
        "Mend what the other lines say, and look at the gateway's log.",
    )


async def _all(client: GatewayClient, path: str) -> tuple[int, Any]:
    """The status, and the items of a list or the answer that refuses them."""
    items: list[Any] = []
    query = ""
    for _ in range(MAX_PAGES):
        status, page = await client.request("GET", f"{path}?limit={PAGE_SIZE}{query}")
        if status != 200:
            return status, page
        items += page["items"]
        if page["next"] is None:
            break
        query = f"&cursor={quoted(page['next'])}"
    return 200, items


def _clock(response: RawAnswer, began: float, took: float) -> ClockReading | None:
    try:
        date = email.utils.parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
    return ClockReading(
        "the gateway",
        behind=began + took / 2 - (date + DATE_AGE / 2),
        uncertainty=(took + DATE_AGE) / 2,
    )
