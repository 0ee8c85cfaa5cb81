"""The permissions that make a compliance stream append-only, as the guide lists them: they hold,
the gateway works with them, and says so."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError

from event_gateway.core.access.sealing import new_key
from support.bus import connect_bus
from support.client import Client, connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.secured_servers import nats

DOCS = Path(__file__).parents[2] / "docs"
STREAM = {"subjects": ["load.*"], "retention": "2y", "compliance": True}


def _allowed() -> list[str]:
    page = (DOCS / "operations" / "permissions.md").read_text()
    block = re.search(r"```\npublish: (\[.*?\])\nsubscribe:", page, re.S)
    assert block is not None
    return ["load.>" if each == "orders.>" else each for each in re.findall(r'"([^"]+)"', block[1])]


def _denied() -> list[str]:
    block = re.search(r"deny: \[(.*?)\]", (DOCS / "guides" / "compliance.md").read_text(), re.S)
    assert block is not None
    return re.findall(r'"([^"]+)"', block[1])


def _users(denied: list[str]) -> str:
    publish = f"{{ allow: {json.dumps(_allowed())}, deny: {json.dumps(denied)} }}"
    subscribe = json.dumps(["_INBOX.>", "eg.process.*", "eg.tally.*", "eg.subscribers"])
    return (
        "authorization { users: [ { user: admin, password: admin }, { user: gateway, password: gw, "
        f"permissions: {{ publish: {publish}, subscribe: {subscribe} }} }} ] }}\n"
    )


async def _chained(client: Client, seq: int) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.http.get("/v1/streams/audit_stream/chain")
            if answer.status_code == 200 and answer.json()["chained_to"] >= seq:
                return dict(answer.json())
            await asyncio.sleep(0.05)


def _config(port: int) -> dict[str, Any]:
    return LOOPBACK | {
        "nats": {"url": f"nats://gateway:gw@127.0.0.1:{port}"},
        "ingest": {"subjects": ["load.>"]},
        "streams": {"audit_stream": STREAM},
        "compliance": {"chain_every": "100ms", "anchor_every": "1s"},
    }


@pytest.mark.parametrize("sealed_by", [None, "data.user_id"])
async def test_the_documented_permissions_make_the_stream_append_only(
    tmp_path: Path, sealed_by: str | None
) -> None:
    async with nats(tmp_path, _users(_denied())) as port:
        admin = f"nats://admin:admin@127.0.0.1:{port}"
        config = _config(port)
        if sealed_by is not None:
            (tmp_path / "sealing_key").write_text(new_key())
            config["streams"] = {"audit_stream": STREAM | {"sealed_by": sealed_by}}
            config["secrets"] = {"dir": str(tmp_path)}
        program = Program(tmp_path, config)
        at = await program.start()
        async with connected(at["http"], admin, at["key"]) as client:
            await client.send(event("load.made", {"user_id": "u-1"}))
            state = await _chained(client, 1)
            assert state["append_only"] == {"holds": True, "allowed": [], "settings": []}
            ready = (await client.http.get("/readyz")).json()
            assert ready == {"status": "ok", "reasons": []}  # trying is no violation
            answer = await client.http.post("/v1/streams/audit_stream/holds", json={"reason": "c"})
            assert answer.status_code == 409, answer.text
            assert "does not let the gateway's user update" in answer.json()["detail"]
            # The administrator suspends the limits; then the hold is placed.
            js = client.nats.jetstream()
            for name in ("GATEWAY_CHAIN_audit_stream", "GATEWAY_STREAM_audit_stream"):
                held = (await js.stream_info(name)).config
                held.max_age = 0
                await js.update_stream(held)
            answer = await client.http.post("/v1/streams/audit_stream/holds", json={"reason": "c"})
            assert answer.status_code == 201, answer.text
        await program.stop()
        # The stream is as it should be, so that nothing has to be updated: the gateway starts.
        at = await program.start()
        async with connected(at["http"], admin, at["key"]) as client:
            await client.send(event("load.made"))
            assert (await _chained(client, 2))["append_only"]["holds"]
        await program.stop()
        await _cannot_change(port)


async def _cannot_change(port: int) -> None:
    """What a thief of the gateway's credentials gets."""

    async def ignore(_error: Exception) -> None:
        pass

    nc = await connect_bus(f"nats://gateway:gw@127.0.0.1:{port}", error_cb=ignore)
    try:
        js, denied = nc.jetstream(timeout=PATIENCE), nc.jetstream(timeout=0.5)
        config = (await js.stream_info("GATEWAY_STREAM_audit_stream")).config
        config.max_age = 1
        for attempt in (
            denied.update_stream(config),
            denied.delete_stream("GATEWAY_STREAM_audit_stream"),
            denied.purge_stream("GATEWAY_STREAM_audit_stream"),
            denied.delete_msg("GATEWAY_STREAM_audit_stream", 1),
            denied.delete_stream("GATEWAY_CHAIN_audit_stream"),
        ):
            with pytest.raises((NatsTimeout, TimeoutError, APIError)):
                await attempt
        assert (await js.stream_info("GATEWAY_STREAM_audit_stream")).state.messages == 2
    finally:
        await nc.close()


async def test_each_open_door_is_named(tmp_path: Path) -> None:
    denied = _denied()
    async with nats(tmp_path, _users(denied[1:])) as port:
        program = Program(tmp_path, _config(port))
        at = await program.start()
        try:
            admin = f"nats://admin:admin@127.0.0.1:{port}"
            async with connected(at["http"], admin, at["key"]) as client:
                await client.send(event("load.made"))
                append_only = (await _chained(client, 1))["append_only"]
                assert append_only == {"holds": False, "allowed": denied[:1], "settings": []}
                async with asyncio.timeout(PATIENCE):
                    while "is not append-only" not in program.output:
                        await asyncio.sleep(0.05)
        finally:
            await program.stop()
    assert denied[0] in program.output
