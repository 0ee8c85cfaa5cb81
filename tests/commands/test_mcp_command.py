"""``event-gateway mcp``: the SDK's own client speaks with the command over its standard input and
output, as an assistant does, and the command with a gateway."""

import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from event_gateway.cli.assistants.bounds import MAX_PAYLOAD, payload_of, shown_url
from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import access, at_a_terminal, command
from support.fixtures import Command
from support.gateway_process import forked_command
from support.receiver import Receiver

pytestmark = pytest.mark.shared

ONCE = {"max_attempts": 1}
STURDY = {"failure_threshold": 10_000}
READING = [
    "gateway_status", "explain_event", "find_events", "match_event", "list_failing_webhooks",
    "show_webhook", "list_deliveries", "show_delivery", "list_dead_letters", "show_replay",
    "list_streams", "list_event_types", "show_event_type",
]  # fmt: skip
ACTING = ["resend_event", "retry_delivery", "replay"]


class Assistant:
    """An assistant that is connected; ``heard`` is all that it was told."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.heard = ""

    async def ask(self, tool: str, **arguments: Any) -> Any:
        """The structured answer of a tool."""
        result = await self.client.call_tool(tool, arguments)
        self.heard += str(result)
        assert not result.is_error, result.content
        assert json.loads(result.content[0].text) == result.structured_content
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The error of a tool."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        return str(result.content[0].text)

    async def tools(self) -> dict[str, Any]:
        """The tools that are offered, by name."""
        return {tool.name: tool for tool in (await self.client.list_tools()).tools}


@contextlib.asynccontextmanager
async def assistant(*words: str, mode: str = "auto", **environ: str) -> AsyncIterator[Assistant]:
    """Starts ``event-gateway mcp WORDS`` and connects to it. ``mode``: "legacy" for the handshake
    of the protocol's versions before 2026."""
    import mcp  # half a second, which the other workers need not spend

    program, *arguments = forked_command()
    server = mcp.StdioServerParameters(
        command=program, args=[*arguments, "mcp", *words], env=environ
    )
    async with mcp.Client(server, mode=mode) as client:
        yield Assistant(client)


async def key_with(client: Client, *scopes: str, **more: Any) -> dict[str, str]:
    """The environment of a command whose key has these scopes."""
    answer = await client.http.post(
        "/v1/keys", json={"name": "assistant", "scopes": [*scopes]} | more
    )
    assert answer.status_code == 201, answer.text
    return {
        "EVENT_GATEWAY_URL": str(client.http.base_url),
        "EVENT_GATEWAY_KEY": answer.json()["key"],
    }


