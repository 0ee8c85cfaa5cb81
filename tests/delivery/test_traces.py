"""Traces by OTLP: one trace from the publication of an event to each attempt to deliver it."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from event_gateway.config.model import Config
from event_gateway.observability.tracing.otlp import Collector, OtlpExport
from support.client import Client, event
from support.fixtures import Start
from support.otlp_collector import CollectedSpan, OtlpCollector, collecting, collecting_grpc
from support.patience import PATIENCE
from support.receiver import Receiver

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PUBLISH, PROCESS = "publish GATEWAY_EVENTS", "process GATEWAY_EVENTS"
STRUCTURED = "application/cloudevents+json"
SERVED = "POST /v1/events"
SERVER, PRODUCER, CONSUMER, CLIENT = 2, 4, 5, 3  # as OTLP numbers them


def _config(collector: OtlpCollector, receiver: Receiver, **telemetry: Any) -> dict[str, Any]:
    retries = {"max_attempts": 2, "initial_delay": "0.05s"}
    return {
        "telemetry": {
            "otlp": {"endpoint": collector.url, "headers": {"X-Api-Key": "canary-header"}},
            "metrics": {"interval": "1s"},
        } | telemetry,
        "webhooks": {
            "failing": {"url": f"{receiver.url}/failing?token=canary-query", "events": ["user.*"],
                        "retry_policy": retries},
            "healthy": {"url": f"{receiver.url}/healthy", "events": ["user.*"]},
        },
        "streams": {"users": {"subjects": ["user.*"]}},
    }  # fmt: skip


def _parent_of(span: CollectedSpan) -> tuple[str, str]:
    return span.trace_id, span.parent_id


def _ids(span: CollectedSpan) -> tuple[str, str]:
    return span.trace_id, span.span_id


async def _post(client: Client, sent: Any, **headers: str) -> None:
    batch = "application/cloudevents-batch+json" if isinstance(sent, list) else STRUCTURED
    answer = await client.http.post(
        "/v1/events", content=json.dumps(sent), headers={"Content-Type": batch, **headers}
    )
    assert answer.status_code == 202, answer.text


async def test_one_trace_from_the_publication_to_each_attempt(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    receiver.answers = {"/failing": [500]}
    async with collecting() as collector:
        client = await connect(await start(_config(collector, receiver)))
        sent = event("user.made", {"canary": "canary-data"}, correlationid="order-7")
        caller = f"00-{TRACE}-{CALLER}-01"
        await _post(client, sent, traceparent=caller, tracestate="vendor=1")
        await client.until("failing", sent["id"], "dead_letter")
        attempts = await collector.until(3, trace_id=TRACE, messaging__operation__name="send")
        (served,) = await collector.until(1, name=SERVED, trace_id=TRACE)
        (published,) = await collector.until(1, name=PUBLISH, trace_id=TRACE)
        (routed,) = await collector.until(1, name=PROCESS, trace_id=TRACE)
        (buried,) = await collector.until(1, name="publish GATEWAY_DEAD_LETTERS")
        # The tree
        assert _parent_of(served) == (TRACE, CALLER)
        assert _parent_of(published) == _ids(served)
        assert _parent_of(routed) == _ids(published)
        assert {_parent_of(attempt) for attempt in attempts} == {_ids(routed)}
        assert _parent_of(buried) == _ids(routed)
        assert [span.kind for span in (served, published, routed, *attempts, buried)] == [
            SERVER, PRODUCER, CONSUMER, CLIENT, CLIENT, CLIENT, PRODUCER,
        ]  # fmt: skip
        assert {span.state for span in (served, published, routed, *attempts)} == {"vendor=1"}
        # What each receiver got
        failed = sorted(
            (span for span in attempts if span.name == "send failing"), key=lambda span: span.start
        )
        requests = receiver.requests_to("/failing")
        assert [request.headers["traceparent"] for request in requests] == [
            f"00-{TRACE}-{span.span_id}-01" for span in failed
        ]
        assert requests[0].headers["tracestate"] == "vendor=1"
        (healthy,) = [span for span in attempts if span.name == "send healthy"]
        assert receiver.requests_to("/healthy")[0].headers["traceparent"] == (
            f"00-{TRACE}-{healthy.span_id}-01"
        )
        # The attributes
        assert failed[1].attributes.items() >= {
            "messaging.destination.name": "failing", "messaging.message.id": sent["id"],
            "messaging.message.conversation_id": "order-7", "cloudevents.event_type": "user.made",
            "http.request.method": "POST", "http.response.status_code": 500,
            "http.request.resend_count": 1, "error.type": "ServerError", "event_gateway.run": 1,
            "server.address": "127.0.0.1", "url.scheme": "http",
        }.items()  # fmt: skip
        assert [span.failed for span in (*failed, healthy, routed)] == [True, True, False, False]
        assert served.attributes["http.route"] == "/v1/events"
        assert served.attributes["http.response.status_code"] == 202
        assert routed.attributes["event_gateway.webhooks"] == 2
        assert published.attributes["event_gateway.seq"] == 1
        assert buried.attributes["event_gateway.reason"] == "ServerError"
        for span in (published, routed, *attempts, buried):
            assert 0 <= span.end - span.start < 600e9
            assert span.resource["service.name"] == "event-gateway"
        assert "canary" not in repr([span.attributes for span in collector.spans])
        assert collector.headers["x-api-key"] == "canary-header"
        await _other_ways_in(client, collector, receiver)
        await _subscribers(client, collector)
        await _figures(collector)
        async with asyncio.timeout(PATIENCE):
            while (
                'telemetry_spans_total{result="exported"}'
                not in (await client.http.get("/metrics")).text
            ):
                await asyncio.sleep(0.05)
        # An exemplar names the trace.
        accept = {"accept": "application/openmetrics-text"}
        shown = (await client.http.get("/metrics", headers=accept)).text
        assert '# {trace_id="' in shown


async def _other_ways_in(client: Client, collector: OtlpCollector, receiver: Receiver) -> None:
    """By NATS, by an attribute, without a trace, not sampled, and as a batch."""
    trace = "1" * 32
    await client.nats.publish(
        "user.nats", json.dumps(event("user.nats")).encode(),
        headers={"traceparent": f"00-{trace}-{CALLER}-01"},
    )  # fmt: skip
    (routed,) = await collector.until(1, name=PROCESS, trace_id=trace)
    assert _parent_of(routed) == (trace, CALLER)
    assert routed.attributes["event_gateway.origin"] == "nats"
    # The event's own attribute names where it began: it is the parent, or is linked.
    trace = "2" * 32
    named = event("user.named", traceparent=f"00-{trace}-{CALLER}-01")
    await _post(client, named)
    (published,) = await collector.until(1, name=PUBLISH, trace_id=trace)
    (served,) = await collector.until(1, name=SERVED, trace_id=trace)
    assert _parent_of(served) == (trace, CALLER)
    assert _parent_of(published) == _ids(served)
    linked = event("user.linked", traceparent=f"00-{trace}-{CALLER}-01")
    await _post(client, linked, traceparent=f"00-{'3' * 32}-{CALLER}-01")
    (published,) = await collector.until(1, name=PUBLISH, trace_id="3" * 32)
    assert published.links == [(trace, CALLER)]
    # Neither: the trace begins here, and a batch has a trace for each event, with a link to it.
    batch = [event("user.one"), event("user.two")]
    await _post(client, batch)
    spans = [
        (await collector.until(1, name=PUBLISH, messaging__message__id=sent["id"]))[0]
        for sent in batch
    ]
    assert [span.parent_id for span in spans] == ["", ""]
    assert spans[0].trace_id != spans[1].trace_id
    (request,) = {link for span in spans for link in span.links}
    (served,) = await collector.until(1, name=SERVED, trace_id=request[0])
    assert (_ids(served), served.parent_id) == (request, "")
    for span in spans:
        (routed,) = await collector.until(1, name=PROCESS, trace_id=span.trace_id)
        assert _parent_of(routed) == _ids(span)
    # A caller that records nothing decides so for the gateway and for the receivers.
    silent, before = event("user.silent"), len(receiver.requests_to("/healthy"))
    await _post(client, silent, traceparent=f"00-{'4' * 32}-{CALLER}-00")
    await client.until("healthy", silent["id"], "succeeded")
    header = receiver.requests_to("/healthy")[before].headers["traceparent"]
    assert (header[3:35], header[-3:]) == ("4" * 32, "-00")
    loud = event("user.loud", traceparent=f"00-{'5' * 32}-{CALLER}-01")
    await _post(client, loud)
    await collector.until(1, name="send healthy", trace_id="5" * 32)
    assert not [span for span in collector.spans if span.trace_id == "4" * 32]


async def _subscribers(client: Client, collector: OtlpCollector) -> None:
    """An event has one span for all live subscribers of a stream; a connection that of its
    handshake, or of the beginning of its answer."""
    path, trace = "/v1/streams/users/sse", "6" * 32
    async with client.websocket() as socket, client.websocket() as other:
        for each in (socket, other):
            assert (await each.request(action="subscribe", stream="users"))["type"] == "subscribed"
        opened = await collector.until(2, name="GET /v1/ws")
        assert {span.attributes["http.response.status_code"] for span in opened} == {101}
        assert {span.parent_id for span in opened} == {""}
        async with client.http.stream("GET", path) as answer:
            assert answer.status_code == 200
            (opened_sse,) = await collector.until(1, name="GET /v1/streams/{name}/sse")
            assert opened_sse.attributes["url.path"] == path
            await _post(client, event("user.live"), traceparent=f"00-{trace}-{CALLER}-01")
            name = "stream GATEWAY_STREAM_users"
            (streamed,) = await collector.until(1, name=name, trace_id=trace)
            assert (streamed.kind, streamed.attributes["event_gateway.subscribers"]) == (
                CONSUMER,
                3,
            )
            (published,) = await collector.until(1, name=PUBLISH, trace_id=trace)
            assert _parent_of(streamed) == _ids(published)


async def _figures(collector: OtlpCollector) -> None:
    def counted() -> list[Any]:
        family = collector.metrics.get("event_gateway_delivery_latency_seconds")
        points = [] if family is None else family.histogram.data_points
        return [point for point in points if point.count]

    async with asyncio.timeout(PATIENCE):
        while not counted():
            await asyncio.sleep(0.02)
    ended = collector.metrics["event_gateway_deliveries_total"].sum
    assert (ended.is_monotonic, ended.aggregation_temporality) == (True, 2)
    latency = counted()[0]
    assert [label.value.string_value for label in latency.attributes] == ["healthy"]
    assert sum(latency.bucket_counts) == latency.count
    assert len(latency.bucket_counts) == len(latency.explicit_bounds) + 1


async def test_a_request_of_several_events_is_a_trace_with_links(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    receiver.holds["/batch"] = asyncio.Event()
    async with collecting_grpc() as collector:
        config = _config(collector, receiver)
        config["telemetry"]["otlp"]["protocol"] = "grpc"
        config["webhooks"] = {
            "batch": {"url": f"{receiver.url}/batch", "events": ["user.*"], "mode": "batch",
                      "concurrency": 1},
        }  # fmt: skip
        client = await connect(await start(config))
        sent = [event("user.made") for _ in range(4)]
        await client.send(sent[0])
        await receiver.until(1, "/batch")
        for item in sent[1:]:
            await client.send(item)
        await client.until("batch", sent[3]["id"], "pending")
        receiver.holds["/batch"].set()
        await client.until("batch", sent[3]["id"], "succeeded")
        attempts = await collector.until(4, cloudevents__event_type="user.made",
                                         messaging__operation__name="send")  # fmt: skip
        (request,) = [span for span in collector.spans if "messaging.batch.message_count"
                      in span.attributes]  # fmt: skip
        assert request.attributes["messaging.batch.message_count"] == 3
        of_batch = [span for span in attempts if span.links]
        assert sorted(request.links) == sorted(map(_ids, of_batch))
        assert [span.links for span in of_batch] == [[_ids(request)]] * 3
        assert receiver.requests_to("/batch")[1].headers["traceparent"] == (
            f"00-{request.trace_id}-{request.span_id}-01"
        )
        assert collector.headers["x-api-key"] == "canary-header"


def test_the_environment_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    def resource(**environ: str) -> dict[str, Any]:
        for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
            monkeypatch.setenv(name, environ.get(name, ""))
        export = OtlpExport(Collector("http://127.0.0.1:9"), None, "1.2")
        export.start()
        export.stop()
        return dict(export.resource.attributes)

    given = "service.name=named,host.name=other,service.instance.id=pod,team=core"
    own = resource()
    assert (own["service.name"], own["service.version"]) == ("event-gateway", "1.2")
    named = resource(OTEL_RESOURCE_ATTRIBUTES=given)
    assert (named["service.name"], named["host.name"], named["team"]) == ("named", "other", "core")
    # Else the metrics of several processes would be one series.
    assert named["service.instance.id"] == own["service.instance.id"]
    assert resource(OTEL_RESOURCE_ATTRIBUTES=given, OTEL_SERVICE_NAME="last")["service.name"] == (
        "last"
    )


async def test_a_collector_that_is_away_stops_nothing(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    async with collecting() as collector:
        collector.status = 400  # which is not tried again
        config = _config(collector, receiver, traces={"sampling": 0.0})
        running = await start(config)
        client = await connect(running)
        with capture_logs() as logged:
            sent = event("user.made", traceparent=f"00-{TRACE}-{CALLER}-01")
            await client.send(sent)
            await client.until("healthy", sent["id"], "succeeded")
            async with asyncio.timeout(PATIENCE):
                while not any(line["event"] == "telemetry cannot be exported" for line in logged):
                    await asyncio.sleep(0.02)
                requests = collector.requests.copy()
                while collector.requests["/v1/metrics"] < requests["/v1/metrics"] + 2:
                    await asyncio.sleep(0.02)
            lines = [line for line in logged if "telemetry" in line["event"]]
            assert sorted(line["reason"].partition(":")[0] for line in lines) == [
                "metrics", "traces",
            ]  # fmt: skip
            assert all("400" in line["reason"] for line in lines)
            # It takes traces again, and no metrics: that is said already.
            collector.status, collector.refused = 200, ("/v1/metrics",)
            sent = event("user.made", traceparent=f"00-{TRACE}-{CALLER}-01")
            await client.send(sent)
            await collector.until(1, messaging__message__id=sent["id"])
            async with asyncio.timeout(PATIENCE):
                while len(again := [line for line in logged if "telemetry" in line["event"]]) < 3:
                    await asyncio.sleep(0.02)
                requests = collector.requests.copy()
                while collector.requests["/v1/metrics"] < requests["/v1/metrics"] + 2:
                    await asyncio.sleep(0.02)
            assert again[2]["event"] == "telemetry is exported again"
            assert again[2]["reason"] == "traces"
            assert len([line for line in logged if "telemetry" in line["event"]]) == 3
        # A trace that begins in the gateway is not sampled, and its receivers are told so.
        begun = event("user.begun")
        await client.send(begun)
        await client.until("healthy", begun["id"], "succeeded")
        assert receiver.requests_to("/healthy")[-1].headers["traceparent"].endswith("-00")
        # Off, by a reload: no more spans, and the trace still goes on to the receivers.
        loaded = running.gateway.stages
        former = Config.model_validate(config)
        await loaded.telemetry.configure(Config(), former)
        assert loaded.telemetry.tracing.tracer is None
        last = event("user.last", traceparent=f"00-{TRACE}-{CALLER}-01")
        await client.send(last)
        await client.until("healthy", last["id"], "succeeded")
        header = receiver.requests_to("/healthy")[-1].headers["traceparent"]
        assert (header[3:35], header[-3:]) == (TRACE, "-01")
        recorded = {span.attributes.get("messaging.message.id") for span in collector.spans}
        assert not recorded & {begun["id"], last["id"]}
