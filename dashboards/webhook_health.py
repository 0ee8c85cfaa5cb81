"""*Webhook Health*: success rate, latency, errors, breakers and queues, for each webhook."""

from dashboards.board import Board, Section, query_variable, runbook
from dashboards.panels import (
    BAD,
    GOOD,
    NOTICE,
    Column,
    Heat,
    Limits,
    Lines,
    Link,
    Meaning,
    Query,
    Stat,
    States,
    Table,
    Unit,
)
from dashboards.queries import WEBHOOK, growth, level, quantile, rate, selector, success_rate

UID = "event-gateway-webhooks"
SHARE = Unit("percentunit", 2, 0, 1, "no attempts")
SECONDS = Unit("s", empty="no deliveries")
SUCCESS = Limits(0.99, 0.95, falling=True)
BREAKER = (Meaning(0, "closed", GOOD), Meaning(1, "half-open", NOTICE), Meaning(2, "open", BAD))
TO_WEBHOOK = Link(
    "Only ${__field.labels.webhook}",
    f"/d/{UID}?var-webhook=${{__field.labels.webhook}}&${{__url_time_range}}",
)
LAG = Limits(10, 30)

_now = Section(
    "Now",
    [
        Stat(
            title="Success rate", query=Query(success_rate(where=WEBHOOK), "success rate"),
            unit=SHARE, limits=SUCCESS, links=[runbook("high_error_rate")],
            description="Successful deliveries / attempts of the chosen webhooks. If more than 5% "
            "of 20 attempts or more in 5 minutes fail, the alert high_error_rate fires.",
        ),
        Stat(
            title="Attempts", query=Query(rate("attempts_total", where=WEBHOOK), "attempts"),
            unit=Unit("reqps"),
            description="Requests to receivers in a second, successful ones and others.",
        ),
        Stat(
            title="Receipt to delivery (95%)", unit=SECONDS, limits=Limits(10, 30),
            query=Query(quantile(0.95, "delivery_latency_seconds", where=WEBHOOK), "95%"),
            description="95% of the deliveries that succeeded did so within this time from the "
            "receipt of their event, retries and waiting included.",
        ),
        Stat(
            title="Waiting deliveries", limits=Limits(1000, 10000),
            query=Query(f"sum({level('queue_depth', 'webhook', where=WEBHOOK)})", "deliveries"),
            unit=Unit(empty="not measured"),
            description="Deliveries that are not final: they wait for an attempt, for the next "
            "attempt, or for a breaker, a throttle or a person.",
        ),
        Stat(
            title="Delivery lag", unit=Unit("s", empty="not measured"), limits=LAG,
            query=Query(level("delivery_lag_seconds", where=WEBHOOK), "lag"),
            description="For how long the delivery of a chosen webhook that is due longest has "
            "been due; planned retries and paused webhooks do not count. From 30 s on the alert "
            "delivery_lag fires.",
            links=[runbook("delivery_lag")],
        ),
        Stat(
            title="Breakers not closed", limits=Limits(1, 1),
            query=Query(
                f"count({level('breaker_state', 'webhook', where=WEBHOOK)} > 0) or vector(0)",
                "breakers",
            ),
            description="Webhooks whose circuit breaker is open or half-open: their receivers "
            "failed so often in a row that the gateway sends them one probe at a time.",
            links=[runbook("circuit_breaker_open")],
        ),
    ],
)  # fmt: skip

