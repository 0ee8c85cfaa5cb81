"""``event-gateway top`` against a running gateway."""

import asyncio

from event_gateway.cli.process.serve import Running
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import ALERT
from support.client import Client, event
from support.command import access, at_a_terminal, command
from support.patience import PATIENCE
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
    # The health is that of the whole gateway, with what no single process suffers from.
    health = gateway.gateway.stages.observability.health
    health.add_wide(lambda: [Reason(ALERT, "somebody was alerted")])
    async with asyncio.timeout(PATIENCE):
        while not (await client.http.get("/v1/health")).json()["reasons"]:
            await asyncio.sleep(0.05)
    shown = (await command("top", "--json", "--interval", "0.5", **environ)).json
    assert shown["health"] == "degraded"
    assert "somebody was alerted" in shown["reasons"]
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
    # A proxy whose gateway is away, and something that is no gateway
    receiver.answers["/metrics"] = [502]
    proxied = await command("top", **environ | {"EVENT_GATEWAY_URL": receiver.url})
    assert (proxied.status, proxied.err.count("\n")) == (1, 1)
    assert "502" in proxied.err
    for words in (("health",), ("alerts", "list")):
        other = await command(*words, **environ | {"EVENT_GATEWAY_URL": receiver.url})
        assert (other.status, other.err.count("\n")) == (1, 1), other.err
        assert "not as a gateway does" in other.err
    # On a terminal it draws on a screen of its own, and gives the terminal back.
    for key_press in ("q", "\x03"):
        async with at_a_terminal("top", "--interval", "0.5", **environ) as terminal:
            await terminal.until("WEBHOOK")
            assert "\x1b[?1049h" in terminal.seen
            terminal.types(key_press)
            assert await terminal.ended() == 0
            assert terminal.seen.rindex("\x1b[?1049l") > terminal.seen.rindex("WEBHOOK")
            assert "Traceback" not in terminal.seen
