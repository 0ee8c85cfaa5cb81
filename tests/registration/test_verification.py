"""Receivers that are asked before anything is sent to them (``verify: true``)."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.config.model import Config
from event_gateway.core.webhook.webhook import MAX_RATE, RateLimit, Verification, Webhook
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver, Said, agrees

ORIGIN = "event-gateway"
EVER = 0.6  # seconds after which what has not come is taken not to come


async def _shown(client: Client, webhook: str = "w") -> dict[str, Any]:
    answer = await client.http.get(f"/v1/webhooks/{webhook}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _until(client: Client, state: str, webhook: str = "w") -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while (shown := await _shown(client, webhook))["state"] != state:
            await asyncio.sleep(0.02)
    return shown


async def _until_tried(client: Client, webhook: str = "w") -> dict[str, Any]:
    """What is said of the verification once a try has failed."""
    async with asyncio.timeout(PATIENCE):
        while not (known := (await _shown(client, webhook))["verification"])["last_error"]:
            await asyncio.sleep(0.02)
    return dict(known)


async def _verify(client: Client, webhook: str = "w") -> dict[str, Any]:
    answer = await client.http.post(f"/v1/webhooks/{webhook}/verify")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_who_agrees_is_sent_to(client: Client, receiver: Receiver) -> None:
    receiver.says["/w"] = [agrees(ORIGIN)]
    made = await client.webhook(id="w", url=f"{receiver.url}/w?key=1", events=["user.*"],
                                verify=True, headers={"x-tenant": "acme"})  # fmt: skip
    assert made["verify"] is True
    shown = await _until(client, "active")
    assert shown["verification"].pop("verified_at") > made["created_at"]
    assert shown["verification"] == {"allowed_rate": None, "last_error": None, "next_try_at": None}
    (asked,) = receiver.asked
    assert asked.headers["webhook-request-origin"] == ORIGIN
    assert (asked.headers["content-length"], asked.headers["x-tenant"]) == ("0", "acme")
    assert asked.headers["user-agent"].startswith("event-gateway/")
    assert asked.headers["host"] == receiver.url.removeprefix("http://")
    assert "webhook-request-rate" not in asked.headers
    await client.send(event("user.a"))
    (got,) = await receiver.until(1, "/w")
    assert got.headers["webhook-request-origin"] == ORIGIN
    (told,) = await client.told(1, "webhook.updated")
    assert (told["subject"], told["data"]["reason"]) == ("webhook/w", "verified")
    await asyncio.sleep(EVER)
    assert len(receiver.asked) == 1, "asked again after it had agreed"
    # An answer can be sent back.
    again = await client.http.put("/v1/webhooks/w", json=shown)
    assert (again.status_code, again.json()["state"]) == (200, "active")


async def test_until_it_agrees_all_waits(client: Client, receiver: Receiver) -> None:
    receiver.says["/w"] = [Said(405), Said(200), agrees("*", status=500)]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    sent = [event("user.a") for _ in range(3)]
    await client.send(sent)
    known = await _until_tried(client)
    assert known["last_error"].startswith("ConsentRefused: the answer (HTTP 405) has no")
    assert (known["verified_at"], known["allowed_rate"]) == (None, None)
    assert known["next_try_at"] is not None
    for one in sent:
        await client.until("w", one["id"], "pending")
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["state"], stats["waiting"], stats["attempts"]) == ("unverified", 3, 0)
    refused = await client.http.post("/v1/webhooks/w/test")
    assert (refused.status_code, "/verify" in refused.json()["detail"]) == (409, True)
    assert not receiver.got
    got = await receiver.until(3, "/w")
    assert {one.json["id"] for one in got} == {one["id"] for one in sent}
    first, second, third = receiver.asked
    assert second.time - first.time > 0.9
    assert third.time - second.time > 1.9
    assert min(one.time for one in got) > third.time
    record = await client.until("w", sent[0]["id"], "succeeded")
    assert [one["number"] for one in record["attempts"]] == [1], "waiting has cost attempts"


@pytest.mark.parametrize(
    ("said", "allowed", "error"),
    [
        (agrees("*"), ("*", None), None),
        (agrees("Event-Gateway", "*"), ("Event-Gateway", "*"), None),
        (agrees("*", 120, status=404), ("*", 120), None),
        (agrees("other.example.com", 5), ("other.example.com", 5), "other.example.com"),
        (agrees("event-gateway.example.com"), ("event-gateway.example.com", None), "neither"),
        (agrees("*", 0), ("*", 0), "WebHook-Allowed-Rate is 0"),
        (agrees("*", "-5"), ("*", "-5"), "WebHook-Allowed-Rate is '-5'"),
        (agrees("*", "lots"), ("*", "lots"), "WebHook-Allowed-Rate is 'lots'"),
        (agrees("*", "9" * 400), ("*", "9" * 200), "WebHook-Allowed-Rate"),
        (Said(204, {"Access-Control-Allow-Origin": "*"}), (None, None), "has no"),
        (Said(302, {"Location": "/agrees"}), (None, None), "HTTP 302"),
    ],
)  # fmt: skip
async def test_what_is_consent(
    client: Client, receiver: Receiver, said: Said, allowed: tuple[Any, Any], error: str | None
) -> None:
    receiver.says["/w"] = [said]
    receiver.says["/agrees"] = [agrees()]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    came = await _verify(client)
    message = came.pop("error_message")
    assert came == {
        "webhook_id": "w", "verified": error is None, "status_code": said.status,
        "allowed_origin": allowed[0], "allowed_rate": allowed[1],
        "error_type": None if error is None else "ConsentRefused",
    }  # fmt: skip
    assert message is None if error is None else error in message
    assert [one.path for one in receiver.asked] == ["/w"], "a redirect was followed"
    # Who need not agree was asked all the same, and nothing is kept of it.
    shown = await _shown(client)
    assert (shown["state"], shown["verification"]) == ("active", None)


async def test_what_cannot_be_reached_or_says_nothing(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    receiver.says["/hangs"] = [Said(delay=60)]
    await client.webhook(id="hangs", url=f"{receiver.url}/hangs", events=["user.*"], verify=True,
                         timeout="300ms")  # fmt: skip
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    await client.webhook(id="dead", url=dead, events=["user.*"], verify=True)
    await client.webhook(id="secret", url=f"{receiver.url}/s", events=["user.*"], verify=True,
                         security={"auth_type": "bearer_token", "secret_name": "none"})  # fmt: skip
    for webhook, error in (("hangs", "ResponseTimeout"), ("dead", "ConnectionRefused"),
                           ("secret", "SecretMissing")):  # fmt: skip
        assert (await _until_tried(client, webhook))["last_error"].startswith(error)
        came = await _verify(client, webhook)
        assert (came["verified"], came["status_code"], came["error_type"]) == (False, None, error)
        assert (await _shown(client, webhook))["state"] == "unverified"
    assert {one.path for one in receiver.asked} == {"/hangs"}
    # Nobody who is slow to answer is in the way of one who agrees.
    receiver.says["/w"] = [agrees()]
    for n in range(30):
        await client.webhook(id=f"hangs{n}", url=f"{receiver.url}/hangs", events=["user.*"],
                             verify=True)  # fmt: skip
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    async with asyncio.timeout(PATIENCE):
        await _until(client, "active")
    assert (await client.http.post("/v1/webhooks/none/verify")).status_code == 404
    # The guard holds for this as for deliveries: by now the network is closed again.
    await gateway.gateway.reload(Config())
    assert (await _verify(client, "w"))["error_type"] == "EgressRefused"


async def test_the_handshake_is_authorised_as_deliveries_are(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_TOKEN", "t0ken")
    client = await connect(await start())
    receiver.says["/w"] = [agrees()]
    security = {"auth_type": "bearer_token", "secret_name": "token"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                         security=security)  # fmt: skip
    await _until(client, "active")
    assert receiver.asked[0].headers["authorization"] == "Bearer t0ken"


async def test_the_allowed_rate_is_kept(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    """The receiver's rate and the configured one, over both processes."""
    receiver.says["/w"] = [agrees("*", 12)]
    one, other = await peers.start(stack, {}, {})
    await one.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                      rate_limit={"events": 4, "per": "2s"})  # fmt: skip
    assert (await _until(other, "active"))["verification"]["allowed_rate"] == 12
    assert receiver.asked[0].headers["webhook-request-rate"] == "120"
    sent = [event("user.a") for _ in range(40)]
    began = time.time()
    await asyncio.gather(one.send(sent[:20]), other.send(sent[20:]))
    got = await receiver.until(12, "/w")
    times = [came.time for came in got]
    await asyncio.sleep(5)
    assert len(receiver.got) == 12, "more than the receiver allows in a minute"
    for count, at in enumerate(times):
        assert at - began >= 2 * (count // 4) * 0.98, "more than 4 in 2 s"
    # Asked again, it allows more, and what waits follows at the configured rate.
    receiver.says["/w"] = [agrees("*", 6000)]
    assert (await _verify(other))["allowed_rate"] == 6000
    await receiver.until(24, "/w")


async def test_another_url_has_to_agree_anew(client: Client, receiver: Receiver) -> None:
    receiver.says["/w"] = [agrees()]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    shown = await _until(client, "active")
    changed = await client.http.patch("/v1/webhooks/w", json={"description": "changed"})
    assert changed.json()["state"] == "active"
    at = changed.json()["verification"]["verified_at"]
    assert at == shown["verification"]["verified_at"] is not None
    await client.http.post("/v1/webhooks/w/enable")
    changed = await client.http.patch("/v1/webhooks/w", json={"url": f"{receiver.url}/other"})
    assert changed.json()["state"] == "unverified"
    assert changed.json()["verification"]["verified_at"] is None
    sent = event("user.a")
    await client.send(sent)
    await _until_tried(client)
    # Back where it was it is asked again, too.
    asked = len([one for one in receiver.asked if one.path == "/w"])
    await client.http.patch("/v1/webhooks/w", json={"url": f"{receiver.url}/w"})
    (got,) = await receiver.until(1, "/w")
    assert got.json["id"] == sent["id"]
    assert len([one for one in receiver.asked if one.path == "/w"]) == asked + 1
    assert not receiver.at("/other")


async def test_verify_turned_off_and_on(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    await client.send(event("user.a"))
    await _until_tried(client)
    off = await client.http.patch("/v1/webhooks/w", json={"verify": False})
    assert (off.json()["state"], off.json()["verification"]) == ("active", None)
    (got,) = await receiver.until(1, "/w")
    assert "webhook-request-origin" not in got.headers
    asked = len(receiver.asked)
    await asyncio.sleep(2.5)
    assert len(receiver.asked) == asked, "asked although it need not agree any more"
    receiver.says["/w"] = [agrees()]
    await client.http.patch("/v1/webhooks/w", json={"verify": True})
    await _until(client, "active")
    await client.send(event("user.b"))
    assert "webhook-request-origin" in (await receiver.until(2, "/w"))[1].headers
    # A consent does not outlive that it is asked for.
    receiver.says["/w"] = [Said(405)]
    await client.http.patch("/v1/webhooks/w", json={"verify": False})
    on = await client.http.patch("/v1/webhooks/w", json={"verify": True})
    assert on.json()["state"] == "unverified"


async def test_paused_and_disabled_ones_are_not_asked(client: Client, receiver: Receiver) -> None:
    receiver.says["/w"] = [agrees()]
    receiver.answers["/w"] = [410]
    made = await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                                enabled=False)  # fmt: skip
    assert made["state"] == "paused"
    await asyncio.sleep(EVER)
    assert not receiver.asked
    enabled = await client.http.post("/v1/webhooks/w/enable")
    assert enabled.json()["state"] == "unverified"
    await _until(client, "active")
    await client.send(event("user.a"))
    shown = await _until(client, "disabled")
    assert shown["verification"]["verified_at"] is not None


async def test_a_refusal_ends_the_consent_and_silence_does_not(
    client: Client, receiver: Receiver
) -> None:
    receiver.says["/w"] = [agrees("*", 5000)]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                         timeout="300ms")  # fmt: skip
    await _until(client, "active")
    receiver.says["/w"] = [Said(delay=60)]
    assert (await _verify(client))["error_type"] == "ResponseTimeout"
    assert (await _shown(client))["state"] == "active"
    receiver.says["/w"] = [agrees("other")]
    assert (await _verify(client))["verified"] is False
    shown = await _shown(client)
    assert (shown["state"], shown["verification"]["allowed_rate"]) == ("unverified", None)
    assert "other" in shown["verification"]["last_error"]
    told = await client.told(2, "webhook.updated")
    assert told[-1]["data"]["reason"].startswith("no longer verified: WebHook-Allowed-Origin")
    await client.send(event("user.a"))
    await asyncio.sleep(EVER)
    assert not receiver.got
    receiver.says["/w"] = [agrees()]
    assert (await _verify(client))["verified"] is True
    assert (await _shown(client))["state"] == "active"
    await receiver.until(1, "/w")


