"""*Event Flow*: what comes in, how soon it is routed, what goes out to webhooks and subscribers."""

from dashboards.board import REASONS, Board, Section, query_variable, runbook
from dashboards.panels import (
    BAD,
    GOOD,
    NOTICE,
    Limits,
    Lines,
    Link,
    Meaning,
    Query,
    Stat,
    Unit,
)
from dashboards.queries import HERE, growth, level, quantile, rate, selector, success_rate, total

UID = "event-gateway-flow"
EVENTS = Unit("eps")
MESSAGES = Unit("mps")
STREAM = 'stream=~"$stream"'
STORED = 'stream=~"GATEWAY_STREAM_$stream"'  # the name in JetStream
SUCCEEDED = 'outcome="succeeded"'


def _named(by_stream: str) -> str:
    """Subscriptions to subjects have no stream; an empty name would be shown as *Value*."""
    return f'label_replace({by_stream}, "stream", "(subjects)", "stream", "")'


def _stored(by_stream: str) -> str:
    """Shows a named stream by its name in the gateway."""
    return f'label_replace({by_stream}, "stream", "$1", "stream", "GATEWAY_STREAM_(.*)")'


_now = Section(
    "Now",
    [
        Stat(
            title="Health", query=Query(level("health_degraded"), "degraded"), bare=True,
            description="Degraded: the gateway has a reason, such as a firing alert, or NATS or "
            "Redis that it cannot reach. GET /v1/health names the reasons and since when.",
            unit=Unit(empty="not reported"),
            meanings=(Meaning(0, "OK", GOOD), Meaning(1, "DEGRADED", BAD)),
            links=[REASONS],
        ),
        Stat(
            title="Events in", query=Query(rate("events_received_total"), "events"), unit=EVENTS,
            description="Events that the gateway read from its log in a second, whatever their "
            "origin. 0 while services publish means that the router stands still: see Routing.",
        ),
        Stat(
            title="Deliveries out", unit=EVENTS,
            query=Query(rate("deliveries_total", where=SUCCEEDED), "deliveries"),
            description="Deliveries that succeeded in a second, over all webhooks. An event for "
            "three webhooks counts three times, one that no webhook wants does not count.",
        ),
        Stat(
            title="Success rate", query=Query(success_rate(), "success rate"),
            unit=Unit("percentunit", 2, 0, 1, "no attempts"), limits=Limits(0.99, 0.95, True),
            description="Successful deliveries / attempts. If more than 5% of the attempts of 5 "
            "minutes fail, the alert high_error_rate fires. Webhook Health shows which receivers "
            "fail, and how.",
            links=[runbook("high_error_rate")],
        ),
        Stat(
            title="Routing lag", query=Query(level("consumer_lag_seconds"), "lag"),
            unit=Unit("s", 1), limits=Limits(5, 30),
            description="The age of the oldest event in the log that is not routed yet. From 30 s "
            "on the alert delivery_lag fires.",
            links=[runbook("delivery_lag")],
        ),
        Stat(
            title="Live subscribers", query=Query(total("stream_subscribers"), "subscribers"),
            description="Subscriptions over WebSocket and Server-Sent Events that are open now.",
        ),
    ],
)  # fmt: skip

