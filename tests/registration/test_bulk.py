"""Many webhooks or deliveries in one request, and lists of those for which something holds."""

from typing import Any

from support.client import Client, event
from support.receiver import Receiver

LATER = {"max_attempts": 9, "backoff": "fixed", "initial_delay": "1h"}


async def _changed(client: Client, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_webhooks_are_disabled_and_enabled_by_what_holds_of_them(
    client: Client, receiver: Receiver
) -> None:
    for name, team, events in (("a", "crm", "a.>"), ("b", "crm", "b.>"), ("c", "siem", "a.b")):
        await client.webhook(id=name, url=receiver.url, events=[events], metadata={"team": team})

    async def listed(query: str) -> tuple[list[str], int]:
        answer = await client.http.get(f"/v1/webhooks?{query}")
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]], answer.json()["total"]

    assert await listed("limit=2") == (["a", "b"], 3)
    assert await listed("event=a.b") == (["a", "c"], 2)
    assert await listed("event=b.*&metadata=team:crm&state=active") == (["b"], 1)
    assert await listed("managed_by=file") == ([], 0)
    assert await listed("managed_by=applied/crm") == ([], 0)
    assert await listed("state=orphaned") == ([], 0)
    assert (await client.http.get("/v1/webhooks?metadata=team")).status_code == 422

    crm = {"action": "disable", "metadata": {"team": "crm"}}
    path = "/v1/webhooks/bulk"
    would = await _changed(client, path, **crm, dry_run=True)
    assert (would["matched"], would["changed"], would["dry_run"]) == (2, ["a", "b"], True)
    assert await listed("state=paused") == ([], 0)
    done = await _changed(client, path, **crm)
    assert (done["changed"], done["unchanged"], done["failed"]) == (["a", "b"], 0, [])
    assert await listed("state=paused") == (["a", "b"], 2)
    again = await _changed(client, path, **crm)
    assert (again["changed"], again["unchanged"]) == ([], 2)
    back = await _changed(client, path, action="enable", ids=["b", "none", "c"])
    assert (back["changed"], back["unchanged"]) == (["b"], 1)
    assert back["failed"] == [{"id": "none", "detail": "there is no webhook none"}]
    for wrong in ({}, {"ids": []}, {"all": True, "ids": ["a"]}, {"event": "a..b"}):
        answer = await client.http.post(path, json={"action": "enable", **wrong})
        assert answer.status_code == 422, wrong
    records = (await client.http.get("/v1/audit-log?operation=webhooks.bulk")).json()["items"]
    assert records[0]["operation"] == "webhooks.bulk"


async def test_deliveries_are_retried_and_cancelled_by_their_status(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500] * 5 + [200]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.>"], retry_policy=LATER,
                         circuit_breaker={"failure_threshold": 100})  # fmt: skip
    sent = [event("user.a") for _ in range(5)]
    for each in sent:
        await client.send(each)
    for each in sent:
        await client.until("w", each["id"], "retrying")
    path, which = "/v1/deliveries/bulk", {"webhook": "w", "status": ["pending", "retrying"]}
    would = await _changed(client, path, action="cancel", **which, dry_run=True)
    assert (would["matched"], would["changed"], would["next"]) == (5, 5, None)

    first = await _changed(client, path, action="cancel", **which, limit=2)
    assert (first["matched"], first["changed"], first["next"] is None) == (2, 2, False)
    rest = await _changed(client, path, action="retry", **which, cursor=first["next"])
    assert (rest["matched"], rest["changed"], rest["failed"], rest["next"]) == (3, 3, [], None)
    statuses = [(await client.http.get(f"/v1/deliveries/w/{each['id']}")).json()["status"]
                for each in sent]  # fmt: skip
    assert statuses.count("cancelled") == 2
    for each, status in zip(sent, statuses, strict=True):
        if status != "cancelled":
            await client.until("w", each["id"], "succeeded")
    ended = await _changed(client, path, action="cancel", webhook="w", status=["succeeded"])
    assert (ended["matched"], ended["changed"]) == (3, 0)
    assert "has ended: succeeded" in ended["failed"][0]["detail"]
    for wrong in ({"status": []}, {"status": ["done"]}, {"limit": 0}, {"cursor": "x"}):
        answer = await client.http.post(path, json={"action": "retry", "webhook": "w", **wrong})
        assert answer.status_code in (400, 422), wrong
