"""The conditions of a webhook over the API and in the file, and the explanation of a match."""

from typing import Any

import pytest

from support.client import STRUCTURED, Client, event
from support.fixtures import Start
from support.receiver import Receiver

pytestmark = pytest.mark.shared

DATA = {"namespace": "customer", "size": 7, "items": [{"sku": "a"}, {"sku": "b"}]}
SELECTIVE: dict[str, Any] = {
    "namespaces": ["customer"],
    "sources": ["/shop"],
    "filters": [
        {"field": "data.items[*].sku", "operator": "equals", "value": "b"},
        {"any": [
            {"field": "data.size", "operator": "gt", "value": 100},
            {"all": [
                {"field": "data.size", "operator": "lte", "value": 7},
                {"not": {"field": "subject", "operator": "exists"}},
            ]},
        ]},
    ],
    "cloudevents_filters": [{"prefix": {"type": "user."}}, {"not": {"exact": {"ext": "x"}}}],
    "expression": "event.data.size < 10",
}  # fmt: skip


async def test_every_condition_is_stored_and_shown(client: Client, receiver: Receiver) -> None:
    webhook = await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], **SELECTIVE)
    for key, value in SELECTIVE.items():
        assert webhook[key] == value
    shown = (await client.http.get("/v1/webhooks/w")).json()
    answer = await client.http.put("/v1/webhooks/w", json=shown)
    assert answer.status_code == 200, answer.text
    assert {key: answer.json()[key] for key in SELECTIVE} == SELECTIVE
    sent = event("user.x", DATA, source="/shop")
    await client.send(sent)
    await client.send(event("user.x", DATA | {"items": []}, source="/shop"))
    await client.send(event("user.x", DATA | {"size": 8}, source="/shop"))
    await client.send(event("user.x", DATA, source="/shop", ext="x"))
    last = event("user.x", DATA, source="/shop")
    await client.send(last)
    requests = await receiver.until(2, "/w")
    assert [received.json["id"] for received in requests] == [sent["id"], last["id"]]


