"""Secrets by name: external, or sealed in the registry; changed without a restart."""

import asyncio
import base64
import contextlib
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from event_gateway.core.access.sealing import CannotOpen, CannotSeal, SealingKeys, new_key
from support.client import Client, connected, event
from support.command import command
from support.fixtures import Start
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program
from support.receiver import Receiver

FIRST, SECOND, THIRD = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 3))
SIGNED = {"auth_type": "hmac_signature", "secret_name": "signing"}


async def _set(client: Client, name: str, value: Any, status: int = 201) -> Any:
    answer = await client.http.put(f"/v1/secrets/{name}", json={"value": value})
    assert answer.status_code == status, answer.text
    return answer.json()


async def _listed(client: Client) -> dict[str, Any]:
    answer = await client.http.get("/v1/secrets")
    return {item["name"]: item for item in answer.json()["items"]}


async def _deliver_one(client: Client, receiver: Receiver, webhook: str = "w") -> Any:
    sent = event("a.b")
    await client.send(sent)
    await client.until(webhook, sent["id"], "succeeded")
    return receiver.requests_to(f"/{webhook}")[-1]


def _signed_with(request: Any) -> list[str]:
    """The keys that verify the signatures; there must be no further signature."""
    signatures = request.headers["webhook-signature"].split()
    result = []
    for key in (FIRST, SECOND, THIRD):
        try:
            standardwebhooks.Webhook(key).verify(request.body, request.headers)
        except standardwebhooks.WebhookVerificationError:
            continue
        result.append(key)
    assert len(signatures) == len(result)
    return result


async def test_a_sealed_secret_is_used_and_never_shown(client: Client, receiver: Receiver) -> None:
    security = {"auth_type": "bearer_token", "secret_name": "theirs"}
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=security)
    assert (await _listed(client))["theirs"]["from"] is None, "it is missing"
    shown = await _set(client, "theirs", "the-token")
    assert (shown["from"], shown["used_by"], shown["sealed"]["readable"]) == ("sealed", ["w"], True)
    assert (await _deliver_one(client, receiver)).headers["authorization"] == "Bearer the-token"
    await _set(client, "theirs", "another-token", status=200)
    assert (await _deliver_one(client, receiver)).headers["authorization"] == "Bearer another-token"
    answer = await (await client.nats.jetstream().key_value("GATEWAY_REGISTRY")).get(
        "secret.theirs"
    )
    everything = (await client.http.get("/v1/secrets")).text + str(answer.value)
    assert "the-token" not in everything
    assert "another-token" not in everything
    refused = await client.http.delete("/v1/secrets/theirs")
    assert (refused.status_code, "webhooks w" in refused.json()["detail"]) == (409, True)
    source = {"name": "gh", "type": "github", "secret_name": "theirs"}
    assert (await client.http.post("/v1/sources", json=source)).status_code == 201
    assert (await client.http.delete("/v1/webhooks/w")).status_code == 204
    async with asyncio.timeout(PATIENCE):
        while "webhooks w" in (refused := await client.http.delete("/v1/secrets/theirs")).text:
            await asyncio.sleep(0.05)
    assert (refused.status_code, "sources gh" in refused.json()["detail"]) == (409, True)
    assert (await client.http.delete("/v1/sources/gh")).status_code == 204
    async with asyncio.timeout(PATIENCE):
        while (await client.http.delete("/v1/secrets/theirs")).status_code == 409:
            await asyncio.sleep(0.05)
    assert await _listed(client) == {}
    assert (await client.http.delete("/v1/secrets/theirs")).status_code == 404


