"""``event-gateway top`` against a running gateway."""

from event_gateway.cli.process.serve import Running
from support.client import Client, event
from support.command import access, at_a_terminal, command
from support.receiver import Receiver


async def test_figures_are_printed(gateway: Running, client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=[">"])
    sent = event("a")
    await client.send(sent)
    await client.until("w", sent["id"], "succeeded")
    body = {"name": "top", "scopes": ["metrics:read"]}
    key = (await client.http.post("/v1/keys", json=body)).json()["key"]
    environ = access(gateway) | {"EVENT_GATEWAY_KEY": key}
    shown = (await command("top", "--json", "--interval", "0.5", **environ)).json
    assert shown["health"] in ("ok", "degraded")
    assert [webhook["id"] for webhook in shown["webhooks"]] == ["w"]
    assert set(shown["origins"]) == {"nats", "http"}
    # Without a terminal it prints one picture and ends.
    printed = await command("top", "--interval", "0.5", **environ)
    assert printed.status == 0
    assert "WEBHOOK" in printed.out
    assert "\x1b" not in printed.out
    wrong = await command("top", **access(gateway) | {"EVENT_GATEWAY_KEY": "egk_wrong"})
    assert (wrong.status, len(wrong.err.splitlines())) == (1, 1)
    nowhere = await command("top", **environ | {"EVENT_GATEWAY_URL": "http://127.0.0.1:9"})
    assert (nowhere.status, len(nowhere.err.splitlines())) == (1, 1)
    # On a terminal it draws on a screen of its own, and gives the terminal back.
    for key_press in ("q", "\x03"):
        async with at_a_terminal("top", "--interval", "0.5", **environ) as terminal:
            await terminal.until("WEBHOOK")
            assert "\x1b[?1049h" in terminal.seen
            terminal.types(key_press)
            assert await terminal.ended() == 0
            assert terminal.seen.rindex("\x1b[?1049l") > terminal.seen.rindex("WEBHOOK")
            assert "Traceback" not in terminal.seen