async def test_match_explains(client: Client, receiver: Receiver) -> None:
    url = f"{receiver.url}/w"
    for name, more in (
        ("all", {}),
        ("by-type", {"events": ["user.y", "other.>"]}),
        ("by-namespace", SELECTIVE | {"namespaces": ["internal"]}),
        ("by-source", SELECTIVE | {"sources": ["/factory"]}),
        ("by-filter", SELECTIVE | {"filters": [
            {"field": "id", "operator": "exists"},
            {"all": [{"field": "data.size", "operator": "between", "value": [8, 9]}]}]}),
        ("by-any", {"filters": [{"any": [{"field": "id", "operator": "equals", "value": "no"}]}]}),
        ("by-dialect", SELECTIVE | {"cloudevents_filters": [{"exact": {"ext": "x"}}]}),
        ("by-sql", {"cloudevents_filters": [{"sql": "source = '/shop' AND type LIKE '%.y'"}]}),
        ("by-sql-error", {"cloudevents_filters": [{"not": {"not": {"sql": "ext = 1"}}}]}),
        ("by-expression", {"expression": "event.data.size > 7"}),
        ("by-error", {"expression": "event.data.nothing > 7"}),
        ("ordered", SELECTIVE | {"ordered": True}),
        ("paused", SELECTIVE | {"enabled": False}),
    ):  # fmt: skip
        await client.webhook(id=name, url=url, **({"events": ["user.*"]} | more))
    sent = event("user.x", DATA, source="/shop")

    async def ask(json: Any, **params: Any) -> dict[str, Any]:
        answer = await client.http.post("/v1/webhooks/match", json=json, params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    answer = await ask({"event": sent})
    assert answer["matched"] == ["all", "ordered", "paused"]
    assert (answer["matched_count"], answer["next"]) == (3, None)
    items = {item["webhook_id"]: item for item in answer["items"]}
    assert {name for name, item in items.items() if item["matches"]} == {"all", "ordered", "paused"}
    assert items["paused"]["state"] == "paused"
    failed = {name: item["failed"] for name, item in items.items() if not item["matches"]}
    assert {name: item["condition"] for name, item in failed.items()} == {
        "by-type": "events", "by-namespace": "namespaces", "by-source": "sources",
        "by-filter": "filters[1].all[0]", "by-any": "filters[0]",
        "by-dialect": "cloudevents_filters[0]", "by-expression": "expression",
        "by-sql": "cloudevents_filters[0]", "by-sql-error": "cloudevents_filters[0]",
        "by-error": "expression",
    }  # fmt: skip
    assert failed["by-filter"]["detail"] == "data.size is 7; wanted: between [8,9]"
    assert failed["by-dialect"]["detail"] == 'ext is not there; wanted: equals "x"'
    assert failed["by-sql"]["detail"] == "type LIKE '%.y' is false; type is \"user.x\""
    assert "no_such_key" in failed["by-error"]["detail"]
    # The body may be the event itself; results have pages; webhooks can be selected.
    page = await ask(sent, limit=4)
    rest = await ask(sent, limit=100, cursor=page["next"])
    assert [item["webhook_id"] for item in page["items"] + rest["items"]] == sorted(items)
    assert [item["webhook_id"] for item in (await ask(sent, webhook="paused"))["items"]] == [
        "paused"
    ]
    # Nothing was sent, recorded, or counted.
    assert not receiver.requests
    assert (await client.http.get("/v1/webhooks/by-error")).json()["expression_errors"] is None
    # And the router decides in the same way.
    await client.send(sent)
    await receiver.until(2, "/w")
    await client.until("paused", sent["id"], "pending")
    for body, status in (({"event": {"id": 1}}, 422), ({}, 422), (sent | {"source": ""}, 422)):
        refused = await client.http.post("/v1/webhooks/match", json=body)
        assert refused.status_code == status, refused.text
    refused = await client.http.post("/v1/webhooks/match?webhook=no", json=sent)
    assert refused.status_code == 404
    accepted = await client.http.post("/v1/webhooks/match", json=sent, headers=STRUCTURED)
    assert accepted.status_code == 200, accepted.text


INVALID_CONDITIONS: list[tuple[dict[str, Any], str]] = [
    ({"filters": [{"field": "data.x", "operator": "matches", "value": "(a"}]}, "filters[0]"),
    ({"filters": [{"any": []}]}, "filters[0].any"),
    ({"filters": [{"field": "data.x", "operator": "gt"}]}, "filters[0].value"),
    ({"filters": [{"any": [{"field": "data..x", "operator": "exists"}]}]}, "filters[0].any[0]"),
    ({"filters": [{"field": "data.x"}]}, "filters.0"),
    ({"filters": [{"field": "data.x", "operator": "exists", "not": {}}]}, "filters.0"),
    ({"filters": [{"nor": []}]}, "filters.0.nor"),
    ({"cloudevents_filters": [{"sql": "x = "}]}, "cloudevents_filters[0].sql"),
    ({"expression": "event.data.x >"}, "expression"),
    ({"expression": "size(event.data)"}, "expression"),
    ({"ordered": {"by": "data.items[*]"}}, "ordered.by"),
]


async def test_invalid_conditions_are_refused_at_registration(
    client: Client, receiver: Receiver, subtests: pytest.Subtests
) -> None:
    for change, key in INVALID_CONDITIONS:
        with subtests.test(change=change, key=key):
            body = {"id": "w", "url": receiver.url, "events": ["a.*"]} | change
            answer = await client.http.post("/v1/webhooks", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["key"].startswith(key)


async def test_deeply_nested_groups(client: Client) -> None:
    for depth in (9, 200, 100_000):
        deep = '{"not":' * depth + "{}" + "}" * depth
        body = f'{{"id":"w","url":"http://127.0.0.1:1/","events":["a"],"filters":[{deep}]}}'
        answer = await client.http.post(
            "/v1/webhooks", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422), answer.text
    assert (await client.http.get("/readyz")).status_code == 200


async def test_every_condition_in_the_file(
    start: Start, connect: Start, receiver: Receiver
) -> None:
    webhook = {"url": f"{receiver.url}/w", "events": ["user.*"]} | SELECTIVE
    client = await connect(await start({"webhooks": {"w": webhook}}))
    sent = event("user.x", DATA, source="/shop")
    await client.send(sent)
    (request,) = await receiver.until(1, "/w")
    assert request.json["id"] == sent["id"]