_in = Section(
    "Events in",
    [
        Lines(
            title="Events in, by origin", stacked=True, unit=EVENTS,
            queries=[Query(rate("events_received_total", "origin"), "{{origin}}")],
            description="nats: published to NATS by a service; http: POST /v1/events; else the "
            "name of a source. After the first 100 origins the others share the name other.",
        ),
        Lines(
            title="Events in, by type (the 10 busiest)", stacked=True, unit=EVENTS,
            queries=[Query(f"topk(10, {rate('events_routed_total', 'type')})", "{{type}}")],
            description="After the first 500 types the others share the name other.",
        ),
        Lines(
            title="Input set aside, by reason", unit=Unit("eps"),
            queries=[Query(rate("events_rejected_total", "reason"), "{{reason}}")],
            description="Messages that are no valid event, and events that break an enforced "
            "schema. They are kept: GET /v1/rejected lists them with their bytes, and "
            "POST /v1/rejected/{seq}/retry takes one in after all.",
            colors={".*": NOTICE},
        ),
        Lines(
            title="Published again, and against their schema", unit=EVENTS,
            queries=[
                Query(rate("events_duplicate_total"), "duplicates (delivered once)"),
                Query(rate("schema_violations_total", "type", "enforce"),
                      "{{type}} against its schema ({{enforce}})"),
            ],
            description="Duplicates have the source and id of an earlier event; publishers that "
            "retry make some. Events against the schema of their type are let through (off, warn) "
            "or refused (reject).",
        ),
    ],
)  # fmt: skip

_routing = Section(
    "Routing",
    [
        Lines(
            title="Routing lag", unit=Unit("s"), limits=Limits(5, 30),
            queries=[Query(level("consumer_lag_seconds"), "oldest event not routed")],
            description="The age of the oldest event in the log that is not routed yet. It grows "
            "when the processes have too little CPU, or NATS or Redis are slow.",
            links=[runbook("delivery_lag")], width=8,
        ),
        Lines(
            title="Events not routed yet", queries=[Query(level("consumer_lag"), "events")],
            description="Events in the log that wait for the router. A burst makes a peak that "
            "goes down again; a slope that only rises means that more comes in than the gateway "
            "routes: add workers.",
            width=8,
        ),
        Lines(
            title="Receipt to delivery", unit=Unit("s"), logarithmic=True, width=8,
            queries=[
                Query(quantile(0.5, "delivery_latency_seconds"), "median"),
                Query(quantile(0.95, "delivery_latency_seconds"), "95%"),
                Query(quantile(0.99, "delivery_latency_seconds"), "99%"),
            ],
            description="From the receipt of an event to its successful delivery, over all "
            "webhooks, retries and waiting included. Webhook Health shows it for each webhook.",
        ),
    ],
)  # fmt: skip

_out = Section(
    "Webhooks",
    [
        Lines(
            title="Attempts, by result", stacked=True, unit=Unit("reqps"), width=8,
            queries=[
                Query(rate("attempts_total", where='error_type=""'), "succeeded"),
                Query(rate("attempts_total", "error_type", where='error_type!=""'),
                      "{{error_type}}"),
            ],
            description="Requests to receivers: those that succeeded, and those that failed, by "
            "type of error.",
            colors={"succeeded": GOOD}, links=[runbook("high_error_rate")],
        ),
        Lines(
            title="Deliveries that ended, by outcome", unit=EVENTS, stacked=True, width=8,
            queries=[Query(rate("deliveries_total", "outcome"), "{{outcome}}")],
            description="A delivery ends as succeeded, or as dead_letter after its last attempt. "
            "Dead letters are kept until somebody replays or purges them.",
            colors={"succeeded": GOOD, "dead_letter": BAD},
        ),
        Lines(
            title="Deliveries out, by webhook (the 10 busiest)", unit=EVENTS, width=8,
            queries=[Query(
                f"topk(10, {rate('deliveries_total', 'webhook', where=SUCCEEDED)})",
                "{{webhook}}",
            )],
            description="Successful deliveries in a second. A click on a webhook shows its health.",
            series_links=[Link("Health of ${__field.labels.webhook}",
                               "/d/event-gateway-webhooks?var-webhook=${__field.labels.webhook}"
                               "&${__url_time_range}")],
        ),
    ],
)  # fmt: skip

