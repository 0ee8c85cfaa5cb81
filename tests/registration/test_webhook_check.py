"""A definition is checked, and tried on events, before it is registered."""

from typing import Any

from support.client import Client, event
from support.receiver import Receiver


async def _checked(client: Client, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = await client.http.post("/v1/webhooks/check", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def test_what_a_definition_would_do(client: Client, receiver: Receiver) -> None:
    wanted = event("ontology.schema.created", {"namespace": "customer"})
    other = event("ontology.schema.created", {"namespace": "rival"})
    strange = event("user.authenticated")
    definition = {
        "id": "crm", "url": receiver.url, "events": ["ontology.>"], "namespaces": ["customer"],
        "transformation": "crm_format",
        "security": {"auth_type": "bearer_token", "secret_name": "crm_token"},
    }  # fmt: skip
    answer = await _checked(client, webhook=definition, events=[strange, other, wanted])
    assert [each["matches"] for each in answer["events"]] == [False, False, True]
    assert answer["events"][0]["failed"]["condition"] == "events"
    assert "rival" in answer["events"][1]["failed"]["detail"]
    assert answer["sample"]["id"] == wanted["id"]
    assert answer["request"]["url"] == receiver.url
    assert answer["request"]["body"]["event_id"] == wanted["id"]
    assert answer["request"]["authentication"] == ["bearer_token"]
    assert not answer["existing"]
    assert any("crm_token" in each["detail"] for each in answer["warnings"])
    assert answer["webhook"]["retry_policy"]["max_attempts"] == 3
    # Nothing was registered or sent.
    assert (await client.http.get("/v1/webhooks")).json()["items"] == []
    assert receiver.requests == []

    await client.webhook(**definition)
    answer = await _checked(client, webhook=definition)
    assert answer["existing"]
    assert answer["sample"]["type"] == "ontology.test"


async def test_what_is_wrong_with_a_definition(client: Client) -> None:
    valid = {"id": "w", "url": "https://a.example.com/", "events": ["user.>"]}
    problem = await _checked(client, 422, webhook=valid | {"url": "nowhere", "events": []})
    assert problem["errors"]
    await _checked(client, 422, webhook=valid | {"timeout": "soon"})
    await _checked(client, 422, webhook=valid, events=[{"id": "1"}])
    await _checked(client, 422, webhook=valid, events=[event("user.made")] * 101)
    await _checked(client, 422, webhook=valid, other=1)
    await _checked(client, 422)
