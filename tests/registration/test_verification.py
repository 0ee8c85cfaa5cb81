"""Receivers that must be verified before the first delivery (``verify: true``)."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from event_gateway.cli.process.serve import Running
from event_gateway.config.model import Config
from event_gateway.core.webhook.webhook import MAX_RATE, RateLimit, Verification, Webhook
from event_gateway.state.keys import GATES, RATE
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.peers import Peers, until_acquainted
from support.program import LOOPBACK, Program
from support.receiver import OptionsAnswer, Receiver, allows

pytestmark = pytest.mark.shared

ORIGIN = "event-gateway"
EVER = 0.6  # seconds after which a request counts as not sent
SHORT = "1s"  # the timeout where nothing answers: enough to connect, also on a busy machine


async def _shown(client: Client, webhook: str = "w") -> dict[str, Any]:
    answer = await client.http.get(f"/v1/webhooks/{webhook}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _until(client: Client, state: str, webhook: str = "w") -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while (shown := await _shown(client, webhook))["state"] != state:
            await asyncio.sleep(0.05)
    return shown


async def _until_tried(client: Client, webhook: str = "w") -> dict[str, Any]:
    """Waits for a failed handshake, and returns the webhook's verification."""
    async with asyncio.timeout(PATIENCE):
        while not (known := (await _shown(client, webhook))["verification"])["last_error"]:
            await asyncio.sleep(0.05)
    return dict(known)


async def _verify(client: Client, webhook: str = "w") -> dict[str, Any]:
    answer = await client.http.post(f"/v1/webhooks/{webhook}/verify")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_verified_receiver_gets_events(client: Client, receiver: Receiver) -> None:
    receiver.options_answers["/w"] = [allows(ORIGIN)]
    webhook = await client.webhook(id="w", url=f"{receiver.url}/w?key=1", events=["user.*"],
                                verify=True, headers={"x-tenant": "acme"})  # fmt: skip
    assert webhook["verify"] is True
    shown = await _until(client, "active")
    assert shown["verification"].pop("verified_at") > webhook["created_at"]
    assert shown["verification"] == {"allowed_rate": None, "last_error": None, "next_try_at": None}
    (received,) = receiver.options_requests
    assert received.headers["webhook-request-origin"] == ORIGIN
    assert (received.headers["content-length"], received.headers["x-tenant"]) == ("0", "acme")
    assert received.headers["user-agent"].startswith("event-gateway/")
    assert received.headers["host"] == receiver.url.removeprefix("http://")
    assert "webhook-request-rate" not in received.headers
    await client.send(event("user.a"))
    (request,) = await receiver.until(1, "/w")
    assert request.headers["webhook-request-origin"] == ORIGIN
    (event_,) = await client.lifecycle_events(1, "webhook.updated")
    assert (event_["subject"], event_["data"]["reason"]) == ("webhook/w", "verified")
    await asyncio.sleep(EVER)
    assert len(receiver.options_requests) == 1, "asked again after it had agreed"
    # A response can be sent back.
    again = await client.http.put("/v1/webhooks/w", json=shown)
    assert (again.status_code, again.json()["state"]) == (200, "active")


async def test_deliveries_wait_until_the_receiver_is_verified(
    client: Client, receiver: Receiver
) -> None:
    receiver.options_answers["/w"] = [
        OptionsAnswer(405),
        OptionsAnswer(200),
        allows("*", status=500),
    ]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    sent = [event("user.a") for _ in range(3)]
    await client.send(sent)
    known = await _until_tried(client)
    assert known["last_error"].startswith("ConsentRefused: the answer (HTTP 405) has no")
    assert (known["verified_at"], known["allowed_rate"]) == (None, None)
    assert known["next_try_at"] is not None
    for item in sent:
        await client.until("w", item["id"], "pending")
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["state"], stats["waiting"], stats["attempts"]) == ("unverified", 3, 0)
    refused = await client.http.post("/v1/webhooks/w/test")
    assert (refused.status_code, "/verify" in refused.json()["detail"]) == (409, True)
    assert not receiver.requests
    requests = await receiver.until(3, "/w")
    assert {request.json["id"] for request in requests} == {item["id"] for item in sent}
    first, second, third = receiver.options_requests
    assert second.time - first.time > 0.9
    assert third.time - second.time > 1.9
    assert min(request.time for request in requests) > third.time
    record = await client.until("w", sent[0]["id"], "succeeded")
    assert [attempt["number"] for attempt in record["attempts"]] == [1], "waiting has cost attempts"