_streams = Section(
    "Streams",
    [
        Lines(
            title="Live subscribers, by stream", width=6,
            queries=[Query(_named(total("stream_subscribers", "stream", where=STREAM)),
                           "{{stream}}")],
            description="Open subscriptions. That of a stream without any is 0.",
        ),
        Lines(
            title="Events to subscribers, by stream", unit=MESSAGES, width=6,
            queries=[Query(_named(rate("stream_messages_sent_total", "stream", where=STREAM)),
                           "{{stream}}")],
            description="Events sent over WebSocket and Server-Sent Events. An event for ten "
            "subscribers counts ten times.",
        ),
        Lines(
            title="Stored messages, by stream", width=6,
            queries=[Query(_stored(level("stream_messages", "stream", where=STORED)),
                           "{{stream}}")],
            description="What each named stream holds, up to its max_messages and retention.",
        ),
        Lines(
            title="Slow subscribers", width=6,
            queries=[Query(growth("stream_slow_consumers_total"), "fell behind")],
            description="Subscribers that did not read as fast as events came, and fell behind the "
            "live feed. They catch up from the log, or are closed with 4408.",
            colors={".*": NOTICE},
        ),
    ],
)  # fmt: skip

_clients = Section(
    "Clients of the API",
    [
        Lines(
            title="Connections", width=8,
            queries=[Query(total("http_connections", "kind"), "{{kind}}")],
            description="Open connections: http, and live ones (WebSocket, Server-Sent Events).",
        ),
        Lines(
            title="Refused and limited", width=8, unit=Unit("reqps"),
            queries=[
                Query(rate("http_connections_refused_total", "reason"),
                      "connection refused: {{reason}}"),
                Query(rate("http_requests_refused_total", "status"), "request refused: {{status}}"),
                Query(rate("requests_limited_total"), "over the rate of their caller"),
                Query(rate("failed_logins_total", "reason"), "failed login: {{reason}}"),
                Query(rate("limits_reached_total", "limit"), "limit reached: {{limit}}"),
            ],
            description="What the gateway did not do because a bound was reached or a credential "
            "was wrong. docs/reference/limits.md names each bound and its setting.",
            colors={"failed login.*": BAD},
        ),
        Lines(
            title="Connections that timed out", width=8, unit=Unit("cps"),
            queries=[Query(rate("http_connections_timed_out_total", "waiting_for"),
                           "waiting for {{waiting_for}}")],
            description="Connections that were closed because the client did not send (head, "
            "body), did not read (response), or had nothing to do (idle).",
        ),
    ],
    folded=True,
)  # fmt: skip

_processes = Section(
    "Processes of the gateway",
    [
        Lines(
            title="CPU, by instance", unit=Unit("percentunit"), width=6,
            queries=[Query(f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])",
                           "{{instance}}")],
            description="100% is one processor. A process of the gateway uses one at most: near "
            "100% for each worker, add workers.",
        ),
        Lines(
            title="Memory, by instance", unit=Unit("bytes"), width=6,
            queries=[Query(f"process_resident_memory_bytes{{{HERE}}}", "{{instance}}")],
            description="Resident memory of the processes of each instance.",
        ),
        Lines(
            title="Processes and attempts in flight", width=6,
            queries=[
                Query(level("processes"), "processes on all hosts"),
                Query(total("attempts_in_flight"), "attempts in flight"),
            ],
            description="Live processes that share the work, and the requests to receivers that "
            "run now.",
        ),
        Lines(
            title="Crashed background tasks", width=6,
            queries=[Query(f"{growth('task_crashes_total', 'task')} > 0", "{{task}}")],
            description="A task that crashes is started again; GET /readyz names it, and the log "
            "has its error. Please report it: it is a fault of the gateway.",
            unit=Unit(empty="none"), colors={".*": BAD},
        ),
    ],
    folded=True,
)  # fmt: skip

EVENT_FLOW = Board(
    uid=UID,
    title="Event Gateway / Event Flow",
    description="Events in, routing, deliveries and streams of the Event Gateway.",
    variables=[
        query_variable(
            "stream", "Stream", f"label_values({selector('stream_subscribers')}, stream)"
        )
    ],
    sections=[_now, _in, _routing, _out, _streams, _clients, _processes],
)
