"""``event-gateway audit-log``: what every command that changes something leaves in the log."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_gateway.cli.client.lines import Interrupted, read_lines
from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import access, start_command
from support.fixtures import Command
from support.patience import PATIENCE
from support.receiver import Receiver

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
DOCUMENT = {
    "asyncapi": "3.0.0",
    "info": {"title": "t", "version": "1"},
    "channels": {"c": {"address": "a.b", "messages": {"m": {"name": "a.b", "payload": {}}}}},
}


async def test_each_command_that_changes_something_is_recorded(
    gateway: Running, client: Client, receiver: Receiver, run: Command, tmp_path: Path
) -> None:
    signed = {"auth_type": "hmac_signature", "secret_name": "signing"}
    (tmp_path / "types.json").write_text(json.dumps(DOCUMENT))
    assert (await run("secrets", "set", "signing", given=KEY)).status == 0
    receiver.answers["/w"] = [500]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["a.>"], security=signed,
        retry_policy={"max_attempts": 1},
    )  # fmt: skip
    sent = event("a.b")
    await client.send(sent)
    await client.until("w", sent["id"], "dead_letter")
    tailing = await start_command("audit-log", "tail", "--limit", "2", **access(gateway))
    async with asyncio.timeout(PATIENCE):
        assert b"following" in await tailing._err.readline()
    commands: list[tuple[str, ...]] = [
        ("secrets", "rotate", "signing"),
        ("webhooks", "rotate-secret", "w", "--overlap", "1h", "--yes"),
        ("secrets", "reseal"),
        ("secrets", "delete", "signing", "--yes"),  # refused: it is in use
        ("deliveries", "retry", "w", sent["id"]),
        ("deliveries", "cancel", "w", sent["id"]),  # refused, or too late
        ("dead-letters", "replay", "--webhook", "w", "--yes"),
        ("replay", "--webhook", "w", "--since", "1h", "--dry-run"),
        ("dead-letters", "purge", "--webhook", "w", "--yes"),
        ("catalog", "import", str(tmp_path / "types.json")),
    ]
    for words in commands:
        await run(*words, given=f"{KEY}\n" if "rotate" in words else "")
    lines = (await tailing.ended()).out.splitlines()
    assert [line.split("  ")[3] for line in lines] == ["secrets.rotate", "webhooks.rotate-secret"]

    listed = (await run("audit-log", "list", "--json")).json
    shown = [(call["operation"], call["resource"], call["status"]) for call in reversed(listed)]
    assert [call for call in shown if call[0] != "replays.pause"][:6] == [
        ("secrets.set", "secret/signing", 201),
        ("webhooks.create", "webhook/w", 201),
        ("secrets.rotate", "secret/signing", 200),
        ("webhooks.rotate-secret", "webhook/w", 200),
        ("secrets.reseal", "secret", 200),
        ("secrets.delete", "secret/signing", 409),
    ]
    operations = {call[0] for call in shown}
    assert operations >= {
        "deliveries.retry", "deliveries.cancel", "dead-letters.replay", "replays.create",
        "dead-letters.purge", "event-types.import",
    }  # fmt: skip
    assert KEY not in json.dumps(listed)
    table = await run("audit-log", "list", "--resource", "secret", "--outcome", "409")
    assert len(table.out.splitlines()) == 2
    assert "refused 409" in table.out

    file = tmp_path / "audit.ndjson"
    assert (await run("audit-log", "export", "--output", str(file))).status == 0
    assert (await run("audit-log", "verify", str(file))).out.endswith("records, no problem\n")
    records = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(records[:3] + records[4:]))
    broken = await run("audit-log", "verify", str(file), "--json")
    assert (broken.status, len(broken.json["problems"])) == (1, 1)
    assert (await run("audit-log", "list", "--outcome", "maybe")).status == 2


async def _cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{}\n{\r\n")
    await writer.drain()
    writer.close()


async def test_an_export_that_is_cut_off_is_an_error() -> None:
    server = await asyncio.start_server(_cut_off, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        lines: Iterator[bytes] = read_lines(url, "key", "/v1/audit-log/export", {})
        with pytest.raises(Interrupted):
            await asyncio.to_thread(list, lines)
