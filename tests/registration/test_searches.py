"""``?search=`` of the lists: which items it finds, and what a page with it says."""

import asyncio
from typing import Any

import pytest

from event_gateway.broker import rejected as rejected_input
from support.client import Client
from support.patience import PATIENCE

pytestmark = pytest.mark.shared

KEY = {"name": "Billing service", "scopes": ["events:publish"], "namespaces": ["customer"]}


async def _found(client: Client, path: str, search: str, member: str, **query: Any) -> list[Any]:
    answer = await client.http.get(path, params={"search": search, **query})
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["next"] is not None or page["total"] == len(page["items"])
    return [item[member] for item in page["items"]]


async def test_streams_are_found_by_name_and_subjects(client: Client) -> None:
    for name, subject in (("orders_live", "shop.orders.>"), ("users", "shop.users.>")):
        stream = {"name": name, "subjects": [subject], "retention": "1d"}
        assert (await client.http.post("/v1/streams", json=stream)).status_code == 201
    assert await _found(client, "/v1/streams", "ORDERS", "name") == ["orders_live"]
    assert await _found(client, "/v1/streams", "shop.", "name") == ["orders_live", "users"]
    assert await _found(client, "/v1/streams", "none", "name") == []


async def test_keys_are_found_by_what_is_shown_of_them(client: Client) -> None:
    made = (await client.http.post("/v1/keys", json=KEY)).json()
    for search in ("billing", "CUSTOMER", "events:publish", made["id"][2:9]):
        assert await _found(client, "/v1/keys", search, "id") == [made["id"]], search
    assert await _found(client, "/v1/keys", made["key"][-20:], "id") == [], "not by its value"


async def test_secrets_are_found_by_name_namespace_and_webhook(client: Client) -> None:
    await client.http.put("/v1/secrets/crm_token", json={"value": "v", "namespaces": ["sales"]})
    await client.http.put("/v1/secrets/other", json={"value": "needle"})
    security = {"auth_type": "bearer_token", "secret_name": "crm_token"}
    await client.webhook(id="hook-7", url="http://127.0.0.1:8099/", events=["a"], security=security)
    for search in ("CRM", "sales", "hook-7"):
        assert await _found(client, "/v1/secrets", search, "name") == ["crm_token"], search
    assert await _found(client, "/v1/secrets", "needle", "name") == [], "not by its value"


async def test_event_types_are_found_by_type_description_and_owner(client: Client) -> None:
    for body in (
        {"type": "shop.order", "description": "An order was placed", "owner": "sales"},
        {"type": "shop.user", "owner": "accounts"},
    ):
        assert (await client.http.post("/v1/event-types", json=body)).status_code == 201
    assert await _found(client, "/v1/event-types", "PLACED", "type") == ["shop.order"]
    assert await _found(client, "/v1/event-types", "account", "type") == ["shop.user"]
    assert await _found(client, "/v1/event-types", "shop", "type") == ["shop.order", "shop.user"]


async def test_rejected_input_is_found_by_reason_subject_header_and_data(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected_input, "MAX_READ", 2)
    monkeypatch.setattr(rejected_input, "PASSAGE", 2)
    bodies = [b"not json %d" % n for n in range(6)] + [b"\xff\xfe Needle"]
    for n, body in enumerate(bodies):
        await client.nats.publish(f"events.odd.n{n}", body, headers={"X-From": f"sender-{n}"})
    async with asyncio.timeout(PATIENCE):
        while await _count(client) < len(bodies):
            await asyncio.sleep(0.05)

    async def walked(search: str) -> list[str]:
        subjects, cursor = [], None
        while True:
            query: dict[str, Any] = {"search": search, "limit": 3}
            query |= {"cursor": cursor} if cursor else {}
            page = (await client.http.get("/v1/rejected", params=query)).json()
            subjects += [item["subject"] for item in page["items"]]
            if cursor is not None or page["next"] is not None:
                assert (page["total"], page["total_is_estimate"]) == (None, True)
            if (cursor := page["next"]) is None:
                return subjects

    assert await walked("needle") == ["events.odd.n6"]
    assert await walked("JSON 3") == ["events.odd.n3"]
    assert await walked("sender-1") == ["events.odd.n1"]
    assert await walked("odd.n") == [f"events.odd.n{n}" for n in reversed(range(7))]
    assert await walked("nowhere") == []


async def _count(client: Client) -> int:
    page = (await client.http.get("/v1/rejected", params={"limit": 1})).json()
    return int(page["total"])