_table = Section(
    "Webhooks",
    [
        Table(
            title="All chosen webhooks, the greatest lag first", by="webhook", by_title="Webhook",
            description="One row for each webhook. Success rate and latency are those of the last "
            "15 minutes. A click on a webhook shows it alone.",
            columns=[
                Column(title="Success rate", unit=SHARE, limits=SUCCESS, width=120,
                       expression=success_rate("webhook", where=WEBHOOK, window="15m")),
                Column(title="Attempts", unit=Unit("reqps", 2), width=110,
                       expression=rate("attempts_total", "webhook", where=WEBHOOK, window="15m")),
                Column(title="Latency 95%", unit=Unit("s", 2), limits=Limits(10, 30), width=120,
                       expression=quantile(0.95, "delivery_latency_seconds", "webhook",
                                           where=WEBHOOK, window="15m")),
                Column(title="Waiting", width=100,
                       expression=level("queue_depth", "webhook", where=WEBHOOK)),
                Column(title="Lag", unit=Unit("s"), limits=LAG, width=100,
                       expression=level("delivery_lag_seconds", "webhook", where=WEBHOOK)),
                Column(title="Oldest", unit=Unit("s"), width=100,
                       expression=level("oldest_pending_seconds", "webhook", where=WEBHOOK)),
                Column(title="Breaker", meanings=BREAKER, width=100,
                       expression=level("breaker_state", "webhook", where=WEBHOOK)),
                Column(title="Throttled for", unit=Unit("s", 0), width=120,
                       expression=level("throttled_seconds", "webhook", where=WEBHOOK)),
                Column(title="Dead letters, 24 h", unit=Unit("short", 0), limits=Limits(1, 100),
                       width=150,
                       expression=growth("deliveries_total", "webhook",
                                         where=f'{WEBHOOK},outcome="dead_letter"', window="24h")),
                Column(title="Last success", unit=Unit("dateTimeFromNow", minimum=None), width=150,
                       expression="1000 * "
                       + level("webhook_last_success_timestamp_seconds", "webhook", where=WEBHOOK)),
            ],
            sorted_by="Lag", empty="-",
            row_links=[Link("Only ${__value.text}",
                            f"/d/{UID}?var-webhook=${{__value.text}}&${{__url_time_range}}")],
        ),
    ],
)  # fmt: skip

_errors = Section(
    "Success and errors",
    [
        Lines(
            title="Success rate, by webhook", limits=SUCCESS,
            unit=Unit("percentunit", 1, None, 1, "no attempts", soft_minimum=0.9),
            series_links=[TO_WEBHOOK], links=[runbook("high_error_rate")],
            queries=[Query(success_rate("webhook", where=WEBHOOK), "{{webhook}}")],
            description="Successful deliveries / attempts. A gap means that there was no attempt.",
        ),
        Lines(
            title="Failed attempts, by type of error", stacked=True, unit=Unit("reqps"),
            queries=[Query(
                rate("attempts_total", "error_type", where=f'{WEBHOOK},error_type!=""'),
                "{{error_type}}",
            )],
            description="ClientError and ServerError are answers of 4xx and 5xx. "
            "NameResolution, ConnectionRefused, ConnectionReset, ConnectTimeout and TlsError: no "
            "connection. ResponseTimeout: no answer in the webhook's timeout. SecretMissing, "
            "AuthError, EgressRefused and TransformationError: the gateway could not make the "
            "request, see its log.",
            links=[runbook("webhook_down")],
        ),
        Lines(
            title="Failed attempts, by webhook", stacked=True, unit=Unit("reqps"),
            queries=[Query(rate("attempts_total", "webhook", where=f'{WEBHOOK},error_type!=""'),
                           "{{webhook}}")],
            description="Which receivers fail, and how much of the failures is whose.",
            series_links=[TO_WEBHOOK],
        ),
        Lines(
            title="Dead letters, by webhook", stacked=True, unit=Unit("short", 0, 0, None, "none"),
            queries=[Query(
                growth("deliveries_total", "webhook", where=f'{WEBHOOK},outcome="dead_letter"')
                + " > 0", "{{webhook}}",
            )],
            description="Deliveries that ended after their last attempt, in each interval of the "
            "picture. Their events are kept: event-gateway dead-letters list shows them, and "
            "replay sends them again once the receiver is mended.",
            series_links=[TO_WEBHOOK],
        ),
    ],
)  # fmt: skip

