"""Changes that count only for what their caller has read (RFC 9110, 13)."""

import asyncio

from support.client import Client
from support.receiver import Receiver

WEBHOOK: dict[str, object] = {"id": "w", "url": "http://127.0.0.1:18080/", "events": ["a.b"]}
TYPE: dict[str, object] = {"type": "a.b", "description": "one"}
KEY: dict[str, object] = {"name": "k", "scopes": ["events:publish"]}


CASES: list[tuple[str, dict[str, object], dict[str, object]]] = [
    ("/v1/webhooks/w", WEBHOOK, {"description": "x"}),
    ("/v1/streams/s", {"name": "s", "subjects": ["a.b"]}, {"max_messages": 9}),
    ("/v1/event-types/a.b", TYPE, {"description": "two"}),
    ("/v1/keys/", KEY, {"name": "other"}),
    ("/v1/secrets/one", {"value": "x"}, {"value": "y"}),
]


async def test_a_change_counts_only_for_the_definition_that_its_caller_has_read(
    client: Client,
) -> None:
    for path, body, change in CASES:
        await _change_what_was_read(client, path, body, change)


async def _change_what_was_read(
    client: Client, path: str, body: dict[str, object], change: dict[str, object]
) -> None:
    method = "PUT" if path.startswith("/v1/secrets") else "PATCH"
    http = client.http
    if path.startswith("/v1/secrets"):
        created = await http.put(path, json=body, headers={"If-None-Match": "*"})
    else:
        created = await http.post(path.rpartition("/")[0], json=body)
    assert created.status_code == 201, created.text
    path = created.headers.get("location", path)
    read = await http.get(path)
    first = read.headers["etag"]
    assert created.headers["etag"] == first

    wrong = {"If-Match": '"another"'}
    for refused in (
        await http.request(method, path, json=change, headers=wrong),
        await http.delete(path, headers=wrong),
    ):
        assert refused.status_code == 412, refused.text
        assert refused.json()["type"] == "/problems/precondition-failed"
        assert refused.headers["etag"] == first
    weak = await http.request(method, path, json=change, headers={"If-Match": f"W/{first}"})
    assert weak.status_code == 412  # a weak tag never allows a change
    given = {"If-Match": f'"another", {first}'}
    changed = await http.request(method, path, json=change, headers=given)
    assert changed.status_code == 200, changed.text
    second = changed.headers["etag"]
    assert second != first
    assert (await http.get(path)).headers["etag"] == second

    # Of two that have read the same, one changes it. Both requests run at the same time.
    either = await asyncio.gather(*(
        http.request(method, path, json={**change, key: value}, headers={"If-Match": second})
        for key, value in (("description", "3"), ("description", "4"))
    )) if path.startswith("/v1/webhooks") else []  # fmt: skip
    if either:
        assert sorted(answer.status_code for answer in either) == [200, 412]
    bad = await http.delete(path, headers={"If-Match": "no-quotes"})
    assert (bad.status_code, bad.json()["type"]) == (400, "/problems/bad-header")
    latest = (await http.get(path)).headers["etag"]
    assert (await http.delete(path, headers={"If-Match": latest})).status_code == 204


async def test_a_read_is_answered_without_content_where_nothing_has_changed(
    client: Client, receiver: Receiver
) -> None:
    http = client.http
    await http.post("/v1/webhooks", json=WEBHOOK | {"url": receiver.url})
    tag = (await http.get("/v1/webhooks/w")).headers["etag"]
    same = await http.get("/v1/webhooks/w", headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    await http.patch(
        "/v1/webhooks/w",
        content=b'{"metadata": {"a": 1}}',
        headers={"content-type": "application/merge-patch+json"},
    )
    changed = await http.get("/v1/webhooks/w", headers={"If-None-Match": tag})
    assert changed.json()["metadata"] == {"a": 1}
