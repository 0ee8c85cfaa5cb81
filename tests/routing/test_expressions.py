"""CEL expressions of webhooks: their variables, their limits, and refusals at registration."""

import asyncio
from typing import Any

from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver


async def test_a_webhook_with_an_expression(client: Client, receiver: Receiver) -> None:
    text = 'event.data.size > 100 && event.source.startsWith("/data")'
    webhook = await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], expression=text
    )
    assert webhook["expression"] == text
    sent = [event("user.x", {"size": size}, source="/data/1") for size in (50, 200, 101)]
    sent.append(event("user.x", {"other": 1}, source="/data/1"))
    sent.append(event("user.x", {"size": 500}, source="/data/2"))
    sent.append(event("user.x", {"size": 500}, source="/other"))
    for item in sent:
        await client.send(item)
    requests = await receiver.until(3, "/w")
    assert {request.json["id"] for request in requests} == {sent[n]["id"] for n in (1, 2, 4)}
    # Failed evaluations are shown at the webhook.
    async with asyncio.timeout(PATIENCE):
        while not (shown := (await client.http.get("/v1/webhooks/w")).json())["expression_errors"]:
            await asyncio.sleep(0.05)
    latest = shown["expression_errors"]["latest"]
    assert (shown["expression_errors"]["count"], latest["type"]) == (1, "no_such_key")
    assert latest["event_id"] == sent[3]["id"]
    assert (
        'event_gateway_expression_errors_total{webhook="w"} 1.0'
        in (await client.http.get("/metrics")).text
    )
    # A response can be sent back, and the errors of another expression start at 0.
    answer = await client.http.put("/v1/webhooks/w", json=shown | {"expression": "true"})
    assert answer.status_code == 200, answer.text
    assert (await client.http.get("/v1/webhooks/w")).json()["expression_errors"] is None
    answer = await client.http.patch("/v1/webhooks/w", json={"expression": "event.type > 5"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["key"] == "expression"


async def test_evaluate(client: Client) -> None:
    async def ask(**body: Any) -> Any:
        return await client.http.post("/v1/expressions/evaluate", json=body)

    sent = event("user.x", {"size": 7})
    answer = await ask(dialect="cel", expression="event.data.size * 2", event=sent)
    assert (answer.status_code, answer.json()) == (200, {"value": 14, "errors": []})
    answer = await ask(dialect="cel", expression="event.data.no > 2", event=sent)
    assert answer.json()["value"] is None
    assert answer.json()["errors"][0]["type"] == "no_such_key"
    for body, key in (
        ({"dialect": "lua", "expression": "1", "event": sent}, "dialect"),
        ({"dialect": "cel", "expression": "1 +", "event": sent}, "expression"),
        ({"dialect": "cel", "event": sent}, "expression"),
        ({"dialect": "cel", "expression": "true", "event": {"id": "x"}}, "event"),
        ({"dialect": "cel", "expression": "true"}, "event"),
    ):
        answer = await ask(**body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["key"] == key
    answer = await client.http.post("/v1/expressions/evaluate", json={"cel": "1"})
    assert (answer.status_code, "unknown" in answer.json()["detail"]) == (422, True)
