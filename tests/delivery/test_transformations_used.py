"""Transformations in a running gateway: what receivers get, and what happens on errors."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from support.client import Client, connected, event
from support.command import command
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver

OWN = {
    "cef": {"base": "siem_format", "format": "cef"},
    "acme": {"base": "analytics_format", "platform": "acme"},
    "chat": {"template": {"text": "{{ type }} by {{ data.user ?? error }}", "n": "{{ data.n }}"}},
    "plain": {"template": "{{ id }}|{{ data.enrichment.gateway_version ?? \"plain\" }}",
              "content_type": "text/plain"},
    "counting": {"python": "support.functions:counting"},
    "told": {"python": "support.functions:on_request"},
}  # fmt: skip

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    return {"transformations": OWN}


async def test_each_receiver_gets_its_own_format(client: Client, receiver: Receiver) -> None:
    names = ["standard", "analytics_format", "crm_format", "siem_format", *list(OWN)[:4]]
    for name in names:
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["user.*"],
                             transformation=name, enrich=False)  # fmt: skip
    sent = event("user.created", {"user": "ann", "n": 1.5}, subject="user/7")
    await client.send(sent)
    await receiver.until(len(names))
    result = {request.path[1:]: request for request in receiver.requests}
    assert result["standard"].json == sent
    assert result["analytics_format"].json["payload"] == sent["data"]
    assert result["acme"].json["metadata"]["platform"] == "acme"
    assert result["crm_format"].json["object_id"] == "7"
    assert result["siem_format"].json["event"]["category"] == ["iam"]
    assert result["cef"].body.decode().startswith("CEF:0|Arrakis|Event Gateway|")
    assert result["chat"].json == {"text": "user.created by ann", "n": 1.5}
    assert result["plain"].body.decode() == f"{sent['id']}|plain"
    types = {name: item.headers["content-type"] for name, item in result.items()}
    assert types["cef"] == "text/plain; charset=utf-8"
    assert types["plain"] == "text/plain"
    assert types["standard"] == "application/cloudevents+json"
    assert {types[name] for name in ("chat", "acme", "crm_format", "siem_format")} == {
        "application/json"
    }


async def test_one_event_is_transformed_once_for_all(
    client: Client, receiver: Receiver, tmp_path: Path
) -> None:
    for number in range(10):
        await client.webhook(id=f"w{number}", url=f"{receiver.url}/w{number}", events=["user.*"],
                             transformation="counting")  # fmt: skip
    receiver.answers = {"/w3": [500, 200]}
    trace = tmp_path / "trace"
    sent = [event("user.a", {"trace": str(trace), "numbers": [n, 1]}) for n in range(5)]
    await client.send(sent)
    await receiver.until(51)
    assert sorted(trace.read_text().split()) == sorted(item["id"] for item in sent)
    expected = {item["id"]: {"id": item["id"], "sum": n + 1} for n, item in enumerate(sent)}
    assert all(request.json == expected[request.json["id"]] for request in receiver.requests)


async def test_a_failed_transformation_is_a_dead_letter_with_the_reason(
    client: Client, receiver: Receiver
) -> None:
    for name in ("chat", "told", "standard"):
        await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["user.*"],
                             transformation=name)  # fmt: skip
    sent = event("user.a", {"do": "none"})
    await client.send(sent)
    why = {
        "chat": "chat: template.text: the event has no data.user",
        "told": "told: gave NoneType in place of a dict, list, str, bytes or (content type, bytes)",
    }
    for name, reason in why.items():
        record = await client.until(name, sent["id"], "dead_letter")
        assert [attempt["error_message"] for attempt in record["attempts"]] == [reason]
        assert record["last_error"] == f"TransformationError: {reason}"
        listed = await client.http.get("/v1/dead-letters", params={"webhook": name})
        letters = listed.json()["items"]
        assert [letter["reason"] for letter in letters] == ["TransformationError"]
        shown = (await client.http.get(f"/v1/dead-letters/{letters[0]['id']}")).json()
        assert shown["attempts"][0]["error_message"] == reason
        stats = (await client.http.get(f"/v1/webhooks/{name}/stats")).json()
        assert stats["breaker"]["state"] == "closed"
    events = {
        item["data"]["webhook_id"]: item["data"]
        for item in await client.lifecycle_events(2, "webhook.failed")
    }
    assert {name: item["error_message"] for name, item in events.items()} == why
    assert {item["error_type"] for item in events.values()} == {"TransformationError"}
    assert [request.path for request in await receiver.until(1)] == ["/standard"]


async def test_results_of_functions(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], transformation="told")
    good: dict[str, tuple[str, bytes]] = {
        "dict": ("application/json", b'{"a":1}'), "list": ("application/json", b"[1]"),
        "text": ("text/plain; charset=utf-8", "hé".encode()), "pair": ("text/csv", b"a,b"),
        "bytes": ("application/octet-stream", b"\xff"), "enriched": ("application/json", b"[true]"),
    }  # fmt: skip
    for count, (what, expected) in enumerate(good.items()):
        await client.send(event("user.a", {"do": what}))
        requests = (await receiver.until(count + 1))[count]
        assert (requests.headers["content-type"], requests.body) == expected
    bad = {
        "bad pair": "no media type", "odd pair": "gave int with a content type",
        "set": "gave what is not JSON", "big": "makes more than 1048576 bytes",
        "count": "gave int in place of", "exit": "SystemExit: 3 (functions.py:",
        "nothing of it": "KeyError: 'nothing of it' (functions.py:",
    }  # fmt: skip
    for what, text in bad.items():
        sent = event("user.a", {"do": what})
        await client.send(sent)
        record = await client.until("w", sent["id"], "dead_letter")
        assert text in record["last_error"], what
    assert len(receiver.requests) == len(good)


@pytest.mark.alone  # its calls go on in the threads of functions
async def test_a_function_that_hangs_does_not_delay_others(
    client: Client, receiver: Receiver
) -> None:
    policy = {"max_attempts": 2, "initial_delay": "100ms"}
    for name in ("told", "counting", "standard"):
        await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=[f"user.{name}", "user.b"],
            transformation=name, retry_policy=policy,
        )  # fmt: skip
    hung = [event("user.told", {"do": "hang"}) for _ in range(12)]
    await client.send(hung)
    began = time.monotonic()
    data = {"do": "dict", "numbers": [1], "trace": "/dev/null"}
    while time.monotonic() - began < 3:  # while its threads are busy, and after the time limit
        sent = event("user.b", data)
        await client.send(sent)
        for name in ("counting", "standard"):
            record = await client.until(name, sent["id"], "succeeded")
            assert len(record["attempts"]) == 1
    for item in hung:
        record = await client.until("told", item["id"], "dead_letter")
        messages = {attempt["error_message"] for attempt in record["attempts"]}
        assert len(record["attempts"]) == 2  # it was retried: the next call may be in time
        assert messages <= {
            "told: took longer than 1s", "told: all 4 threads are in calls that do not end",
        }  # fmt: skip
    assert not receiver.requests_to("/told")


async def test_functions_in_batches(client: Client, receiver: Receiver, tmp_path: Path) -> None:
    """Each event of a batch is transformed by a call of its own, and some calls fail."""
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], mode="batch",
                         batch={"max_events": 40, "max_wait": "5s"},
                         transformation="counting")  # fmt: skip
    trace = tmp_path / "trace"
    data = {"trace": str(trace)}
    sent = [event("user.a", data | ({} if n % 10 == 3 else {"numbers": [n]})) for n in range(40)]
    await client.send(sent)
    (request,) = await receiver.until(1)
    assert request.json == [
        {"id": item["id"], "sum": n} for n, item in enumerate(sent) if n % 10 != 3
    ]
    assert sorted(trace.read_text().split()) == sorted(item["id"] for item in sent)
    for number, item in enumerate(sent):
        status = "dead_letter" if number % 10 == 3 else "succeeded"
        record = await client.until("w", item["id"], status)
        assert len(record["attempts"]) == 1


async def test_a_preview_of_each_mode(client: Client) -> None:
    sent = event("user.a", [1, 2], subject="user/1")
    for mode in ("binary", "batch"):
        await client.webhook(id=mode, url="http://127.0.0.1:8099/", events=["user.*"], mode=mode)
        body = {"event": sent, "webhook": mode}
        shown = (await client.http.post("/v1/transformations/preview", json=body)).json()
        if mode == "binary":
            assert shown["body"] == [1, 2]
            assert shown["headers"]["ce-subject"] == "user/1"
        else:
            assert shown["body"] == [sent]
            assert shown["content_type"] == "application/cloudevents-batch+json"


async def test_a_preview_is_what_is_sent(
    client: Client, receiver: Receiver, tmp_path: Path
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], transformation="chat",
                         headers={"X-Tenant": "acme"})  # fmt: skip
    sent = event("user.a", {"user": "ann", "trace": str(tmp_path / "t"), "numbers": [2]})

    async def preview(status: int = 200, **body: Any) -> Any:
        answer = await client.http.post("/v1/transformations/preview", json={"event": sent} | body)
        assert answer.status_code == status, answer.text
        return answer.json()

    shown = await preview(webhook="w")
    await client.send(sent)
    request = (await receiver.until(1))[0]
    assert shown["body"] == request.json
    assert (shown["method"], shown["url"]) == ("POST", f"{receiver.url}/w")
    assert shown["bytes"] == len(request.body) == int(request.headers["content-length"])
    assert shown["content_type"] == request.headers["content-type"]
    assert set(shown["headers"]) - {"X-Tenant"} == set(request.headers) - {"x-tenant"}
    same = ("host", "content-type", "webhook-id", "user-agent", "x-event-gateway-attempt")
    assert all(shown["headers"][name] == request.headers[name] for name in same)
    assert shown["headers"]["X-Tenant"] == "acme"

    assert (await preview(transformation="counting"))["body"] == {"id": sent["id"], "sum": 2}
    cef = await preview(transformation="cef", webhook="w")
    assert cef["body"].startswith("CEF:0|")
    inline = await preview(transformation={"template": {"v": "{{ data.enrichment }}"}})
    assert inline["body"]["v"]["gateway_version"]
    assert (inline["url"], inline["transformation"], inline["authentication"]) == (None, None, [])
    assert "host" not in inline["headers"]
    for body, key, text in (
        ({"transformation": "nope"}, "transformation", "there are: acme, analytics_format"),
        ({}, "transformation", "name a transformation"),
        ({"transformation": {"python": "os:getcwd"}}, "transformation.python", "only in the"),
        ({"transformation": {"tmpl": 1}}, "transformation.tmpl", "unknown key"),
        ({"transformation": {"template": {"a": ["{{"]}}}, "transformation.template.a[0]", "closed"),
        ({"transformation": {"template": "{{ data.x ?? error }}"}}, "transformation",
         "it: template: the event has no data.x"),
        ({"transformation": "told"}, "transformation", "told: KeyError: 'do'"),
        ({"transformation": "standard", "event": {"id": "1"}}, "event", "specversion is missing"),
    ):  # fmt: skip
        (error,) = (await preview(422, **body))["errors"]
        assert error["key"] == key
        assert text in error["detail"]
    assert (await client.http.post("/v1/transformations/preview", json={
        "event": sent, "webhook": "none"
    })).status_code == 404  # fmt: skip
    assert len(receiver.requests) == 1


async def test_a_preview_shows_no_secret_and_remembers_nothing(
    client: Client, receiver: Receiver
) -> None:
    value = "whsec_" + "c2VjcmV0" * 5
    await client.http.put("/v1/secrets/key", json={"value": value})
    security = {"auth_type": "hmac_signature", "secret_name": "key"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], security=security)
    for _ in range(2):
        answer = await client.http.post("/v1/transformations/preview", json={
            "event": event("user.a", subject="user/1"), "webhook": "w",
        })  # fmt: skip
        shown = answer.json()
        assert shown["authentication"] == ["hmac_signature"]
        assert "webhook-signature" not in shown["headers"]
        assert shown["body"]["data"]["enrichment"]["related_events"] == []
    await client.send(event("user.a", subject="user/1"))
    data = (await receiver.until(1))[0].json["data"]
    assert data["enrichment"]["related_events"] == []


async def test_an_unknown_transformation_is_refused(client: Client, receiver: Receiver) -> None:
    answer = await client.http.post("/v1/webhooks", json={
        "id": "w", "url": f"{receiver.url}/w", "events": ["a"], "transformation": "nope",
    })  # fmt: skip
    assert answer.status_code == 422
    assert "'nope' is unknown; there are: acme, analytics_format" in answer.json()["detail"]


def _config(receiver: Receiver, **transformations: Any) -> dict[str, Any]:
    return LOOPBACK | {"transformations": transformations}


async def test_a_reload_changes_all_transformations_or_none(
    tmp_path: Path, receiver: Receiver
) -> None:
    first = {"template": {"v": 1}}
    program = Program(tmp_path, _config(receiver, mine=first, kept={"template": "{{ id }}"}))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            for name in ("mine", "kept"):
                await client.webhook(id=name, url=f"{receiver.url}/{name}", events=["user.*"],
                                     transformation=name, timeout="5m",
                                     retry_policy={"initial_delay": "100ms"})  # fmt: skip

            async def sent() -> dict[str, Any]:
                before = len(receiver.requests)
                published = event("user.a")
                await client.send(published)
                return {
                    result.path[1:]: result.json
                    for result in (await receiver.until(before + 2))[before:]
                }

            assert (await sent())["mine"] == {"v": 1}
            # A retry uses the transformation that is configured at that time.
            receiver.answers["/mine"] = [500, 200]
            receiver.holds["/mine"] = reloaded = asyncio.Event()
            await client.send(event("user.b"))
            await receiver.until(4)
            changed = _config(receiver, mine={"template": {"v": 2}}, kept={"template": "{{ id }}"})
            await program.reload(changed, "configuration reloaded")
            reloaded.set()
            await receiver.until(5)
            assert receiver.requests[-1].json == {"v": 2}
            assert (await sent())["mine"] == {"v": 2}
            broken = _config(receiver, mine={"template": {"v": 3}}, kept={"template": "{{ id"})
            output = await program.reload(broken, "not reloaded")
            assert "transformations.kept.template: {{ is not closed by }}" in output
            assert (await sent())["mine"] == {"v": 2}
            gone = _config(receiver, kept={"template": "{{ id }}"})
            await program.reload(gone, "configuration reloaded")
            result = await sent()
            assert result["mine"]["type"] == "user.a"
            assert result["kept"].startswith("e-")
            await sent()
            metrics = (await client.http.get("/metrics")).text
            name = 'event_gateway_transformation_fallbacks_total{transformation="mine"}'
            assert f"{name} 2.0" in metrics
            assert program.output.count("transformation is missing") == 1
            # The webhook can still be paused, and given another transformation.
            mine = "/v1/webhooks/mine"
            patched = await client.http.patch(mine, json={"enabled": False})
            assert patched.status_code == 200, patched.text
            patched = await client.http.patch(mine, json={"transformation": "gone"})
            assert patched.status_code == 422
            patched = await client.http.patch(mine, json={"transformation": "kept"})
            assert patched.json()["transformation"] == "kept"
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_after_a_correction_dead_letters_are_delivered(
    tmp_path: Path, receiver: Receiver
) -> None:
    program = Program(tmp_path, _config(receiver, mine={"template": "{{ data.usr ?? error }}"}))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"],
                                 transformation="mine")  # fmt: skip
            sent = event("user.a", {"user": "ann"})
            await client.send(sent)
            await client.until("w", sent["id"], "dead_letter")
            right = _config(receiver, mine={"template": "{{ data.user ?? error }}"})
            await program.reload(right, "configuration reloaded")
            answer = await client.http.post("/v1/dead-letters/replay", json={"webhook": "w"})
            assert answer.status_code in (200, 202), answer.text
            assert (await receiver.until(1))[0].json == "ann"
            await client.until("w", sent["id"], "succeeded")
        assert await program.stop() == 0
    finally:
        await program.stop()


async def test_a_missing_transformation_falls_back_to_standard_with_a_warning(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    clients = await peers.start(
        stack,
        {"transformations": {"mine": {"template": {"v": "{{ id }}"}}}},
        {"transformations": {"other": {"template": 1}}},
    )
    await clients[0].webhook(id="w", url=f"{receiver.url}/w", events=["user.*"],
                             transformation="mine")  # fmt: skip
    sent = [event("user.a") for _ in range(40)]
    for item in sent:  # one by one, so that both processes take some
        await clients[0].send(item)
    requests = await receiver.until(40)
    standard = [request.json["id"] for request in requests if "id" in request.json]
    mine = [request.json["v"] for request in requests if "v" in request.json]
    assert sorted([*standard, *mine]) == sorted(item["id"] for item in sent)
    text = (await clients[1].http.get("/metrics")).text
    name = 'event_gateway_transformation_fallbacks_total{transformation="mine"}'
    assert (f"{name} {len(standard)}.0" in text) == bool(standard)
    async with asyncio.timeout(PATIENCE):
        while not any("different configuration" in program.output for program in peers.programs):
            await asyncio.sleep(0.1)
    for client in clients:
        reasons = (await client.http.get("/readyz")).json()["reasons"]
        assert "a different configuration file" in reasons[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "{python: 'support.functions:nope'}",
            "module 'support.functions' has no attribute 'nope'",
        ),
        ("{python: 'no_such_module:f'}", "No module named 'no_such_module'"),
        ("{python: support.functions:not_a_function}", "is not a plain function"),
        ("{python: support.functions:coroutine_function}", "is not a plain function"),
        ("{python: nothing}", "no entry point 'nothing' in event_gateway.transformations"),
        ("{base: crm}", "'crm' is unknown; there are: standard, analytics_format"),
        ("{tmplate: x}", "unknown key; did you mean template?"),
        ("{template: '{{ dta.x }}'}", "begins with 'data.'"),
    ],
)
async def test_an_invalid_transformation_is_one_line(
    tmp_path: Path, wrong: str, message: str
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"transformations:\n  good: {{base: crm_format}}\n  bad: {wrong}\n")
    ended = await command("check", "-c", str(path), "--json", PYTHONPATH="tests")
    assert ended.status == 2
    problem, *others = ended.json["errors"]
    assert message in problem["reason"]
    for each in (problem, *others):
        assert each["line"] == 3
        assert each["key"].startswith("transformations.bad")


def test_a_transformation_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from event_gateway.request.transformations.functions import load_function

    installed = tmp_path / "acme-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(
        "[event_gateway.transformations]\nacme-told = support.functions:on_request\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_function("acme-told")({"data": {"do": "list"}}) == [1]