@pytest.mark.parametrize(
    ("text", "allowed", "error"),
    [
        (allows("*"), ("*", None), None),
        (allows("Event-Gateway", "*"), ("Event-Gateway", "*"), None),
        (allows("*", 120, status=404), ("*", 120), None),
        (allows("other.example.com", 5), ("other.example.com", 5), "other.example.com"),
        (allows("event-gateway.example.com"), ("event-gateway.example.com", None), "neither"),
        (allows("*", 0), ("*", 0), "WebHook-Allowed-Rate is 0"),
        (allows("*", "-5"), ("*", "-5"), "WebHook-Allowed-Rate is '-5'"),
        (allows("*", "lots"), ("*", "lots"), "WebHook-Allowed-Rate is 'lots'"),
        (allows("*", "9" * 400), ("*", "9" * 200), "WebHook-Allowed-Rate"),
        (OptionsAnswer(204, {"Access-Control-Allow-Origin": "*"}), (None, None), "has no"),
        (OptionsAnswer(302, {"Location": "/agrees"}), (None, None), "HTTP 302"),
    ],
)  # fmt: skip
async def test_responses_that_verify(
    client: Client,
    receiver: Receiver,
    text: OptionsAnswer,
    allowed: tuple[Any, Any],
    error: str | None,
) -> None:
    receiver.options_answers["/w"] = [text]
    receiver.options_answers["/agrees"] = [allows()]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    came = await _verify(client)
    message = came.pop("error_message")
    assert came == {
        "webhook_id": "w", "verified": error is None, "status_code": text.status,
        "allowed_origin": allowed[0], "allowed_rate": allowed[1],
        "error_type": None if error is None else "ConsentRefused",
    }  # fmt: skip
    assert message is None if error is None else error in message
    assert [options_request.path for options_request in receiver.options_requests] == ["/w"], (
        "a redirect was followed"
    )
    # A receiver without verify gets a handshake on request, and the result is not stored.
    shown = await _shown(client)
    assert (shown["state"], shown["verification"]) == ("active", None)


@pytest.mark.alone
async def test_receivers_that_cannot_be_reached_or_do_not_answer(
    gateway: Running, client: Client, receiver: Receiver
) -> None:
    receiver.options_answers["/hangs"] = [OptionsAnswer(delay=60)]
    await client.webhook(id="hangs", url=f"{receiver.url}/hangs", events=["user.*"], verify=True,
                         timeout=SHORT)  # fmt: skip
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
    assert {options_request.path for options_request in receiver.options_requests} == {"/hangs"}
    # A receiver that is slow to answer does not delay another one.
    receiver.options_answers["/w"] = [allows()]
    for n in range(30):
        await client.webhook(id=f"hangs{n}", url=f"{receiver.url}/hangs", events=["user.*"],
                             verify=True)  # fmt: skip
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    async with asyncio.timeout(PATIENCE):
        await _until(client, "active")
    assert (await client.http.post("/v1/webhooks/none/verify")).status_code == 404
    # The egress guard applies as for deliveries: the network is not allowed any more.
    await gateway.gateway.reload(Config())
    assert (await _verify(client, "w"))["error_type"] == "EgressRefused"


