"""Webhooks are found by a text."""

from support.client import Client, event


async def test_webhooks_are_found_by_a_text(client: Client) -> None:
    for name, about in (("crm", "Orders of the shop"), ("orders_log", None), ("siem", None)):
        url = f"https://{name}.example.com/in"
        await client.webhook(id=name, url=url, events=["user.>"], description=about)

    async def found(text: str) -> list[str]:
        answer = await client.http.get("/v1/webhooks", params={"search": text})
        return [each["id"] for each in answer.json()["items"]]

    assert await found("ORDERS") == ["crm", "orders_log"]
    assert await found("siem.example") == ["siem"]
    assert await found("nothing") == []


async def test_a_list_says_what_waits(client: Client) -> None:
    await client.webhook(id="w", url="https://w.example.com/in", events=["user.>"], enabled=False)
    for _ in range(3):
        sent = event("user.made")
        await client.send(sent)
    await client.until("w", sent["id"], "pending")
    plain = (await client.http.get("/v1/webhooks")).json()["items"]
    assert "queue" not in plain[0]
    (item,) = (await client.http.get("/v1/webhooks", params={"queues": True})).json()["items"]
    assert item["queue"]["depth"] == 3
    assert item["queue"]["breaker"] == "closed"
    assert item["queue"]["oldest_seconds"] >= 0
