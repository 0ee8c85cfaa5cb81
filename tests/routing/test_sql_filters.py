"""Filters in CESQL: of webhooks and subscribers, their errors, warnings, and explanations."""

import asyncio
from typing import Any

import pytest

from support.client import Client, event
from support.patience import PATIENCE
from support.receiver import Receiver


def sql(text: str) -> list[dict[str, Any]]:
    return [{"sql": text}]


async def test_a_webhook_with_a_filter_in_sql(client: Client, receiver: Receiver) -> None:
    text = "source = '/eu' AND EXISTS size AND int(size) > 100 AND 1000 / size > 0"
    webhook = await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], cloudevents_filters=sql(text)
    )
    assert webhook["cloudevents_filters"] == sql(text)
    assert not [each for each in webhook["warnings"] if each["code"].startswith("sql")]
    sent = [event("user.x", source="/eu", size=size) for size in ("50", "200", "x", "101")]
    sent += [event("user.x", source="/us", size="200"), event("user.x", source="/eu")]
    for item in sent:
        await client.send(item)
    requests = await receiver.until(2, "/w")
    assert {request.json["id"] for request in requests} == {sent[1]["id"], sent[3]["id"]}
    # An error is no match, and shown at the webhook.
    async with asyncio.timeout(PATIENCE):
        while not (shown := (await client.http.get("/v1/webhooks/w")).json())["expression_errors"]:
            await asyncio.sleep(0.05)
    latest = shown["expression_errors"]["latest"]
    assert (shown["expression_errors"]["count"], latest["type"]) == (1, "CastError")
    assert latest["message"] == "cannot cast 'x' to Integer"
    assert latest["event_id"] == sent[2]["id"]
    metrics = (await client.http.get("/metrics")).text
    assert 'event_gateway_expression_errors_total{webhook="w"} 1.0' in metrics
    # The errors of another filter start at 0.
    answer = await client.http.patch("/v1/webhooks/w", json={"cloudevents_filters": sql("TRUE")})
    assert answer.status_code == 200, answer.text
    assert (await client.http.get("/v1/webhooks/w")).json()["expression_errors"] is None


async def test_refusals_and_warnings(client: Client, receiver: Receiver) -> None:
    body = {"id": "w", "url": receiver.url, "events": ["a.*"]}
    answer = await client.http.post(
        "/v1/webhooks", json=body | {"cloudevents_filters": [{"any": sql("type = 'a' AND AND")}]}
    )
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["key"] == "cloudevents_filters[0].any[0].sql"
    assert problem["detail"].startswith("is not valid CESQL: line 1, column 16: expected a literal")
    filters = [*sql("1 + 1"), {"not": {"sql": "data = 'x' OR Type = 'a'"}},
               *sql("LENGHT(id) > LENGTH()")]  # fmt: skip
    created = await client.webhook(**body, cloudevents_filters=filters)
    warnings = [each for each in created["warnings"] if each["code"].startswith("sql")]
    assert [(warning["code"], warning["detail"].split(": ")[0]) for warning in warnings] == [
        ("sql_not_boolean", "cloudevents_filters[0]"),
        ("sql_no_attribute", "cloudevents_filters[1]"),
        ("sql_no_attribute", "cloudevents_filters[1]"),
        ("sql_no_function", "cloudevents_filters[2]"),
        ("sql_no_function", "cloudevents_filters[2]"),
    ]
    assert "did you mean LENGTH?" in warnings[3]["detail"]


CASES: list[tuple[str, Any, list[str]]] = [
    ("priority + 1 > 3", True, []),
    ("CONCAT(type, '!')", "user.x!", []),
    ("priority / 0", 0, ["MathError"]),
    ("missing = 'a' OR priority * 'x' = 0", True, ["MissingAttributeError", "CastError"]),
    ("data = 'x'", False, ["MissingAttributeError"]),
    ("NOFUNC()", False, ["MissingFunctionError"]),
    ("LEFT(type, -1)", "user.x", ["FunctionEvaluationError"]),
    ("urgent", True, []),
    ("1 +", False, ["ParseError"]),
    ("(" * 5000, False, ["ParseError"]),
]


async def test_evaluate(client: Client, subtests: pytest.Subtests) -> None:
    sent = event("user.x", {"a": 1}, priority=7, urgent=True)
    for text, value, kinds in CASES:
        with subtests.test(expression=text[:40]):
            body = {"dialect": "cesql", "expression": text, "event": sent}
            answer = await client.http.post("/v1/expressions/evaluate", json=body)
            assert answer.status_code == 200, answer.text
            shown = answer.json()
            assert (type(shown["value"]), shown["value"]) == (type(value), value)
            assert [error["type"] for error in shown["errors"]] == kinds
            assert all(error["message"] and error["position"] >= 0 for error in shown["errors"])
    refused = await client.http.post(
        "/v1/expressions/evaluate", json={"dialect": "sql", "expression": "1", "event": sent}
    )
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"key": "dialect", "detail": "must be one of: cel, cesql"}]
