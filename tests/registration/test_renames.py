"""A renamed webhook keeps its queue, its history, its dead letters and its place in the order."""

import asyncio
from typing import Any

from msgspec.structs import replace

from event_gateway.cli.process.serve import Running
from event_gateway.core.webhook.renaming import taking_over
from support.client import Client, event
from support.narrow_callers import NarrowCallers
from support.patience import PATIENCE
from support.receiver import Receiver

PATIENT = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "200ms"}


async def _gone(client: Client, *names: str) -> None:
    async with asyncio.timeout(PATIENCE):
        for name in names:
            while (await client.http.get(f"/v1/webhooks/{name}")).status_code != 404:
                await asyncio.sleep(0.1)


async def test_renaming_over_the_api(gateway: Running, client: Client, receiver: Receiver) -> None:
    receiver.answers["/line"] = receiver.answers["/dead"] = receiver.answers["/two"] = [500]
    line: dict[str, Any] = {
        "url": f"{receiver.url}/line", "events": ["user.*"], "ordered": True, "timeout": "200ms",
        "retry_policy": PATIENT, "circuit_breaker": {"failure_threshold": 10000},
    }  # fmt: skip
    dead: dict[str, Any] = {
        "url": f"{receiver.url}/dead", "events": ["user.*"], "timeout": "200ms",
        "retry_policy": {"max_attempts": 1}, "circuit_breaker": {"open_for": "2s"},
    }  # fmt: skip
    two: dict[str, Any] = {
        "url": f"{receiver.url}/two", "events": ["user.*"], "timeout": "200ms",
        "retry_policy": PATIENT | {"initial_delay": "1h"},
    }  # fmt: skip
    await client.webhook(id="line", **line)
    await client.webhook(id="dead", **dead)
    await client.webhook(id="first", **two)
    sent = [event("user.a", {"n": number}) for number in range(5)]
    for each in sent:
        await client.send(each)
    await client.until("line", sent[0]["id"], "retrying")
    for each in sent:
        await client.until("dead", each["id"], "dead_letter")
        await client.until("first", each["id"], "retrying")
    await client.webhook(id="second", **two)
    breaker = (await client.http.get("/v1/webhooks/dead/stats")).json()["breaker"]
    assert breaker["open_since"] is not None
    # An id that is not registered is no mistake; other things of a former webhook must fit.
    await client.webhook(id="fresh", **two | {"events": ["none.*"]}, renamed_from="never")
    unordered = await client.http.post(
        "/v1/webhooks", json={"id": "x", **line, "ordered": False, "renamed_from": "line"}
    )
    assert (unordered.status_code, unordered.json()["errors"][0]["key"]) == (422, "ordered")
    await client.webhook(id="line2", **line, renamed_from="line")
    await client.webhook(id="dead2", **dead, renamed_from="dead")
    joined = await client.http.patch("/v1/webhooks/second", json={"renamed_from": "first"})
    assert joined.status_code == 200, joined.text
    # What waits is under the new id soon, also if that was registered before.
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/webhooks/second/stats")).json()["queue_depth"] < 5:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(PATIENCE):
        while (await client.http.get("/v1/webhooks/dead2/stats")).json()["breaker"][
            "open_since"
        ] != breaker["open_since"]:
            await asyncio.sleep(0.05)
    taken = await client.http.patch("/v1/webhooks/dead", json={"enabled": False})
    assert (taken.status_code, "was renamed to dead2" in taken.text) == (409, True)
    # Its dead letters are found at once; when the former id is gone, its history is.
    letters = (await client.http.get("/v1/dead-letters?webhook=dead2")).json()["items"]
    assert [letter["webhook_id"] for letter in letters] == ["dead2"] * 5
    # What its caller may not see is not taken over, nor what is registered later.
    await client.webhook(id="theirs", **two | {"events": ["none.*"]})
    await client.webhook(id="early", **two | {"events": ["none.*"]}, renamed_from="later")
    await client.webhook(id="later", **two | {"events": ["none.*"]})
    async with NarrowCallers(gateway).caller(namespaces=("rival",)) as rival:
        named = {"id": "thief", **two, "events": ["none.*"], "renamed_from": "theirs"}
        assert (await rival.http.post("/v1/webhooks", json=named)).status_code == 201
    other = await client.http.patch("/v1/webhooks/thief", json={"renamed_from": "early"})
    assert (other.status_code, other.json()["errors"][0]["key"]) == (422, "renamed_from")
    # A process may have ended between the two writes of a renaming: another one goes on.
    registry = gateway.gateway.stages.adapters.registry
    half = registry.webhooks["fresh"]
    whole = replace(half, id="whole", renamed_from="fresh", events=("user.*",))
    await registry.put_webhook(taking_over(whole, half), None)
    # Another process that reads the same file meanwhile does not delete the former one.
    registrations = gateway.gateway.stages.registrations
    declared = replace(registry.webhooks["theirs"], id="declared", managed_by="file")
    await registry.put_webhook(declared, None)
    again = replace(declared, id="again", renamed_from="declared")
    await registry.put_webhook(taking_over(again, declared), None)
    assert (await registrations.plans.plan([again], [], [])).steps == ()
    await registrations.file_webhooks.load([again])
    assert not registry.webhooks["declared"].deleting
    await client.webhook(id="mate", **two | {"events": ["none.*"]})
    early = registry.webhooks["early"]
    await registry.put_webhook(replace(early, takes_over="mate"), early)
    async with asyncio.timeout(PATIENCE):
        while not all(registry.webhooks[name].renamed_to for name in ("fresh", "mate", "declared")):
            await asyncio.sleep(0.05)
    # A file that names the former id again has both webhooks.
    await registrations.file_webhooks.load([again, declared])
    await client.send(event("user.a", {"n": 5}, id="later"))
    await client.until("whole", "later", "retrying")
    await client.until("dead2", "later", "dead_letter")
    await _gone(client, "line", "dead", "first", "fresh", "mate")
    assert (registry.webhooks["early"].formerly, registry.webhooks["early"].takes_over) == (
        ("mate",), "",
    )  # fmt: skip
    for name in ("theirs", "later", "declared", "again"):
        assert (registry.webhooks[name].renamed_to, registry.webhooks[name].state) == ("", "active")
    # A former id that is registered again is that of another webhook.
    assert registry.webhooks["second"].formerly == ("first",)
    await client.webhook(id="first", **two | {"events": ["none.*"]})
    assert not registry.webhooks["second"].formerly
    assert registry.current_id("first") == "first"
    stats = (await client.http.get("/v1/webhooks/dead2/stats")).json()
    assert (stats["dead_lettered"], stats["attempts"]) == (6, 6)
    shown = (await client.http.get(f"/v1/deliveries/dead2/{sent[0]['id']}")).json()
    assert (shown["status"], len(shown["attempts"])) == ("dead_letter", 1)
    listed = (await client.http.get("/v1/webhooks/dead2/deliveries")).json()["items"]
    assert len(listed) == 6
    receiver.answers["/dead"] = [200]
    answer = await client.http.patch("/v1/webhooks/dead2", json={"timeout": "30s"})
    assert answer.status_code == 200, answer.text
    replayed = await client.http.post("/v1/dead-letters/replay", json={"webhook": "dead2"})
    assert replayed.status_code == 202
    for each in sent:
        await client.until("dead2", each["id"], "succeeded")
    # The order goes on where it was, under the same message ids.
    receiver.answers["/line"] = [200]
    await client.until("line2", "later", "succeeded")
    numbers = [request.json["data"]["n"] for request in receiver.requests_to("/line")]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(6))
    ids = {request.headers["webhook-id"] for request in receiver.requests_to("/line")}
    assert len(ids) == 6
