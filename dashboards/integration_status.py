"""*Integration Status*: each external system, NATS and Redis, and the alerts."""

from dashboards.board import REASONS, Board, Section, query_variable, runbook
from dashboards.panels import (
    BAD,
    GOOD,
    NOTICE,
    Column,
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
from dashboards.queries import (
    HERE,
    WEBHOOK,
    level,
    rate,
    selector,
    success_rate,
)
from dashboards.webhook_health import BREAKER, LAG, SHARE, SUCCESS
from dashboards.webhook_health import UID as WEBHOOKS

UID = "event-gateway-integrations"
REACHED = (Meaning(0, "unreachable", BAD), Meaning(1, "connected", GOOD))
EVENTS = 'stream="GATEWAY_EVENTS"'
FIRES = 'state="firing"'
FIRING = (Meaning(0, "no", GOOD), Meaning(1, "firing", BAD))
# A webhook has the value of the state in which it is.
STATE = (
    Meaning(0, "active", GOOD), Meaning(1, "paused", NOTICE), Meaning(2, "disabled", BAD),
    Meaning(3, "unverified", NOTICE),
)  # fmt: skip
NEW = Unit("dateTimeFromNow", minimum=None)


def _state() -> str:
    """The state of each webhook as a number."""
    states = [
        f"{number} * ({level('webhook_state', 'webhook', where=_in_state(name))} == 1)"
        for number, name in ((meaning.value, meaning.text) for meaning in STATE)
    ]
    return " or ".join(states)


def _connected(server: str) -> str:
    """Whether all processes reach a server: 1 or 0."""
    condition = f'server="{server}"'
    return f"min({selector('server_connected', condition)})"


def _in_state(name: str) -> str:
    return f'{WEBHOOK},state="{name}"'


_now = Section(
    "Now",
    [
        Stat(
            title="Health", query=Query(level("health_degraded"), "degraded"), bare=True,
            description="Degraded: the gateway has a reason, such as a firing alert, or NATS or "
            "Redis that it cannot reach. The reasons are below; GET /v1/health says since when.",
            unit=Unit(empty="not reported"),
            meanings=(Meaning(0, "OK", GOOD), Meaning(1, "DEGRADED", BAD)),
            links=[REASONS],
        ),
        Stat(
            title="Alerts firing", limits=Limits(1, 1), bare=True,
            query=Query(f"sum({level('alerts', 'name', where=FIRES)}) or vector(0)", "alerts"),
            description="Alerts of the gateway that fire now, over all webhooks.",
        ),
        Stat(
            title="NATS", meanings=REACHED, bare=True, unit=Unit(empty="not reported"),
            query=Query(_connected("nats"), "NATS"),
            description="Whether every process of the gateway reaches NATS. Without it nothing "
            "comes in and /readyz answers 503; deliveries that are in memory go on.",
        ),
        Stat(
            title="Redis", meanings=REACHED, bare=True, unit=Unit(empty="not reported"),
            query=Query(_connected("redis"), "Redis"),
            description="Whether every process of the gateway reaches Redis. Without it events "
            "are still taken in, and wait; nothing is lost.",
        ),
        Stat(
            title="Gateways up", bare=True, limits=Limits(1, 1, falling=True),
            query=Query(f"sum(up{{{HERE}}})", "gateways"),
            description="Gateways that Prometheus could read at its last scrape.",
        ),
        Stat(
            title="Version", bare=True, shows_name=True, unit=Unit(empty="not reported"),
            query=Query(f"max by (version) ({selector('build_info')})", "{{version}}", True),
            description="The versions that run now. Two of them: an update is under way.",
        ),
    ],
)  # fmt: skip

_systems = Section(
    "External systems",
    [
        Table(
            title="Receivers", by="webhook", by_title="System", sorted_by="Alerts", empty="-",
            description="Each webhook with its state, when it was last reached, and its alerts; "
            "the success rate is that of the last 15 minutes. Last success and last failure are "
            "empty where there was none since the gateway started. A click shows its health.",
            columns=[
                Column(title="State", expression=_state(), meanings=STATE, width=110),
                Column(title="Breaker", meanings=BREAKER, width=110,
                       expression=level("breaker_state", "webhook", where=WEBHOOK)),
                Column(title="Alerts", limits=Limits(1, 1), width=90,
                       expression=f"sum by (webhook) ({selector('alert_firing', WEBHOOK)})"
                       f" or 0 * {level('breaker_state', 'webhook', where=WEBHOOK)}"),
                Column(title="Success rate", unit=SHARE, limits=SUCCESS, width=120,
                       expression=success_rate("webhook", where=WEBHOOK, window="15m")),
                Column(title="Last success", unit=NEW, width=160,
                       expression="1000 * " + level("webhook_last_success_timestamp_seconds",
                                                    "webhook", where=WEBHOOK)),
                Column(title="Last failure", unit=NEW, width=160,
                       expression="1000 * " + level("webhook_last_failure_timestamp_seconds",
                                                    "webhook", where=WEBHOOK)),
                Column(title="Waiting", width=100,
                       expression=level("queue_depth", "webhook", where=WEBHOOK)),
                Column(title="Lag", unit=Unit("s"), limits=LAG, width=100,
                       expression=level("delivery_lag_seconds", "webhook", where=WEBHOOK)),
            ],
            row_links=[Link("Health of ${__value.text}",
                            f"/d/{WEBHOOKS}?var-webhook=${{__value.text}}&${{__url_time_range}}")],
        ),
        States(
            title="Circuit breakers", meanings=BREAKER, empty="not measured",
            query=Query(level("breaker_state", "webhook", where=WEBHOOK), "{{webhook}}"),
            description="When each receiver was down: the gateway stops sending to a receiver "
            "that keeps failing, and probes it.",
            links=[runbook("circuit_breaker_open")],
        ),
        Lines(
            title="Events from external systems, by origin", unit=Unit("eps"), stacked=True,
            queries=[Query(rate("events_received_total", "origin"), "{{origin}}")],
            description="What each source sends in. A source that falls silent has a line that "
            "goes to 0.",
        ),
    ],
)  # fmt: skip

_alerts = Section(
    "Alerts and health",
    [
        States(
            title="Firing alerts", meanings=FIRING, empty="none was firing",
            query=Query(f"max by (name, webhook) ({selector('alert_firing')})",
                        "{{name}} {{webhook}}"),
            description="The gateway's own alerts. Without the name of a webhook: over all "
            "webhooks. GET /v1/alerts has the details; event-gateway alerts silence silences one.",
        ),
        Lines(
            title="Alerts, by state", unit=Unit(decimals=0, empty="none"), stacked=True,
            queries=[Query(level("alerts", "name", "state"), "{{name}} {{state}}")],
            description="pending: the condition holds, but not for long enough yet.",
            colors={".*firing": BAD, ".*pending": NOTICE},
        ),
        States(
            title="Reasons of degraded health", empty="none",
            meanings=(Meaning(0, "no", GOOD), Meaning(1, "yes", BAD)),
            query=Query(f"max by (code) ({selector('health_reasons')} > bool 0)", "{{code}}"),
            description="Why the gateway was degraded, and when. docs/reference/health says for "
            "each code what to do.",
            links=[REASONS],
        ),
        Lines(
            title="Webhooks, by state", stacked=True, unit=Unit(decimals=0, empty="not reported"),
            queries=[Query(level("webhooks", "state"), "{{state}}")],
            description="Registered webhooks. paused: by a person; disabled: by a person, by the "
            "receiver (410), or after disable_after of nothing but failures; unverified: the "
            "receiver has not agreed yet.",
            colors={"active": GOOD, "paused": NOTICE, "disabled": BAD},
        ),
    ],
)  # fmt: skip

_servers = Section(
    "NATS and Redis",
    [
        States(
            title="Connections to NATS and Redis", meanings=REACHED, empty="not reported",
            query=Query(f"min by (server, instance) ({selector('server_connected')})",
                        "{{server}} from {{instance}}"),
            description="unreachable: at least one process of that instance has no connection. "
            "The gateway connects again by itself.",
        ),
        Lines(
            title="Connections to NATS that were made again", unit=Unit(decimals=0),
            queries=[Query(
                f"sum by (instance) (increase({selector('nats_reconnects_total')}"
                "[$__rate_interval]))", "{{instance}}",
            )],
            description="Single ones are no trouble: a server was restarted or updated.",
            colors={".*": NOTICE},
        ),
        Lines(
            title="Log of events, of its limit",
            width=8,
            unit=Unit("percentunit", 1, 0, 1, "ingest.max_bytes is not set"),
            queries=[
                Query(
                    f"{level('stream_bytes', 'stream', where=EVENTS)} / "
                    f"{level('stream_limit_bytes', 'stream', where=EVENTS)}",
                    "{{stream}}",
                )
            ],
            limits=Limits(0.8, 0.9),
            description="At 100% NATS refuses new events: publishers get an error, and nothing "
            "that was accepted is lost. Raise ingest.max_bytes, or shorten ingest.retention.",
            links=[REASONS],
        ),
        Lines(
            title="Size of the streams in NATS",
            width=8,
            unit=Unit("bytes"),
            queries=[Query(level("stream_bytes", "stream"), "{{stream}}")],
            description="What the gateway's streams hold. All but the log of events drop their "
            "oldest messages at their limit.",
        ),
        Lines(
            title="Free disk of the embedded servers", unit=Unit("bytes", empty="none is embedded"),
            width=8,
            queries=[Query(f"min by (instance) ({selector('disk_free_bytes')})", "{{instance}}")],
            description="Only with the embedded NATS and Valkey. Without space the gateway refuses "
            "new events.",
        ),
    ],
)  # fmt: skip

_ends = Section(
    "What ends soon",
    [
        Stat(
            title="Certificate of the API ends in", bare=True, width=12,
            query=Query(f"min({selector('tls_certificate_expiry_timestamp_seconds')}) - time()",
                        "certificate"),
            unit=Unit("s", minimum=None, empty="the API has no TLS"),
            limits=Limits(30 * 86400, 7 * 86400, falling=True),
            description="Replace the files of server.tls before that; the gateway reads them again "
            "by itself.",
        ),
        Stat(
            title="The next API key ends in", bare=True, width=12,
            query=Query(f"min({selector('api_key_expiry_timestamp_seconds')}) - time()", "key"),
            unit=Unit("s", minimum=None, empty="no key has an end"),
            limits=Limits(7 * 86400, 86400, falling=True),
            description="event-gateway keys list names it; keys rotate makes its successor.",
        ),
    ],
    folded=True,
)  # fmt: skip

INTEGRATION_STATUS = Board(
    uid=UID,
    title="Event Gateway / Integration Status",
    description="The state of each external system, of NATS and Redis, and the alerts.",
    variables=[
        query_variable("webhook", "Webhook", f"label_values({selector('breaker_state')}, webhook)")
    ],
    sections=[_now, _systems, _alerts, _servers, _ends],
)
