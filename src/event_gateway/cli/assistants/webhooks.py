"""Tools about webhooks: which fail and why, how one is defined, which an event would reach."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from event_gateway.cli.assistants.bounds import MAX_ITEMS, Limit, Text, as_lines, shown_url
from event_gateway.client import AsyncGatewayClient, GatewayError

MAX_EXAMINED = 300  # webhooks whose figures are read to find those that fail
AT_ONCE = 8
WAITING_LONG = 60.0  # seconds; deliveries that wait longer are a sign of trouble

WebhookId = Annotated[str, Field(description="The webhook's id.")]


class FailingWebhook(BaseModel):
    """A webhook that does not deliver as it should."""

    webhook: Text
    reasons: list[Text]
    state: Text
    breaker: Text = Field(description="The circuit breaker: closed, open or half_open.")
    next_probe_at: Text | None
    failing_since: Text | None
    last_success_at: Text | None
    waiting: int = Field(description="Deliveries that wait.")
    oldest_waiting_seconds: float | None
    dead_lettered_24h: int
    success_rate_24h: float | None


class FailingWebhooks(BaseModel):
    """The webhooks that fail, the worst first."""

    items: list[FailingWebhook]
    failing: int
    examined: int
    not_examined: int = Field(description="Webhooks beyond the most that one call looks at.")


class WebhookDetails(BaseModel):
    """How a webhook is defined, and the state of its deliveries, without secrets."""

    webhook: Text
    description: Text | None
    url: Text = Field(description="Without its query and what looks like a token.")
    state: Text
    disabled_because: Text | None
    managed_by: Text = Field(description="file: it is changed in the configuration file.")
    events: list[Text]
    conditions: list[Text] = Field(description="Filters, expression, namespaces, sources.")
    authentication: list[Text] = Field(description="Methods, with the names of their secrets.")
    header_names: list[Text]
    transformation: Text
    mode: Text
    retries: Text
    timeout: Text
    ordered: bool
    rate_limit: Text | None
    stats: dict[str, Any] = Field(description="Circuit breaker, queue, counts.")


class Match(BaseModel):
    """Whether an event would reach a webhook."""

    webhook: Text
    matches: bool
    state: Text
    failed_condition: Text | None
    detail: Text | None


class Matches(BaseModel):
    """Which webhooks an event would reach."""

    matched: list[Text]
    matched_count: int
    items: list[Match]
    omitted: bool = Field(description="There are more webhooks; name some with `webhooks`.")


class WebhookTools:
    """Tools about webhooks of one gateway."""

    def __init__(self, gateway: AsyncGatewayClient) -> None:
        self._gateway = gateway

    async def list_failing_webhooks(self, limit: Limit = 20) -> FailingWebhooks:
        """Lists the webhooks that fail, the worst first, with reasons: disabled, circuit breaker
        open, failing since, dead letters of the last 24 hours, deliveries that wait, alerts."""
        alerts = defaultdict(list)
        listed = await self._gateway.list_alerts(limit=1000)
        for alert in listed["items"]:
            if alert["webhook"] is not None and alert["state"] != "resolved":
                silenced = ", silenced" if alert["silenced"] else ""
                text = f"{alert['name']} ({alert['state']}{silenced}): {alert['detail']}"
                alerts[alert["webhook"]].append(text)
        webhooks, more = await self._some_webhooks(alerts)
        figures = await self._stats([each["id"] for each in webhooks])
        failing = [
            shown
            for each in webhooks
            if (stats := figures.get(each["id"])) is not None
            and (shown := _failing(each, stats, alerts[each["id"]])).reasons
        ]
        failing.sort(key=_badness, reverse=True)
        return FailingWebhooks(
            items=failing[:limit], failing=len(failing), examined=len(webhooks), not_examined=more
        )

    async def show_webhook(self, webhook: WebhookId) -> WebhookDetails:
        """Shows how a webhook is defined, and the state of its deliveries, without secrets."""
        shown: Mapping[str, Any] = await self._gateway.show_webhook(webhook)
        stats = await self._gateway.show_webhook_stats(webhook)
        return _details(shown, dict(stats))

    async def match_event(
        self,
        type: Annotated[str, Field(description="The event's type, such as orders.placed.")],
        source: Annotated[str, Field(description="The event's source.")] = "example",
        subject: Annotated[str | None, Field(description="The event's subject.")] = None,
        data: Annotated[Any, Field(description="The event's data, as JSON.")] = None,
        extensions: Annotated[
            dict[str, str] | None, Field(description="Further attributes of the event.")
        ] = None,
        webhooks: Annotated[
            list[str] | None, Field(description="Only these webhooks, by id.")
        ] = None,
        limit: Limit = 20,
    ) -> Matches:
        """Says which webhooks an event would reach, and for each other webhook the first condition
        that fails. Nothing is sent. For an event that was published call explain_event."""
        event: Any = {
            **(extensions or {}), "specversion": "1.0", "id": str(uuid.uuid4()), "source": source,
            "type": type,
        }  # fmt: skip
        if subject is not None:
            event["subject"] = subject
        if data is not None:
            event["data"] = data
        found = await self._gateway.match_webhooks({"event": event}, limit=limit, webhook=webhooks)
        items = []
        for each in found["items"]:
            failed = each["failed"]
            items.append(Match(
                webhook=each["webhook_id"], matches=each["matches"], state=each["state"],
                failed_condition=None if failed is None else failed["condition"],
                detail=None if failed is None else failed["detail"],
            ))  # fmt: skip
        return Matches(
            matched=found["matched"][:MAX_ITEMS], matched_count=found["matched_count"],
            items=items, omitted=found["next"] is not None,
        )  # fmt: skip

    async def _some_webhooks(
        self, alerts: Mapping[str, Any]
    ) -> tuple[list[Mapping[str, Any]], int]:
        """At most MAX_EXAMINED webhooks, those first about which something is known, and how many
        there are beyond."""
        page: Any = await self._gateway.list_webhooks(limit=1000)
        overview: Mapping[str, Any] = await self._gateway.show_overview()
        worst = {each["webhook_id"] for each in (overview["queues"] or {}).get("worst", ())}
        known = [each for each in page["items"] if each["state"] != "renamed"]
        known.sort(key=lambda each: not (
            each["id"] in alerts or each["id"] in worst or each["state"] != "active"
        ))  # fmt: skip
        total = max(page.get("total", 0), len(page["items"]))
        examined = known[:MAX_EXAMINED]
        return examined, max(0, total - (len(page["items"]) - len(known)) - len(examined))

    async def _stats(self, ids: list[str]) -> dict[str, Mapping[str, Any]]:
        """The figures of these webhooks, without those that were deleted meanwhile."""
        at_once = asyncio.Semaphore(AT_ONCE)
        figures: dict[str, Mapping[str, Any]] = {}

        async def read(webhook_id: str) -> None:
            async with at_once:
                try:
                    figures[webhook_id] = await self._gateway.show_webhook_stats(webhook_id)
                except GatewayError as error:
                    if error.status not in (404, 409):
                        raise

        async with asyncio.TaskGroup() as group:
            for webhook_id in ids:
                group.create_task(read(webhook_id))
        return figures


def _failing(
    webhook: Mapping[str, Any], stats: Mapping[str, Any], alerts: list[str]
) -> FailingWebhook:
    reasons = []
    if webhook["disabled"] is not None:
        since = webhook["disabled"]
        reasons.append(f"disabled by the gateway at {since['at']}: {since['reason']}")
    elif webhook["state"] != "active":
        reasons.append(f"its state is {webhook['state']}")
    breaker = stats["breaker"]
    if breaker["state"] != "closed":
        reasons.append(f"the circuit breaker is {breaker['state']} since {breaker['open_since']}")
    if stats["failing_since"] is not None:
        reasons.append(f"every attempt has failed since {stats['failing_since']}")
    last = stats["last_24h"]
    if last["dead_lettered"]:
        reasons.append(f"{last['dead_lettered']} dead letters in the last 24 hours")
    oldest = stats["oldest_waiting_seconds"] or 0.0
    if oldest > WAITING_LONG:
        reasons.append(f"{stats['waiting']} deliveries wait, the oldest for {oldest:.0f} s; "
                       "list_deliveries and show_delivery say why")  # fmt: skip
    reasons += [f"alert {alert}" for alert in alerts[:MAX_ITEMS]]
    return FailingWebhook(
        webhook=webhook["id"], reasons=reasons, state=webhook["state"], breaker=breaker["state"],
        next_probe_at=breaker["next_probe_at"], failing_since=stats["failing_since"],
        last_success_at=stats["last_success_at"], waiting=stats["waiting"],
        oldest_waiting_seconds=stats["oldest_waiting_seconds"],
        dead_lettered_24h=last["dead_lettered"], success_rate_24h=last["success_rate"],
    )  # fmt: skip


def _badness(shown: FailingWebhook) -> tuple[bool, bool, int, int]:
    return (
        shown.state == "disabled",
        shown.failing_since is not None,
        shown.dead_lettered_24h,
        shown.waiting,
    )


def _details(shown: Mapping[str, Any], stats: dict[str, Any]) -> WebhookDetails:
    policy, disabled = shown["retry_policy"], shown["disabled"]
    conditions = [*shown["filters"], *shown["cloudevents_filters"]]
    for name in ("expression", "namespaces", "sources"):
        if shown[name]:
            conditions.append({name: shown[name]})
    delays = ", ".join(policy["schedule"] or ()) or f"{policy['backoff']} from " + (
        f"{policy['initial_delay']} to {policy['max_delay']}"
    )
    rate = shown["rate_limit"]
    return WebhookDetails(
        webhook=shown["id"], description=shown["description"], url=shown_url(shown["url"]),
        state=shown["state"],
        disabled_because=disabled and f"{disabled['reason']} at {disabled['at']}",
        managed_by=shown["managed_by"], events=shown["events"][:MAX_ITEMS],
        conditions=as_lines(conditions),
        authentication=[
            f"{each['auth_type']} {each.get('secret_name') or ''}".rstrip()
            for each in shown["security"]
        ],
        header_names=list(shown["headers"])[:MAX_ITEMS],
        transformation=shown["transformation"], mode=shown["mode"],
        retries=f"{policy['max_attempts']} attempts, {delays}",
        timeout=shown["timeout"], ordered=bool(shown["ordered"]),
        rate_limit=None if rate is None else f"{rate['events']} per {rate['per']}", stats=stats,
    )  # fmt: skip