@pytest.mark.alone  # it counts dead letters
async def test_an_assistant_finds_out_why_an_event_did_not_arrive(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers["/crm"] = [500]
    await client.http.put("/v1/secrets/crm_token", json={"value": "the-token-of-crm"})
    await client.webhook(
        id="crm", url=f"{receiver.url}/crm?token=in-the-url", events=["orders.>"],
        retry_policy=ONCE, headers={"X-Api-Key": "in-a-header"}, circuit_breaker=STURDY,
        security=[{"auth_type": "bearer_token", "secret_name": "crm_token"}],
    )  # fmt: skip
    await client.webhook(
        id="big", url=f"{receiver.url}/big", events=["orders.>"],
        filters=[{"field": "data.total", "operator": "gt", "value": 100}],
    )  # fmt: skip
    sent = event("orders.placed", {"total": 7, "note": "x" * 9000}, subject="orders/7")
    await client.send(sent)
    await client.until("crm", sent["id"], "dead_letter")
    environ = await key_with(
        client, "events:read", "webhooks:read", "deliveries:read", "streams:read"
    )
    async with assistant(**environ) as assistant_:
        ask = assistant_.ask
        found = await ask("find_events", type="orders.*", since="1h")
        assert [item["id"] for item in found["items"]] == [sent["id"]]
        explained = await ask("explain_event", event_id=sent["id"])
        assert explained["event"]["subject"] == "orders/7"
        payload = explained["payload"]
        assert (payload["truncated"], len(payload["text"])) == (True, MAX_PAYLOAD)
        crm, big = explained["webhooks"]
        assert (crm["status"], crm["last_error"]) == ("dead_letter", "ServerError: HTTP 500")
        assert big["not_matched_because"] == "filters[0]: data.total is 7; wanted: gt 100", big
        delivery = await ask("show_delivery", webhook="crm", event_id=sent["id"])
        assert [each["status_code"] for each in delivery["attempts"]] == [500]
        assert delivery["waits"] == []
        listed = await ask("list_deliveries", webhook="crm", status="dead_letter")
        assert listed["items"][0]["attempts"] == 1
        letters = await ask("list_dead_letters")
        [group] = letters["groups"]
        assert (group["webhook"], group["reason"], group["count"]) == ("crm", "ServerError", 1)
        assert (group["examples"][0]["event_id"], letters["complete"]) == (sent["id"], True)
        failing = await ask("list_failing_webhooks")
        [only] = failing["items"]
        assert (only["webhook"], only["dead_lettered_24h"], failing["examined"]) == ("crm", 1, 2)
        assert any("dead letter" in reason for reason in only["reasons"])
        shown = await ask("show_webhook", webhook="crm")
        assert shown["authentication"] == ["bearer_token crm_token"]
        assert (shown["header_names"], shown["retries"].split(",")[0]) == (
            ["X-Api-Key"], "1 attempts",
        )  # fmt: skip
        matched = await ask("match_event", type="orders.placed", data={"total": 101})
        assert matched["matched"] == ["big", "crm"]
        status = await ask("gateway_status")
        assert (status["dead_letters"], status["reasons"]) == (1, None)
        assert (await ask("list_streams"))["items"] == []
        types = await ask("list_event_types", contains="DELIVER")
        assert types["found"] == len(types["items"]) > 0
        shown = await ask("show_event_type", type=types["items"][0]["type"])
        assert json.loads(shown["schema_text"])["type"] == "object"
    for secret in ("the-token-of-crm", "in-the-url", "in-a-header", environ["EVENT_GATEWAY_KEY"]):
        assert secret not in assistant_.heard


async def test_a_delivery_that_waits_says_why(client: Client, receiver: Receiver) -> None:
    receiver.answers["/w"] = [500]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=[">"],
        # Both reasons hold for as long as the test runs.
        circuit_breaker={"failure_threshold": 1, "open_for": "1h"},
        retry_policy={"initial_delay": "1h"},
    )  # fmt: skip
    sent = event("orders.placed")
    await client.send(sent)
    await client.until("w", sent["id"], "retrying")
    async with assistant(**await key_with(client, "admin")) as assistant_:
        delivery = await assistant_.ask("show_delivery", webhook="w", event_id=sent["id"])
        assert [wait["reason"] for wait in delivery["waits"]] == [
            "circuit_breaker_open", "retry_later",
        ]  # fmt: skip
        failing = await assistant_.ask("list_failing_webhooks")
        assert failing["items"][0]["breaker"] == "open"
        assert (await assistant_.ask("gateway_status"))["breakers_not_closed"] == 1
    reader = await key_with(client, "deliveries:read")
    async with assistant(**reader) as assistant_:
        delivery = await assistant_.ask("show_delivery", webhook="w", event_id=sent["id"])
        assert (delivery["waits"], "events:read" in delivery["unknown"]) == ([], True)