async def test_a_caller_narrowed_to_types_sees_names_and_not_who_uses_them(
    client: Client,
) -> None:
    """Whether webhooks use a secret, which it does not see, or sources, which are the
    operators'."""
    for name in ("stored", "missing"):
        source = {"name": f"of-{name}", "type": "github", "secret_name": name}
        assert (await client.http.post("/v1/sources", json=source)).status_code == 201
    for name in ("stored", "of-webhook"):
        await _set(client, name, "v")
    security = {"auth_type": "bearer_token", "secret_name": "of-webhook"}
    await client.webhook(id="w", url="https://a.example/", events=["a.>"], security=security)
    body = {"name": "n", "scopes": ["secrets:manage"], "types": ["user.>"]}
    made = await client.http.post("/v1/keys", json=body)
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    listed = (await client.http.get("/v1/secrets", headers=headers)).json()["items"]
    assert {item["name"] for item in listed} == {"stored", "missing", "of-webhook"}
    for item in listed:
        shown = (await client.http.get(f"/v1/secrets/{item['name']}", headers=headers)).json()
        assert shown == item
        assert (shown["used_by"], shown["used_by_sources"]) == ([], [])
    refused = await client.http.delete("/v1/secrets/stored", headers=headers)
    assert refused.status_code == 403, refused.text
    refused = await client.http.delete("/v1/secrets/of-webhook", headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (
        409, "the secret of-webhook is used by webhooks",
    )  # fmt: skip


BAD_SECRETS: list[tuple[str, Any, str]] = [
    ("a.b", {"value": "x"}, "name"),
    ("sealing_key", {"value": "x"}, "name"),
    ("SEALING-KEY", {"value": "x"}, "name"),
    ("n" * 129, {"value": "x"}, "name"),
    ("n", {}, "value"),
    ("n", {"value": ""}, "value"),
    ("n", {"value": " \n"}, "value"),
    ("n", {"value": 5}, "value"),
    ("n", {"value": "x" * 65_537}, "value"),
    ("n", {"value": "x", "more": 1}, ""),  # it could be the secret value
]


async def test_secrets_that_cannot_be_set(client: Client, subtests: pytest.Subtests) -> None:
    for name, body, key in BAD_SECRETS:
        with subtests.test(name=name, body=body, key=key):
            answer = await client.http.put(f"/v1/secrets/{name}", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["key"] == key
            assert await _listed(client) == {}


async def test_who_may_use_a_secret_is_changed_without_its_value(
    client: Client, receiver: Receiver
) -> None:
    security = {"auth_type": "bearer_token", "secret_name": "theirs"}
    await _set(client, "theirs", "the-token")
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=security)
    path = "/v1/secrets/theirs"
    tag = (await client.http.get(path)).headers["etag"]
    body = {"namespaces": ["partner", "customer"]}
    changed = await client.http.patch(path, json=body, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["namespaces"], changed.headers["etag"] == tag) == (
        ["customer", "partner"], False,
    )  # fmt: skip
    stale = await client.http.patch(path, json=body, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/precondition-failed")
    request = await _deliver_one(client, receiver)
    assert request.headers["authorization"] == "Bearer the-token", "the value stays"
    same = await client.http.patch(path, json={})
    assert (same.status_code, same.json()["namespaces"]) == (200, ["customer", "partner"])
    none = await client.http.patch(path, json={"namespaces": None})
    assert none.json()["namespaces"] == []
    record = (await client.http.get("/v1/audit-log?operation=secrets.change")).json()["items"][0]
    assert record["before"] == {"namespaces": ["customer", "partner"]}
    for wrong in ({"value": "unseen"}, {"namespaces": "all"}, {"namespaces": [""]}):
        answer = await client.http.patch(path, json=wrong)
        assert (answer.status_code, "unseen" in answer.text) == (422, False), wrong
    assert (await client.http.patch("/v1/secrets/none", json=body)).status_code == 404

    narrow = {"name": "narrow", "scopes": ["secrets:manage"], "namespaces": ["customer"]}
    key = (await client.http.post("/v1/keys", json=narrow)).json()["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    for namespaces, status in (
        (["customer"], 404), (["customer"], 200), (["partner"], 422), ([], 422), (None, 422),
    ):  # fmt: skip
        given = {"namespaces": namespaces}
        answer = await client.http.patch(path, json=given, headers=bearer)
        assert answer.status_code == status, answer.text
        await client.http.patch(path, json={"namespaces": ["customer"]})


async def test_a_signing_key_is_rotated_with_an_overlap(client: Client, receiver: Receiver) -> None:
    await _set(client, "signing", FIRST)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=SIGNED)
    assert _signed_with(await _deliver_one(client, receiver)) == [FIRST]
    answer = await client.http.post("/v1/webhooks/w/rotate-secret", json={"value": SECOND})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["sealed"]["former_until"]) == 1
    request = await _deliver_one(client, receiver)
    assert _signed_with(request) == [FIRST, SECOND]
    # The new signature first: some receivers check only the first.
    first = request.headers["webhook-signature"].split()[0]
    standardwebhooks.Webhook(SECOND).verify(request.body, dict(request.headers, **{
        "webhook-signature": first}))  # fmt: skip
    # A second overlap, and an overlap of 0.
    rotate = {"value": THIRD, "overlap": "10m"}
    assert (await client.http.post("/v1/secrets/signing/rotate", json=rotate)).status_code == 200
    assert _signed_with(await _deliver_one(client, receiver)) == [FIRST, SECOND, THIRD]
    now = {"value": THIRD, "overlap": "0s"}
    assert (await client.http.post("/v1/secrets/signing/rotate", json=now)).status_code == 200
    assert _signed_with(await _deliver_one(client, receiver)) == [THIRD]


