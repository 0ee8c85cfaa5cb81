"""The answer to a registration says which events on NATS do not reach it."""

from pathlib import Path
from typing import Any

from event_gateway.cli.process.serve import Running
from support.client import Client, connected
from support.fixtures import Start
from support.in_process import check
from support.receiver import Receiver


def told(answer: Any, status: int) -> list[tuple[str, str]]:
    """Code and key of each warning about captured subjects."""
    assert answer.status_code == status, answer.text
    return [
        (warning["code"], warning["detail"].partition(": ")[0])
        for warning in answer.json()["warnings"]
        if warning["code"] in ("wildcard_first", "not_captured", "lifecycle_types")
    ]


async def test_patterns_of_subjects_that_are_not_captured(
    client: Client, receiver: Receiver
) -> None:
    http = client.http
    body = {"id": "w", "url": f"{receiver.url}/w", "events": ["shop.*", "*.created", ">"]}
    answer = await http.post("/v1/webhooks", json=body)
    assert told(answer, 201) == [("wildcard_first", "events[1]"), ("wildcard_first", "events[2]")]
    [detail] = [w["detail"] for w in answer.json()["warnings"] if "events[1]" in w["detail"]]
    assert "'*.created' begins with a wildcard" in detail
    assert "events.>" in detail
    assert "shop.>" in detail  # which the first pattern has captured
    assert told(await http.patch("/v1/webhooks/w", json={"events": ["shop.*"]}), 200) == []
    assert told(await http.put("/v1/webhooks/w", json=body | {"events": ["*"]}), 200) == [
        ("wildcard_first", "events[0]")
    ]
    assert told(await http.put("/v1/webhooks/w", json=body | {"events": ["_a.b"]}), 200) == [
        ("not_captured", "events[0]")
    ]
    made = await http.post("/v1/streams", json={"name": "s", "subjects": ["größe.*", "_a.b"]})
    assert told(made, 201) == [("not_captured", "subjects[1]")]
    changed = await http.patch("/v1/streams/s", json={"subjects": ["größe.*"]})
    assert told(changed, 200) == []
    refused = await http.post("/v1/streams", json={"name": "o", "subjects": ["events.>", "shop.>"]})
    assert refused.status_code == 422
    assert "'events.shop.>'" in refused.text
    assert "no captured subject matches lie below events." in refused.text


async def test_subjects_that_are_chosen(start: Start, receiver: Receiver, tmp_path: Path) -> None:
    hook = {"url": f"{receiver.url}/w", "events": ["*.created"]}
    config = {"ingest": {"subjects": ["mine.>"]}, "webhooks": {"f": hook}}
    running: Running = await start(config)
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        body = {"id": "w", "url": f"{receiver.url}/w", "events": ["other.*", "mine.*"]}
        answer = await client.http.post("/v1/webhooks", json=body)
        assert told(answer, 201) == [("not_captured", "events[0]")]
    path = tmp_path / "gateway.yaml"
    path.write_text("webhooks: {w: {url: 'https://x.y/', events: ['*.created', 'a.b']}}\n")
    assert "webhooks.w.events[0]: '*.created' begins with a wildcard" in check(path).err
