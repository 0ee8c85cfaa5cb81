"""A changed configuration file is applied on SIGHUP, completely or not at all."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from support.client import Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver
from support.stopping import stop_process


def _config(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return LOOPBACK | {
        "streams": {"live": {"subjects": ["user.*"], "compliance": True}},
        "webhooks": {
            "kept": {"url": f"{receiver.url}/kept", "events": ["user.*"]},
            "left": {"url": f"{receiver.url}/left", "events": ["user.*"]},
        },
    } | more  # fmt: skip


async def _webhooks(client: Client) -> dict[str, str]:
    items = (await client.http.get("/v1/webhooks")).json()["items"]
    return {item["id"]: item["url"].rpartition("/")[2] for item in items}


async def test_a_changed_file_is_applied(tmp_path: Path, receiver: Receiver) -> None:
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await client.webhook(id="api", url=f"{receiver.url}/api", events=["user.*"])
            changed = _config(receiver, ingest={"retention": "10d"}, server={"max_body": "64KiB"})
            del changed["webhooks"]["left"]
            changed["webhooks"]["kept"]["url"] = f"{receiver.url}/elsewhere"
            changed["webhooks"]["new"] = {"url": f"{receiver.url}/new", "events": ["fresh.*"]}
            changed["streams"]["more"] = {"subjects": ["fresh.*"]}
            await program.reload(changed, "configuration reloaded")
            assert await _webhooks(client) == {"kept": "elsewhere", "new": "new", "api": "api"}
            # Subjects that only the new file names are captured from NATS.
            await client.nats.publish("fresh.a", b"{}")
            await receiver.until(1, "/new")
            await client.send(event("user.a"))
            await receiver.until(1, "/elsewhere")
            await receiver.until(1, "/api")
            async with client.websocket() as socket:
                assert (await socket.request(action="subscribe", stream="more"))[
                    "type"
                ] == "subscribed"
            await client.send(event("user.a", {"x": "y" * 70_000}), status=413)
            info = await client.nats.jetstream().stream_info("GATEWAY_EVENTS")
            assert info.config.max_age == 10 * 86400
            # The egress rules change too; the file's own webhooks must comply with them.
            changed["delivery"] = {}
            output = await program.reload(changed, "not reloaded")
            assert "webhooks.kept.url: 127.0.0.1 is in 127.0.0.0/8: loopback" in output
            await program.reload(changed | {"webhooks": {}}, "configuration reloaded")
            sent = event("user.b")
            await client.send(sent)
            record = await client.until("api", sent["id"], "retrying")
            assert record["last_error"].startswith("EgressRefused")
            # The webhook can still be paused, but not given another refused URL.
            patched = await client.http.patch("/v1/webhooks/api", json={"enabled": False})
            assert patched.status_code == 200, patched.text
            elsewhere = {"url": f"{receiver.url}/elsewhere"}
            refused = await client.http.patch("/v1/webhooks/api", json=elsewhere)
            assert (refused.status_code, refused.json()["detail"][:4]) == (422, "url:")
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert not receiver.requests_to("/left")
    assert "Traceback" not in program.output, program.output


async def test_a_file_that_cannot_be_used_changes_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    good = _config(receiver)
    program = Program(tmp_path, good)
    at = await program.start()
    refused = "the former one stays"

    def other(**more: Any) -> dict[str, Any]:
        changed = _config(receiver, **more)
        changed["webhooks"] = {"other": {"url": f"{receiver.url}/other", "events": ["user.*"]}}
        changed["streams"] = {"a": {"subjects": ["user.*"]}} | changed["streams"]
        return changed

    loose = other()
    loose["streams"]["live"] = {"subjects": ["user.*"], "compliance": False}
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            for config, message in (
                ("webhooks: [", "not YAML"),
                (other() | {"servr": {}}, "servr: unknown key; did you mean server?"),
                (other(server={"port": 1}), "server.port: cannot change without a restart"),
                (other(console={"name": "x"}), "console: cannot change without a restart"),
                (other(nats={"url": "nats://elsewhere"}), "nats: cannot change"),
                (loose, "compliance cannot be turned off"),
            ):
                output = await program.reload(config, refused)
                assert message in output, output
                assert await _webhooks(client) == {"kept": "kept", "left": "left"}
                async with client.websocket() as socket:
                    answer = await socket.request(action="subscribe", stream="a")
                    assert answer["code"] == "unknown_stream"
            await client.send(event("user.a"))
            await receiver.until(2)
            await program.reload(good, "configuration reloaded")
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert not receiver.requests_to("/other")
    assert "Traceback" not in program.output, program.output


async def test_a_reload_without_nats_is_completed_later(
    tmp_path: Path, receiver: Receiver, servers: tuple[str, str]
) -> None:
    own = {"nats": {"url": servers[0]}, "redis": {"url": servers[1]}}
    program = Program(tmp_path, _config(receiver) | own)
    at = await program.start()
    pid = int((tmp_path / "servers" / "nats.pid").read_text())
    changed = _config(receiver) | own
    changed["webhooks"] = {"other": {"url": f"{receiver.url}/other", "events": ["user.*"]}}
    try:
        stop_process(pid)
        try:
            await program.reload(changed, "reload interrupted")
        finally:
            os.kill(pid, signal.SIGCONT)
        async with asyncio.timeout(PATIENCE):
            while "configuration reloaded" not in program.output:
                await asyncio.sleep(0.1)
        async with connected(at["http"], servers[0], at["key"]) as client:
            assert await _webhooks(client) == {"other": "other"}
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_a_sighup_during_the_start_is_applied_after_it(
    tmp_path: Path, receiver: Receiver, servers: tuple[str, str]
) -> None:
    own = {"nats": {"url": servers[0]}, "redis": {"url": servers[1]}}
    pid = int((tmp_path / "servers" / "nats.pid").read_text())
    program = Program(tmp_path, _config(receiver) | own)
    stop_process(pid)
    try:
        starting = asyncio.create_task(program.start())
        async with asyncio.timeout(PATIENCE):
            while "does not respond yet" not in program.output:
                await asyncio.sleep(0.05)
        changed = _config(receiver) | own
        changed["webhooks"] = {"other": {"url": f"{receiver.url}/other", "events": ["user.*"]}}
        program.configure(changed)
        os.kill(program.pid, signal.SIGHUP)
    finally:
        os.kill(pid, signal.SIGCONT)
    try:
        at = await starting
        async with asyncio.timeout(PATIENCE):
            while "configuration reloaded" not in program.output:
                await asyncio.sleep(0.05)
        async with connected(at["http"], servers[0], at["key"]) as client:
            assert await _webhooks(client) == {"other": "other"}
        assert await program.stop() == 0
    finally:
        await program.stop()


async def test_what_waits_is_not_lost_without_force(tmp_path: Path, receiver: Receiver) -> None:
    patient = {"max_attempts": 100, "backoff": "fixed", "initial_delay": "1h"}
    old = {"url": f"{receiver.url}/old", "events": ["user.*"], "retry_policy": patient}
    receiver.answers["/old"] = [500]

    def config(*names: str) -> dict[str, Any]:
        return LOOPBACK | {"webhooks": dict.fromkeys(names, old)}

    sent = [event("user.a") for _ in range(3)]
    program = Program(tmp_path, config("old"))
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            for each in sent:
                await client.send(each)
                await client.until("old", each["id"], "retrying")
            # A key was renamed: refused by SIGHUP, with the line and the count …
            output = await program.reload(config("new"), "not reloaded")
            line = tmp_path.joinpath("gateway.yaml").read_text().split("\n").index("webhooks:") + 1
            assert f"gateway.yaml:{line}: webhooks.old: the file does not name it any more: " in (
                output
            ), output
            assert "3 deliveries wait for it and would be cancelled; if new takes" in output
            assert "give new renamed_from: old" in output
            # … and by the API, with the plan.
            refused = await client.http.post("/v1/reload")
            assert (refused.status_code, refused.headers["content-type"]) == (
                409, "application/problem+json",
            )  # fmt: skip
            problem = refused.json()
            assert [
                (step["action"], step["name"], (step["loss"] or {}).get("count"))
                for step in problem["plan"]["steps"]
            ] == [("create", "new", None), ("delete", "old", 3)]
            assert (problem["errors"][0]["line"], problem["errors"][0]["key"]) == (
                line, "webhooks.old",
            )  # fmt: skip
            assert list(await _webhooks(client)) == ["old"]
            program.configure("webhooks: {old: {}}")
            broken = await client.http.post("/v1/reload", json={"force": True})
            assert (broken.status_code, broken.json()["errors"][0]["key"]) == (
                422, "webhooks.old.url",
            )  # fmt: skip
            planned = await client.http.post("/v1/reload", json={"dry_run": True, "x": 1})
            assert planned.status_code == 422
        await program.stop()
        # A start with such a file keeps what waits, and makes no attempts.
        program = Program(tmp_path, config("new"), "--watch")
        at = await program.start()
        assert "gets no new events, and no attempts are made" in program.output
        async with connected(at["http"], at["nats"], at["key"]) as client:
            assert (await client.http.get("/v1/webhooks/old")).json()["state"] == "orphaned"
            later = event("user.b")
            await client.send(later)
            await client.until("new", later["id"], "retrying")
            assert (await client.http.get("/v1/webhooks/old/stats")).json()["queue_depth"] == 3
            shown = await client.http.get(f"/v1/deliveries/old/{sent[0]['id']}")
            assert shown.json()["status"] == "retrying"
            # It hinders no other change of the file.
            planned = await client.http.post("/v1/reload", json={"dry_run": True, "force": True})
            assert [step["name"] for step in planned.json()["plan"]["steps"]] == ["old"]
            other = await client.http.post("/v1/reload")
            assert (other.status_code, other.json()["plan"]) == (200, {"steps": []}), other.text
            assert (await client.http.get("/v1/webhooks/old/stats")).json()["queue_depth"] == 3
            # The file is watched: named again, the webhook goes on.
            before = len(program.output)
            program.configure("webhooks: [")
            async with asyncio.timeout(PATIENCE):
                while "gateway.yaml:2: not YAML" not in program.output[before:]:
                    await asyncio.sleep(0.02)
            program.configure(config("old", "new"))
            async with asyncio.timeout(PATIENCE):
                while "configuration reloaded" not in program.output[before:]:
                    await asyncio.sleep(0.02)
            assert (await client.http.get("/v1/webhooks/old")).json()["state"] == "active"
            # With force what waits is cancelled, and that is said.
            before = len(program.output)
            program.configure(config("new"))
            async with asyncio.timeout(PATIENCE):
                while "3 deliveries wait for it" not in program.output[before:]:
                    await asyncio.sleep(0.02)
            forced = await client.http.post("/v1/reload", json={"force": True})
            assert forced.json()["plan"]["steps"][0]["loss"]["count"] == 3
            await client.until("old", sent[0]["id"], "cancelled")
            assert "deleting it with its waiting deliveries" in program.output[before:]
        await program.stop()
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output
