"""Webhooks get the gateway's lifecycle events, and a delivery of one publishes no other."""

import asyncio
import json
from typing import Any

from nats.js.errors import NotFoundError

from event_gateway.cli.process.serve import Running
from event_gateway.core.streams.definition import LIFECYCLE
from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import ReceivedRequest, Receiver

TWICE = {"max_attempts": 2, "backoff": "fixed", "initial_delay": "50ms"}
OF_DELIVERIES = {
    "webhook.triggered",
    "webhook.failed",
    "webhook.succeeded",
    "webhook.dead_lettered",
}


def about(requests: list[ReceivedRequest], webhook: str) -> list[tuple[str, str | None]]:
    """Type and event id of each lifecycle event about a webhook."""
    return [
        (came.json["type"], came.json["data"].get("event_id"))
        for came in requests
        if came.json["data"]["webhook_id"] == webhook
    ]


def published_about(client: Client, *webhooks: str) -> set[str]:
    """The types of lifecycle events about deliveries of these webhooks."""
    return {
        published["type"]
        for published in client.lifecycle
        if published["data"].get("webhook_id") in webhooks and published["type"] in OF_DELIVERIES
    }


async def consumers(client: Client) -> list[Any]:
    return await client.nats.jetstream().consumers_info(LIFECYCLE)