async def test_the_handshake_is_authenticated(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_TOKEN", "t0ken")
    client = await connect(await start())
    receiver.options_answers["/w"] = [allows()]
    security = {"auth_type": "bearer_token", "secret_name": "token"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                         security=security)  # fmt: skip
    await _until(client, "active")
    assert receiver.options_requests[0].headers["authorization"] == "Bearer t0ken"


async def test_the_allowed_rate_is_respected(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    """The receiver's rate limit and the configured one apply over both processes."""
    receiver.options_answers["/w"] = [allows("*", 12)]
    first, other = await peers.start(stack, {}, {})
    await first.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                      rate_limit={"events": 4, "per": "2s"})  # fmt: skip
    assert (await _until(other, "active"))["verification"]["allowed_rate"] == 12
    assert receiver.options_requests[0].headers["webhook-request-rate"] == "120"
    sent = [event("user.a") for _ in range(40)]
    await asyncio.gather(first.send(sent[:20]), other.send(sent[20:]))
    await receiver.until(12, "/w")
    async with redis.asyncio.from_url(peers.servers[1], decode_responses=True) as store:
        # The starts of the attempts, by the clock of Redis, which gives the permits.
        permits = await store.lrange(RATE.key("w"), 0, -1)
        starts = sorted(int(permit.split()[1]) for permit in permits)
        assert len(starts) == len(receiver.requests) == 12
        for former, later in zip(starts, starts[4:], strict=False):
            assert later - former >= 2000, "more than 4 in 2 s"
        async with asyncio.timeout(PATIENCE):  # until a process has asked for the next one
            while float(await store.hget(GATES.key(), "w") or 0) < starts[0] + 60_000:
                await asyncio.sleep(0.05)
    assert len(receiver.requests) == 12, "more than the receiver allows in a minute"
    # After another handshake a higher rate is allowed, and pending deliveries use it.
    receiver.options_answers["/w"] = [allows("*", 6000)]
    assert (await _verify(other))["allowed_rate"] == 6000
    await receiver.until(24, "/w")


@pytest.mark.alone
async def test_another_url_must_be_verified(client: Client, receiver: Receiver) -> None:
    receiver.options_answers["/w"] = [allows()]
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
    # With the earlier URL it is verified again, too.
    requested = len(
        [
            options_request
            for options_request in receiver.options_requests
            if options_request.path == "/w"
        ]
    )
    await client.http.patch("/v1/webhooks/w", json={"url": f"{receiver.url}/w"})
    (request,) = await receiver.until(1, "/w")
    assert request.json["id"] == sent["id"]
    assert (
        len(
            [
                options_request
                for options_request in receiver.options_requests
                if options_request.path == "/w"
            ]
        )
        == requested + 1
    )
    assert not receiver.requests_to("/other")


@pytest.mark.alone
async def test_verify_turned_off_and_on(client: Client, receiver: Receiver) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    await client.send(event("user.a"))
    await _until_tried(client)
    off = await client.http.patch("/v1/webhooks/w", json={"verify": False})
    assert (off.json()["state"], off.json()["verification"]) == ("active", None)
    (request,) = await receiver.until(1, "/w")
    assert "webhook-request-origin" not in request.headers
    requested = len(receiver.options_requests)
    await asyncio.sleep(2.5)
    assert len(receiver.options_requests) == requested, "asked although it need not agree any more"
    receiver.options_answers["/w"] = [allows()]
    await client.http.patch("/v1/webhooks/w", json={"verify": True})
    await _until(client, "active")
    await client.send(event("user.b"))
    assert "webhook-request-origin" in (await receiver.until(2, "/w"))[1].headers
    # A verification ends when the webhook requires none any more.
    receiver.options_answers["/w"] = [OptionsAnswer(405)]
    await client.http.patch("/v1/webhooks/w", json={"verify": False})
    on = await client.http.patch("/v1/webhooks/w", json={"verify": True})
    assert on.json()["state"] == "unverified"


@pytest.mark.alone
async def test_paused_and_disabled_webhooks_get_no_handshake(
    client: Client, receiver: Receiver
) -> None:
    receiver.options_answers["/w"] = [allows()]
    receiver.answers["/w"] = [410]
    webhook = await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                                enabled=False)  # fmt: skip
    assert webhook["state"] == "paused"
    await asyncio.sleep(EVER)
    assert not receiver.options_requests
    enabled = await client.http.post("/v1/webhooks/w/enable")
    assert enabled.json()["state"] == "unverified"
    await _until(client, "active")
    await client.send(event("user.a"))
    shown = await _until(client, "disabled")
    assert shown["verification"]["verified_at"] is not None


@pytest.mark.alone
async def test_a_refusal_ends_a_verification_and_silence_does_not(
    client: Client, receiver: Receiver
) -> None:
    receiver.options_answers["/w"] = [allows("*", 5000)]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    await _until(client, "active")
    receiver.options_answers["/w"] = [OptionsAnswer(delay=60)]
    await client.http.patch("/v1/webhooks/w", json={"timeout": SHORT})
    assert (await _verify(client))["error_type"] == "ResponseTimeout"
    assert (await _shown(client))["state"] == "active"
    await client.http.patch("/v1/webhooks/w", json={"timeout": "30s"})
    receiver.options_answers["/w"] = [allows("other")]
    assert (await _verify(client))["verified"] is False
    shown = await _shown(client)
    assert (shown["state"], shown["verification"]["allowed_rate"]) == ("unverified", None)
    assert "other" in shown["verification"]["last_error"]
    events = await client.lifecycle_events(4, "webhook.updated")
    assert events[-1]["data"]["reason"].startswith("no longer verified: WebHook-Allowed-Origin")
    await client.send(event("user.a"))
    await asyncio.sleep(EVER)
    assert not receiver.requests
    receiver.options_answers["/w"] = [allows()]
    assert (await _verify(client))["verified"] is True
    assert (await _shown(client))["state"] == "active"
    await receiver.until(1, "/w")