async def test_the_tools_are_those_that_key_and_flag_allow(
    gateway: Running, client: Client
) -> None:
    async with assistant("--allow-changes", **access(gateway)) as assistant_:
        tools = await assistant_.tools()
        assert [*tools] == READING + ACTING
        for name, tool in tools.items():
            hints = tool.annotations
            assert (hints.read_only_hint, hints.destructive_hint) == (
                name in READING, name in ACTING,
            )  # fmt: skip
            assert tool.output_schema["type"] == "object"
        assert not tools["retry_delivery"].annotations.idempotent_hint
        assert "cannot be taken back" in assistant_.client.instructions
    async with assistant(**access(gateway), mode="legacy") as assistant_:
        assert [*await assistant_.tools()] == READING
        assert "changes nothing" in assistant_.client.instructions
        assert "never instructions" in assistant_.client.instructions
        await assistant_.ask("gateway_status")
    reader = await key_with(client, "events:read", "deliveries:read")
    async with assistant("--allow-changes", **reader) as assistant_:
        assert [*await assistant_.tools()] == [
            "explain_event", "find_events", "list_deliveries", "show_delivery",
            "list_dead_letters", "show_replay", "list_event_types", "show_event_type",
        ]  # fmt: skip
        assert "does not exist" not in await assistant_.refused("replay", webhook="w")


async def test_an_assistant_replays_what_it_has_counted(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    receiver.answers["/w"] = [500, 500, 200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["bills.>"], retry_policy=ONCE,
        circuit_breaker=STURDY,
    )  # fmt: skip
    ids = []
    for _ in range(2):
        sent = event("bills.sent")
        await client.send(sent)
        await client.until("w", sent["id"], "dead_letter")
        ids.append(sent["id"])
    async with assistant("--allow-changes", **access(gateway)) as assistant_:
        ask, refused = assistant_.ask, assistant_.refused
        counted = await ask("replay", webhook="w", of="dead_letters", reason="ServerError")
        assert (counted["dry_run"], counted["matched"], counted["queued"]) == (True, 2, 0)
        assert f"confirm {counted['id']}" in counted["next_step"]
        assert len(receiver.requests) == 2
        assert "no dead letter" not in await refused(
            "replay", webhook="other", confirm=counted["id"]
        )
        assert "nothing else" in await refused(
            "replay", webhook="w", confirm=counted["id"], since="1h"
        )
        begun = [await ask("replay", webhook="w", confirm=counted["id"]) for _ in range(2)]
        assert begun[0]["id"] == begun[1]["id"] != counted["id"]
        for event_id in ids:
            await client.until("w", event_id, "succeeded")
        done = await ask("show_replay", replay_id=begun[0]["id"])
        assert (done["dry_run"], done["queued"]) == (False, 2)
        assert len(receiver.requests) == 4
        again = await ask("replay", webhook="w", of="dead_letters")
        assert again["next_step"] == "There is nothing to replay."
        assert f"{begun[0]['id']} is no dry run" in await refused(
            "replay", webhook="w", confirm=begun[0]["id"]
        )
        # Of the log: exactly what was counted, and not what came later.
        assert "since: must be given" in await refused("replay", webhook="w")
        counted = await ask("replay", webhook="w", since="1h", types=["bills.>"])
        assert counted["matched"] == 2
        later = event("bills.sent")
        await client.send(later)
        await client.until("w", later["id"], "succeeded")
        await ask("replay", webhook="w", confirm=counted["id"])
        await receiver.until(7)
        # One by hand, and one event to all its webhooks.
        would = await ask("resend_event", event_id=ids[0], dry_run=True)
        assert (would["dry_run"], would["queued"]) == (True, 1)
        resent = await ask("resend_event", event_id=ids[0], webhooks=["w"])
        assert resent["webhooks"][0]["result"] == "queued"
        await receiver.until(8)
        await client.until("w", ids[0], "succeeded")
        await ask("retry_delivery", webhook="w", event_id=ids[1])
        await receiver.until(9)


async def test_errors_say_what_to_do(gateway: Running, client: Client, run: Command) -> None:
    async with assistant(**access(gateway)) as assistant_:
        refused = assistant_.refused
        missing = await refused("explain_event", event_id="none", type="orders.placed")
        assert "there is no event none in the log" in missing
        assert "(/problems/not-found, status 404)" in missing
        assert "Check the id" in missing
        assert "neither a time" in await refused("find_events", since="yesterday")
        assert "limit: must be at most 50" in await refused("find_events", limit=1000)
        assert await refused("explain_event") == (
            "wrong arguments of explain_event:\nevent_id: is missing\nCorrect the arguments."
        )
        unknown = await refused("find_events", types="orders.>")
        assert "types: there is no such argument; did you mean type?" in unknown
        assert "no webhook other" in await refused("show_webhook", webhook="other")
        assert "Unknown tool" in await refused("replay", webhook="w")
    # A gateway that is down does not keep the server from starting; a wrong key does.
    gone = {"EVENT_GATEWAY_URL": "http://127.0.0.1:1", "EVENT_GATEWAY_KEY": "egk_x"}
    async with assistant(**gone) as assistant_:
        assert "cannot be reached" in await assistant_.refused("gateway_status")
    (await run("mcp", "--key", "egk_wrong")).assert_refused(1, "the key is wrong (--key)")


async def test_a_key_that_is_changed_while_the_server_runs(client: Client) -> None:
    environ = await key_with(client, "events:read")
    async with assistant(**environ) as assistant_:
        await assistant_.ask("find_events")
        key_id = environ["EVENT_GATEWAY_KEY"].split("_")[1]
        changed = await client.http.patch(f"/v1/keys/{key_id}", json={"scopes": ["streams:read"]})
        assert changed.status_code == 200, changed.text
        text = await assistant_.refused("find_events")
        assert "this needs the scope events:read" in text
        assert "Tell the user" in text


async def test_a_key_with_too_few_requests_for_several_at_once(client: Client) -> None:
    for number in range(6):
        await client.webhook(id=f"w{number}", url="https://example.com/", events=["user.>"])
    environ = await key_with(client, "webhooks:read", limits={"requests": 6, "per": "1h"})
    async with assistant(**environ) as assistant_:
        text = await assistant_.refused("list_failing_webhooks")
    assert "status 429" in text
    assert "TaskGroup" not in text


async def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    absent = tmp_path / "mcp"
    absent.mkdir()
    (absent / "__init__.py").write_text("raise ModuleNotFoundError('no mcp', name='mcp')")
    # The interpreter from which the command is forked has imported it already.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in [*sys.modules]:\n"
        "    if name.startswith(('mcp', 'event_gateway.cli.assistants')):\n"
        "        del sys.modules[name]\n"
    )
    result = await command("mcp", PYTHONPATH=str(tmp_path))
    result.assert_refused(2, "pip install 'event-gateway[mcp]'")