async def test_what_waits_for_consent_too_long_is_a_dead_letter(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                         retry_policy={"max_age": "1s"})  # fmt: skip
    sent = event("user.a")
    await client.send(sent)
    record = await client.until("w", sent["id"], "dead_letter")
    assert (record["last_error"], record["attempts"]) == ("Expired", [])


async def test_ordered_ones_wait_too_and_keep_the_rate(client: Client, receiver: Receiver) -> None:
    receiver.says["/w"] = [Said(405), agrees("*", 5)]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                         ordered=True)  # fmt: skip
    sent = [event("user.a") for _ in range(7)]
    await client.send(sent)
    got = await receiver.until(5, "/w")
    assert got[0].time > receiver.asked[1].time
    assert [one.json["id"] for one in got] == [one["id"] for one in sent[:5]]
    await asyncio.sleep(2)
    assert len(receiver.got) == 5


async def test_over_restarts_and_with_another_origin(tmp_path: Path, receiver: Receiver) -> None:
    receiver.says["/w"] = [agrees(ORIGIN, 5000)]
    receiver.says["/late"] = [Said(405)]
    config = LOOPBACK | {"webhooks": {
        name: {"url": f"{receiver.url}/{name}", "events": ["user.*"], "verify": True}
        for name in ("w", "late")
    }}  # fmt: skip
    program = Program(tmp_path, config)
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            first = (await _until(client, "active"))["verification"]
            await _until_tried(client, "late")
            await asyncio.sleep(2.5)  # in which it is asked once more
            answer = await client.http.post("/v1/webhooks/late/verify")
            assert answer.json()["error_type"] == "ConsentRefused"
        program.kill()
        assert program.output.count("is not verified yet") == 1, "a warning for each try"

        receiver.asked.clear()
        receiver.says["/late"] = [agrees()]
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await _until(client, "active", "late")
            assert (await _shown(client))["verification"] == first
            await client.send(event("user.a"))
            await receiver.until(1, "/w")
            await receiver.until(1, "/late")
            assert [one.path for one in receiver.asked] == ["/late"], "a consent was forgotten"
        assert await program.stop() == 0

        # The consent was to another sender.
        named = {"delivery": LOOPBACK["delivery"] | {"origin": "events.example.com"}}
        program.configure(config | named)
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await _until(client, "active", "late")
            assert (await _shown(client))["state"] == "unverified"
            sent = event("user.b")
            await client.send(sent)
            got = await receiver.until(2, "/late")
            assert got[1].headers["webhook-request-origin"] == "events.example.com"
            await asyncio.sleep(EVER)
            assert len(receiver.at("/w")) == 1
            receiver.says["/w"] = [agrees("events.example.com")]
            await receiver.until(2, "/w")
            # The same without a restart.
            program.configure(config)
            os.kill(program.pid, signal.SIGHUP)
            known = await _until_tried(client)
            assert "neither event-gateway nor *" in known["last_error"]
            assert (await _shown(client))["state"] == "unverified"
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_one_process_asks_and_another_carries_on(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    one, other = await peers.start(stack, {}, {})
    await asyncio.sleep(1.5)  # until both know that they are two
    await one.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    await receiver.until_asked(3)
    gaps = [b.time - a.time for a, b in zip(receiver.asked, receiver.asked[1:], strict=False)]
    assert min(gaps) > 0.9, "both ask"
    asks, lives = peers.programs, [one, other]
    first = 0 if "is not verified yet" in asks[0].output else 1
    assert "is not verified yet" not in asks[1 - first].output
    receiver.says["/w"] = [agrees()]
    asks[first].kill()
    await _until(lives[1 - first], "active")


def test_a_consent_is_for_one_url() -> None:
    agreed = Verification(0.0, "http://x/", "o")
    assert Webhook("w", "http://x/", ("a",), verify=True, verified=agreed).state == "active"
    assert Webhook("w", "http://x/y", ("a",), verify=True, verified=agreed).state == "unverified"


def test_the_limits_of_a_webhook() -> None:
    def limits(rate: int | None, own: RateLimit | None = None, verify: bool = True) -> Any:
        agreed = Verification(0.0, "http://x/", "o", rate)
        one = Webhook("w", "http://x/", ("a",), rate_limit=own, verify=verify, verified=agreed)
        return one.limits

    assert limits(None) == ()
    assert limits(10) == (RateLimit(10, 60.0),)
    assert limits(MAX_RATE + 1) == (RateLimit((MAX_RATE + 1) // 60, 1.0),)
    assert limits(10**12) == (RateLimit(MAX_RATE, 1.0),)
    own = RateLimit(5, 1.0)
    assert limits(200, own) == (own, RateLimit(200, 60.0))
    assert limits(10, verify=False) == ()