async def test_a_replaced_key_expires(client: Client, receiver: Receiver) -> None:
    await _set(client, "signing", FIRST)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=SIGNED)
    body = {"value": SECOND, "overlap": "1s"}
    assert (await client.http.post("/v1/webhooks/w/rotate-secret", json=body)).status_code == 200
    async with asyncio.timeout(PATIENCE):  # the file is read again every few seconds
        while _signed_with(await _deliver_one(client, receiver)) != [SECOND]:
            await asyncio.sleep(0.3)


BAD_ROTATIONS: list[tuple[Any, int, str]] = [
    ({}, 422, "value"),
    ({"value": "not base64!"}, 422, "base64"),
    ({"value": SECOND, "overlap": "soon"}, 422, "overlap"),
    ({"value": SECOND, "overlap": "31d"}, 422, "overlap"),
    ({"value": SECOND, "key": 1}, 422, "unknown key"),
]


async def test_secrets_that_cannot_be_rotated(
    client: Client, receiver: Receiver, subtests: pytest.Subtests
) -> None:
    await _set(client, "signing", FIRST)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=SIGNED)
    for body, status, words in BAD_ROTATIONS:
        with subtests.test(body=body, words=words):
            answer = await client.http.post("/v1/webhooks/w/rotate-secret", json=body)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
            assert _signed_with(await _deliver_one(client, receiver)) == [FIRST]