async def metric(client: Client, name: str) -> float:
    lines = (await client.http.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_failures_of_others_reach_a_webhook_and_its_own_do_not(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers |= {"/no": [500], "/broken": [500]}
    await client.webhook(id="no", url=f"{receiver.url}/no", events=["user.*"], retry_policy=TWICE,
                         circuit_breaker={"failure_threshold": 1000})  # fmt: skip
    earlier = event("user.a")
    await client.send(earlier)
    await client.until("no", earlier["id"], "dead_letter")
    async with asyncio.timeout(PATIENCE):  # lifecycle events may leave after the API shows it
        while "webhook.dead_lettered" not in published_about(client, "no"):
            await asyncio.sleep(0.01)
    await client.webhook(id="all", url=f"{receiver.url}/all", events=[">", "*.failed"])
    assert await consumers(client) == [], "no webhook names lifecycle events"

    made = await client.webhook(
        id="told", url=f"{receiver.url}/told", events=["webhook.failed", "user.never"]
    )
    assert not [each for each in made["warnings"] if each["code"] == "lifecycle_types"]
    # A receiver of all lifecycle events that is broken itself.
    await client.webhook(
        id="broken", url=f"{receiver.url}/broken", events=["webhook.>", "gateway.>"],
        retry_policy=TWICE, circuit_breaker={"failure_threshold": 1000},
    )  # fmt: skip
    received = await metric(client, "event_gateway_events_received_total{")
    sent = event("user.a")
    await client.send(sent)
    requests = await receiver.until(2, "/told")
    assert about(requests, "no") == [("webhook.failed", sent["id"])] * 2
    first = requests[0].json
    match = (await client.http.post("/v1/webhooks/match", json={"event": first})).json()
    assert match["matched"] == ["broken", "told"]
    assert {each["webhook_id"] for each in match["items"] if each["matches"]} == {"broken", "told"}
    forged = {"event": first | {"source": "somebody"}}
    assert (await client.http.post("/v1/webhooks/match", json=forged)).status_code == 422
    assert (first["specversion"], first["source"]) == ("1.0", "event-gateway")
    assert first["subject"] == "webhook/no"
    assert first["data"]["retry_count"] == 1
    assert "enrichment" not in first["data"]
    record = await client.until("told", first["id"], "succeeded", source="event-gateway")
    assert record["attempts"][0]["status_code"] == 200

    about_no = [
        ("webhook.triggered", sent["id"]), ("webhook.failed", sent["id"]),
        ("webhook.dead_lettered", sent["id"]),
    ]  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        while set(about(receiver.requests_to("/broken"), "no")) != set(about_no):
            await asyncio.sleep(0.01)
    dead = await _dead_letters(client, "broken", 1)
    await client.until("broken", dead[0]["event_id"], "dead_letter", source="event-gateway")
    assert {each.json["id"] for each in receiver.requests_to("/all")} == {sent["id"]}
    assert await metric(client, "event_gateway_events_received_total{") == received + 1

    # What one has missed is replayed, from the dead letters and from the log.
    receiver.answers["/broken"] = [200]
    await _replayed(client, "/v1/dead-letters/replay", {"webhook": "broken"})
    letters = {letter["event_id"] for letter in dead}
    async with asyncio.timeout(PATIENCE):
        while not letters <= {
            came.json["id"] for came in receiver.requests_to("/broken") if came.status == 200
        }:
            await asyncio.sleep(0.01)
    before = len(receiver.requests_to("/told"))
    await _replayed(client, "/v1/replays", {
        "webhook": "told", "stream": LIFECYCLE, "from_seq": 1, "types": ["webhook.failed"],
    })  # fmt: skip
    replayed = (await receiver.until(before + 4, "/told"))[before:]
    assert {event_id for _, event_id in about(replayed, "no")} == {earlier["id"], sent["id"]}
    assert published_about(client, "told", "broken") == set()
    assert published_about(client, "no", "all") == OF_DELIVERIES

    # Without such webhooks nobody reads the log any more.
    assert (await consumers(client))[0].config.inactive_threshold > 0
    await client.delete_webhook("broken")
    changed = await client.http.patch("/v1/webhooks/told", json={"events": ["user.never"]})
    assert changed.status_code == 200
    async with asyncio.timeout(PATIENCE):
        while (await consumers(client))[0].num_waiting:
            await asyncio.sleep(0.05)
    await client.send(missed := event("user.a"))
    await client.until("no", missed["id"], "dead_letter")
    # What a webhook gets begins when its patterns name lifecycle events (again).
    before = len(receiver.requests_to("/told"))
    changed = await client.http.patch("/v1/webhooks/told", json={"events": ["webhook.*"]})
    assert changed.status_code == 200
    await client.send(last := event("user.a"))
    async with asyncio.timeout(PATIENCE):
        while ("webhook.dead_lettered", last["id"]) not in about(
            receiver.requests_to("/told")[before:], "no"
        ):
            await asyncio.sleep(0.01)
    events = {event_id for _, event_id in about(receiver.requests_to("/told")[before:], "no")}
    assert events == {last["id"]}


async def test_what_a_service_publishes_as_a_lifecycle_event_reaches_nobody(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="told", url=f"{receiver.url}/told", events=["gateway.>", "stream.>"])
    await client.nats.publish("gateway.up", json.dumps(event("gateway.up")).encode())
    await client.nats.publish("stream.x", b"plain")
    answer = await client.http.post("/v1/streams", json={"name": "s", "subjects": ["user.*"]})
    assert answer.status_code == 201
    (came,) = await receiver.until(1, "/told")
    assert came.json["type"] == "stream.created"
    rejected = (await client.http.get("/v1/rejected")).json()["items"]
    assert {(each["subject"], each["reason"]) for each in rejected} == {
        ("gateway.up", "reserved"), ("stream.x", "malformed"),
    }  # fmt: skip
    retried = await client.http.post(f"/v1/rejected/{rejected[0]['seq']}/retry")
    assert retried.status_code == 422


async def test_in_order_and_after_the_log_was_deleted(
    client: Client, receiver: Receiver, gateway: Running
) -> None:
    for webhook, more in (("told", {}), ("inorder", {"ordered": True})):
        await client.webhook(
            **({"id": webhook, "url": f"{receiver.url}/{webhook}", "events": ["stream.>"]} | more)
        )
    for number in range(3):
        answer = await client.http.post(
            "/v1/streams", json={"name": f"s{number}", "subjects": ["user.*"]}
        )
        assert answer.status_code == 201
    created = [f"stream/s{number}" for number in range(3)]
    assert [came.json["subject"] for came in await receiver.until(3, "/inorder")] == created
    assert {came.json["subject"] for came in await receiver.until(3, "/told")} == set(created)

    await client.nats.jetstream().delete_stream(LIFECYCLE)
    async with asyncio.timeout(PATIENCE):
        while not await _exists(client):
            await asyncio.sleep(0.05)
    for number in range(3):  # of which the first ones may have come before the new log
        assert (await client.http.delete(f"/v1/streams/s{number}")).status_code == 204
    await client.lifecycle_events(3, "stream.deleted")
    stored = await client.stream_messages(LIFECYCLE)
    assert stored
    for path in ("/told", "/inorder"):
        requests = await receiver.until(3 + len(stored), path)
        expected = {json.loads(message.data)["id"] for message in stored}
        assert {came.json["id"] for came in requests[3:]} == expected


async def test_a_narrowed_caller_gets_none(client: Client, receiver: Receiver) -> None:
    url = receiver.url
    receiver.answers["/no"] = [500]
    scopes = ["webhooks:manage", "streams:read"]
    keys = []
    for narrowed in ({"namespaces": ["customer"]}, {"types": [">"]}):
        body = {"name": "partner", "scopes": scopes} | narrowed
        made = await client.http.post("/v1/keys", json=body)
        keys.append({"Authorization": f"Bearer {made.json()['key']}"})
    owned = {"id": "owned", "url": f"{url}/owned", "events": ["webhook.>", "user.*"]}
    made = await client.http.post("/v1/webhooks", json=owned, headers=keys[0])
    assert made.status_code == 201, made.text
    assert [each["code"] for each in made.json()["warnings"]].count("lifecycle_types") == 1
    wide = owned | {"id": "wide"}
    refused = await client.http.post("/v1/webhooks", json=wide, headers=keys[1])
    assert refused.status_code == 422, "the types of a key do not name lifecycle events by >"

    await client.webhook(id="told", url=f"{url}/told", events=["webhook.dead_lettered"])
    await client.webhook(id="no", url=f"{url}/no", events=["user.*"], retry_policy=TWICE)
    await client.send(sent := event("user.a", {"namespace": "customer"}))
    await receiver.until(1, "/told")
    # The events before that one have passed all webhooks as well.
    assert {came.json["id"] for came in receiver.requests_to("/owned")} == {sent["id"]}


async def _exists(client: Client) -> bool:
    try:
        await client.nats.jetstream().stream_info(LIFECYCLE)
    except NotFoundError:
        return False
    return True


async def _dead_letters(client: Client, webhook: str, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.http.get("/v1/dead-letters", params={"webhook": webhook})
            if len(items := answer.json()["items"]) >= count:
                return list(items)
            await asyncio.sleep(0.05)


async def _replayed(client: Client, path: str, body: dict[str, Any]) -> None:
    answer = await client.http.post(path, json=body)
    assert answer.status_code == 202, answer.text
    replay = answer.json()["id"]
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get(f"/v1/replays/{replay}")).json()["state"] != "done":
            await asyncio.sleep(0.05)
