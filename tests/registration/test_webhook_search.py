"""Webhooks are found by a text."""

from support.client import Client


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