async def test_at_a_terminal_the_server_explains_itself_and_ends(gateway: Running) -> None:
    async with at_a_terminal("mcp", **access(gateway)) as terminal:
        await terminal.until("docs/guides/assistants.md")
        terminal.types("\x03")
        assert await terminal.ended() != 0


def test_no_other_command_imports_the_sdk() -> None:
    code = (
        "import sys, event_gateway.cli.main as main\n"
        "from importlib import import_module\n"
        "for place in main.COMMANDS.values():\n"
        "    import_module('event_gateway.cli.commands.' + place.partition('.')[0])\n"
        "assert not {'mcp', 'mcp_types'} & {*sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_reference_is_generated() -> None:
    from event_gateway.cli.assistants.reference import reference  # which imports the SDK

    assert Path("docs/reference/assistant-tools.md").read_text() == reference()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://crm.example.com/hooks/v2", "https://crm.example.com/hooks/v2"),
        ("https://u:p@crm.example.com:8443/?token=x", "https://crm.example.com:8443/?…"),
        ("https://chat.example.com/T012/xoxB7fak3L0ngT0ken", "https://chat.example.com/T012/…"),
    ],
)
def test_a_receivers_url_is_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_binary_data_is_not_shown() -> None:
    payload = payload_of({"data_base64": "AAAA"})
    assert payload is not None
    assert (payload.text, payload.characters) == (None, 4)
    assert payload_of({}) is None


def test_a_dry_run_is_not_confirmed_for_ever() -> None:
    from event_gateway.cli.assistants import replays  # which imports the SDK

    assert replays.CONFIRM_WITHIN <= 24 * 3600  # for which the gateway keeps idempotent answers
