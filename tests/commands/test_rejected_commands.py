"""``event-gateway rejected``: real commands against a running gateway."""

import asyncio

from event_gateway.cli.process.serve import Running
from support.client import Client
from support.command import access, at_a_terminal
from support.fixtures import Command
from support.patience import PATIENCE

SCHEMA = {"type": "object", "required": ["sku"]}
PLACED = '{"sku_": "\x9b31m"}'.encode()  # with a control character that JSON takes


async def test_rejected_input_is_listed_shown_and_taken_in_again(
    gateway: Running, client: Client, run: Command
) -> None:
    rule = {"type": "placed", "schema": SCHEMA, "enforce": "reject"}
    assert (await client.http.post("/v1/event-types", json=rule)).status_code == 201
    await client.nats.publish("events.placed", PLACED, headers={"Team": "shop"})
    await client.nats.publish("events.placed", PLACED)
    await client.nats.publish("events.other", b"\xff{")
    async with asyncio.timeout(PATIENCE):
        while len((await run("rejected", "list", "--json")).json) < 3:
            await asyncio.sleep(0.05)
    head, other, placed, _ = (await run("rejected", "list")).out.splitlines()
    assert head.split() == ["SEQ", "TIME", "REASON", "SUBJECT", "DETAIL"]
    assert (other.split()[2], placed.split()[2]) == ("malformed", "schema")
    found = (await run("rejected", "list", "--search", "sku_", "--json")).json
    assert [(item["source"], item["subject"]) for item in found] == [(None, "events.placed")] * 2
    later, seq = (str(item["seq"]) for item in found)
    assert (await run("rejected", "show", seq)).json == found[1], "JSON for programs"
    async with at_a_terminal("rejected", "show", seq, **access(gateway)) as terminal:
        assert await terminal.ended() == 0
    assert "reason:  schema" in terminal.seen
    assert "  Team: shop" in terminal.seen
    assert '"?31m"' in terminal.seen, "nothing of it controls the terminal"
    still = await run("rejected", "retry", seq)
    assert (still.status, still.out) == (1, "")
    assert "sku" in still.err, "the reason"
    rule["enforce"] = "off"
    answer = await client.http.put("/v1/event-types/placed", json=rule)
    assert answer.status_code == 200, answer.text
    taken = await run("rejected", "retry", seq)
    assert taken.status == 0, taken.err
    assert taken.out.startswith(f"{seq}: taken in, sequence ")
    stopped = await run("rejected", "retry", later, "99")
    assert (stopped.status, stopped.err) == (1, "there is no rejected input 99\n")
    assert stopped.out.startswith(f"{later}: taken in, sequence "), "what it did before is told"
    assert [item["reason"] for item in (await run("rejected", "list", "--json")).json] == [
        "malformed"
    ]
    missing = await run("rejected", "show", "99")
    assert (missing.status, missing.err) == (1, "there is no rejected input 99\n")
    wrong = await run("rejected", "retry", "x")
    assert wrong.status == 2