_latency = Section(
    "Latency",
    [
        Lines(
            title="Receipt to delivery", unit=SECONDS, logarithmic=True, limits=Limits(10, 30),
            queries=[
                Query(quantile(share, "delivery_latency_seconds", where=WEBHOOK), name)
                for share, name in ((0.5, "median"), (0.95, "95%"), (0.99, "99%"))
            ],
            description="From the receipt of an event to its successful delivery, over the chosen "
            "webhooks. If only this is slow, deliveries wait or are retried; if Attempts below is "
            "slow as well, it is the receiver.",
        ),
        Lines(
            title="Receipt to delivery (95%), by webhook", unit=SECONDS, logarithmic=True,
            queries=[Query(quantile(0.95, "delivery_latency_seconds", "webhook", where=WEBHOOK),
                           "{{webhook}}")],
            description="Which webhook is slow: see also its queue and its breaker.",
            series_links=[TO_WEBHOOK],
        ),
        Lines(
            title="Attempts: how long receivers take", unit=Unit("s", empty="no attempts"),
            logarithmic=True,
            queries=[
                Query(quantile(share, "attempt_duration_seconds", where=WEBHOOK), name)
                for share, name in ((0.5, "median"), (0.95, "95%"), (0.99, "99%"))
            ],
            description="From the request to the end of the response, failed attempts included. A "
            "webhook's timeout is 15 s by default: a line there means receivers that do not "
            "answer.",
        ),
        Heat(
            title="Receipt to delivery, all values", unit=Unit("s"),
            query=Query(growth("delivery_latency_seconds_bucket", "le", where=WEBHOOK), "{{le}}",
                        form="heatmap"),
            description="How many deliveries took how long. Two bands mean two kinds of "
            "deliveries: at once, and after a retry.",
        ),
    ],
)  # fmt: skip

_queues = Section(
    "Queues and breakers",
    [
        Lines(
            title="Waiting deliveries, by webhook", unit=Unit(empty="not measured"),
            queries=[Query(level("queue_depth", "webhook", where=WEBHOOK), "{{webhook}}")],
            description="Deliveries that are not final. A line that only rises belongs to a "
            "receiver that is too slow for its events: raise its concurrency, or mend it.",
            series_links=[TO_WEBHOOK],
        ),
        Lines(
            title="Delivery lag, by webhook", unit=Unit("s", empty="not measured"),
            queries=[Query(level("delivery_lag_seconds", "webhook", where=WEBHOOK),
                           "{{webhook}}")],
            limits=LAG, series_links=[TO_WEBHOOK], links=[runbook("delivery_lag")],
            description="For how long the delivery that is due longest has been due. What waits "
            "for a planned retry is not due; behind an open breaker or a throttle it is.",
        ),
        Lines(
            title="Oldest waiting event, by webhook", unit=Unit("s", empty="not measured"),
            queries=[Query(level("oldest_pending_seconds", "webhook", where=WEBHOOK),
                           "{{webhook}}")],
            series_links=[TO_WEBHOOK],
            description="The age of the oldest event that each webhook still waits for, planned "
            "retries included: with retries over hours it is hours.",
        ),
        States(
            title="Circuit breakers", meanings=BREAKER, links=[runbook("circuit_breaker_open")],
            query=Query(level("breaker_state", "webhook", where=WEBHOOK), "{{webhook}}"),
            empty="not measured",
            description="open: no attempts for open_for (30 s by default), then half-open: one "
            "probe decides. Events wait meanwhile; none is lost.",
        ),
        Lines(
            title="Throttled by the receiver", unit=Unit("s", empty="not measured"),
            queries=[Query(level("throttled_seconds", "webhook", where=WEBHOOK), "{{webhook}}")],
            description="For how long a receiver has asked for no requests (429 or 503 with "
            "Retry-After). The gateway keeps to that.",
            series_links=[TO_WEBHOOK],
        ),
    ],
)  # fmt: skip

WEBHOOK_HEALTH = Board(
    uid=UID,
    title="Event Gateway / Webhook Health",
    description="Success rate, latency, errors, circuit breakers and queues of each webhook. "
    "Webhooks after the first 500 share the name other.",
    variables=[
        query_variable("webhook", "Webhook", f"label_values({selector('breaker_state')}, webhook)")
    ],
    sections=[_now, _table, _errors, _latency, _queues],
)