async def test_external_secrets_take_precedence_and_cannot_be_changed(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_SIGNING", FIRST)
    assert (await _set(client, "signing", SECOND))["from"] == "environment"
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.>"], security=SIGNED)
    await client.webhook(id="plain", url=f"{receiver.url}/w", events=["b.>"])
    assert _signed_with(await _deliver_one(client, receiver)) == [FIRST]
    answer = await client.http.post("/v1/webhooks/w/rotate-secret", json={"value": THIRD})
    assert (answer.status_code, "environment" in answer.text) == (409, True)
    answer = await client.http.post("/v1/webhooks/plain/rotate-secret", json={"value": THIRD})
    assert (answer.status_code, "has no signing key" in answer.text) == (409, True)


def _config(receiver: Receiver) -> dict[str, Any]:
    return LOOPBACK | {
        "webhooks": {"w": {"url": f"{receiver.url}/w", "events": ["a.>"], "security": SIGNED}}
    }


async def test_a_change_applies_in_every_process(
    peers: Peers, stack: contextlib.AsyncExitStack, receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """All processes share one external sealing key."""
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_SEALING_KEY", new_key())
    clients = await peers.start(stack, _config(receiver), _config(receiver))
    for client in clients:
        for value in (FIRST, SECOND):
            answer = await client.http.put("/v1/secrets/signing", json={"value": value})
            assert answer.status_code in (200, 201), answer.text
            for other in clients:
                came = await other.http.post("/v1/webhooks/w/test")
                assert came.json()["succeeded"], came.text
                assert _signed_with(receiver.requests[-1]) == [value]


async def test_a_key_is_rotated_by_resealing(tmp_path: Path, receiver: Receiver) -> None:
    old, new, third = new_key(), new_key(), new_key()
    sealed = {"subjects": ["audit.*"], "compliance": True, "sealed_by": "data.person"}
    config = _config(receiver) | {"streams": {"audit": sealed}}
    program = Program(tmp_path, config, EVENT_GATEWAY_SECRET_SEALING_KEY=old)
    try:
        for keys, readable, resealed in (
            (old, True, 0), (f"{new} {old}", True, 1), (new, True, 0),
            (old, False, 0), (f"{third} {old}", False, 1),
        ):  # fmt: skip
            program.environ["EVENT_GATEWAY_SECRET_SEALING_KEY"] = keys
            at = await program.start()
            async with connected(at["http"], at["nats"], at["key"]) as client:
                if keys == old and readable:
                    await _set(client, "signing", FIRST)
                    await client.send(event("audit.made", {"person": "zoe"}))
                    async with asyncio.timeout(PATIENCE):
                        while not await client.stream_messages("GATEWAY_STREAM_audit"):
                            await asyncio.sleep(0.05)
                shown = (await _listed(client))["signing"]
                assert shown["sealed"]["readable"] == readable
                if keys == old and not readable:
                    await _set(client, "other", FIRST)
                answer = await client.http.post("/v1/secrets/reseal")
                if not readable:  # the key of some is gone: the others are sealed all the same
                    left = answer.json()
                    assert [each["name"] for each in left["unreadable"]] == ["signing"]
                    assert "not configured" in left["unreadable"][0]["detail"]
                    assert (left["unreadable_count"], left["unreadable_subject_keys"]) == (1, 1)
                    assert (left["resealed"], left["subject_keys"]) == (resealed, 0)
                    found = {"EVENT_GATEWAY_URL": at["http"], "EVENT_GATEWAY_KEY": at["key"]}
                    ended = await command("secrets", "reseal", **found)
                    assert (ended.status, ended.out) == (1, "0 resealed\n")
                    assert "opens signing and the key of 1 person: give" in ended.err
                    assert shown["from"] is None
                else:
                    assert answer.json() == {
                        "resealed": resealed, "subject_keys": resealed, "unreadable": [],
                        "unreadable_count": 0, "unreadable_subject_keys": 0,
                    }  # fmt: skip
                    record = await client.http.get("/v1/streams/audit/records/1")
                    assert record.json()["event"]["data"] == {"person": "zoe"}
                    # What the former key has sealed is not left on the disk.
                    kept = await client.nats.jetstream().stream_info("GATEWAY_SUBJECT_KEYS")
                    assert (kept.state.messages, kept.state.num_deleted or 0) == (1, 0)
                    assert _signed_with(await _deliver_one(client, receiver)) == [FIRST]
            program.kill()
        assert "sealed secret cannot be opened" in program.output
    finally:
        await program.stop()


async def test_without_a_sealing_key_no_secret_is_stored(
    start: Start, connect: Start, servers: tuple[str, str]
) -> None:
    """External servers may be shared: a key that only this process has would not help."""
    nats_url, redis_url = servers
    gateway = await start({"nats": {"url": nats_url}, "redis": {"url": redis_url}})
    client = await connect(gateway)
    refused = await client.http.put("/v1/secrets/signing", json={"value": FIRST})
    assert refused.status_code == 409
    assert "EVENT_GATEWAY_SECRET_SEALING_KEY" in refused.json()["detail"]
    assert await _listed(client) == {}


async def test_a_secret_moved_to_another_name_cannot_be_opened(
    client: Client, receiver: Receiver
) -> None:
    await _set(client, "one", "the-token")
    bucket = await client.nats.jetstream().key_value("GATEWAY_REGISTRY")
    entry = await bucket.get("secret.one")
    await bucket.put("secret.two", entry.value or b"")
    async with asyncio.timeout(PATIENCE):
        while "two" not in (listed := await _listed(client)):
            await asyncio.sleep(0.05)
    assert listed["one"]["sealed"]["readable"]
    assert not listed["two"]["sealed"]["readable"]


def test_sealing() -> None:
    old, new = new_key(), new_key()
    sealed = SealingKeys(old).seal("name", b"content", 5.0)
    assert SealingKeys(f"{new}\n{old}").open("name", sealed) == b"content"
    assert SealingKeys(old).seal("name", b"content", 5.0).box != sealed.box
    for keys, name in ((new, "name"), (old, "other")):
        with pytest.raises(CannotOpen):
            SealingKeys(keys).open(name, sealed)
    for text in ("", "short", base64.b64encode(b"x" * 31).decode(), "\u00fc", " ".join([old] * 9)):
        with pytest.raises(CannotSeal):
            SealingKeys(text)


@pytest.mark.usefixtures("gateway")
async def test_the_sealing_key_in_the_data_directory_is_private(tmp_path: Path) -> None:
    key = tmp_path / "data" / "sealing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(key.read_text())) == 32