@pytest.mark.alone
async def test_a_delivery_that_waits_too_long_for_verification_is_a_dead_letter(
    client: Client, receiver: Receiver
) -> None:
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                         retry_policy={"max_age": "1s"})  # fmt: skip
    sent = event("user.a")
    await client.send(sent)
    record = await client.until("w", sent["id"], "dead_letter")
    assert (record["last_error"], record["attempts"]) == ("Expired", [])


@pytest.mark.alone
async def test_ordered_webhooks_wait_too_and_respect_the_rate(
    client: Client, receiver: Receiver
) -> None:
    receiver.options_answers["/w"] = [OptionsAnswer(405), allows("*", 5)]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True,
                         ordered=True)  # fmt: skip
    sent = [event("user.a") for _ in range(7)]
    began = time.time()
    await client.send(sent)
    requests = await receiver.until(5, "/w")
    assert requests[0].time > receiver.options_requests[1].time
    assert [request.json["id"] for request in requests[:5]] == [item["id"] for item in sent[:5]]
    await asyncio.sleep(2)
    # 5 at once, and one in 12 seconds.
    for position, request in enumerate(receiver.requests):
        assert request.time - began >= 12 * (position - 4) - 0.1, position


async def test_verification_survives_restarts_but_not_another_origin(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.options_answers["/w"] = [allows(ORIGIN, 5000)]
    receiver.options_answers["/late"] = [OptionsAnswer(405)]
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
            await asyncio.sleep(2.5)  # in which another handshake is sent
            answer = await client.http.post("/v1/webhooks/late/verify")
            assert answer.json()["error_type"] == "ConsentRefused"
        program.kill()
        assert program.output.count("is not verified yet") == 1, "a warning for each try"

        receiver.options_requests.clear()
        receiver.options_answers["/late"] = [allows()]
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await _until(client, "active", "late")
            assert (await _shown(client))["verification"] == first
            await client.send(event("user.a"))
            await receiver.until(1, "/w")
            await receiver.until(1, "/late")
            assert [options_request.path for options_request in receiver.options_requests] == [
                "/late"
            ], "a verification was forgotten"
        assert await program.stop() == 0

        # The verification was for another origin.
        named = {"delivery": LOOPBACK["delivery"] | {"origin": "events.example.com"}}
        program.configure(config | named)
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            await _until(client, "active", "late")
            assert (await _shown(client))["state"] == "unverified"
            sent = event("user.b")
            await client.send(sent)
            requests = await receiver.until(2, "/late")
            assert requests[1].headers["webhook-request-origin"] == "events.example.com"
            await asyncio.sleep(EVER)
            assert len(receiver.requests_to("/w")) == 1
            receiver.options_answers["/w"] = [allows("events.example.com")]
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


async def test_one_process_sends_handshakes_and_another_takes_over(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver
) -> None:
    single, other = await peers.start(stack, {}, {})
    await until_acquainted(single, other)
    await single.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], verify=True)
    await receiver.until_options(3)
    gaps = [
        b.time - a.time
        for a, b in zip(receiver.options_requests, receiver.options_requests[1:], strict=False)
    ]
    assert min(gaps) > 0.9, "both ask"
    asks, lives = peers.programs, [single, other]
    first = 0 if "is not verified yet" in asks[0].output else 1
    assert "is not verified yet" not in asks[1 - first].output
    receiver.options_answers["/w"] = [allows()]
    asks[first].kill()
    await _until(lives[1 - first], "active")


def test_a_verification_is_for_one_url() -> None:
    agreed = Verification(0.0, "http://x/", "o")
    assert Webhook("w", "http://x/", ("a",), verify=True, verified=agreed).state == "active"
    assert Webhook("w", "http://x/y", ("a",), verify=True, verified=agreed).state == "unverified"


def test_the_limits_of_a_webhook() -> None:
    def limits(rate: int | None, own: RateLimit | None = None, verify: bool = True) -> Any:
        agreed = Verification(0.0, "http://x/", "o", rate)
        first = Webhook("w", "http://x/", ("a",), rate_limit=own, verify=verify, verified=agreed)
        return first.limits

    assert limits(None) == ()
    assert limits(10) == (RateLimit(10, 60.0),)
    assert limits(MAX_RATE + 1) == (RateLimit((MAX_RATE + 1) // 60, 1.0),)
    assert limits(10**12) == (RateLimit(MAX_RATE, 1.0),)
    own = RateLimit(5, 1.0)
    assert limits(200, own) == (own, RateLimit(200, 60.0))
    assert limits(10, verify=False) == ()
