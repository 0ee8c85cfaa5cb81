"""API keys, the admin key and browser tokens, against running gateways."""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from redis.asyncio import Redis

from event_gateway import __version__
from event_gateway.broker.registry import Registry
from event_gateway.cli.process.serve import Running
from event_gateway.core.access.scope import SCOPES
from event_gateway.registration import keys as keys_module
from event_gateway.registration import tokens as tokens_module
from event_gateway.registration.admin_key import AdminKeyFile
from support.client import Client
from support.command import command
from support.fixtures import Start
from support.patience import PATIENCE
from support.peers import Peers
from support.program import LOOPBACK, Program

STREAMS = {
    "streams": {
        "work": {"subjects": ["scheduler.job.*"]},
        "audit": {"subjects": ["audit.events.*"]},
    }
}
PUBLISHER = {"name": "shop", "scopes": ["events:publish"]}
READER = {"name": "reader", "scopes": ["streams:read"]}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


async def created(client: Client, **body: Any) -> dict[str, Any]:
    """A new key, as the answer shows it."""
    answer = await client.http.post("/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def status(client: Client, value: str, path: str = "/v1/subscriptions") -> int:
    """The status that the holder of a key gets."""
    return (await client.http.get(path, headers=_bearer(value))).status_code


def _bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


async def until(condition: Any, expected: Any) -> None:
    """Waits until an awaited value is this one."""
    async with asyncio.timeout(PATIENCE):
        while (await condition()) != expected:
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def connected_by(client: Client, value: str, query: str = "") -> Any:
    """A WebSocket connection of the holder of a key or token."""
    url = str(client.http.base_url).replace("http", "ws", 1).rstrip("/") + f"/v1/ws{query}"
    headers = _bearer(value) if value else None
    async with websockets.connect(url, additional_headers=headers) as socket:
        yield socket


async def closed_with(socket: Any) -> int | None:
    """The code with which the gateway closes a connection."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code  # type: ignore[no-any-return]


async def is_open(socket: Any) -> bool:
    """Whether the gateway answers on a connection."""
    with contextlib.suppress(websockets.ConnectionClosed):
        await socket.send('{"action":"ping"}')
        await socket.recv()
        return True
    return False


async def test_a_caller_asks_what_it_may_do(client: Client) -> None:
    admin = (await client.http.get("/v1/caller")).json()
    assert (admin["name"], admin["scopes"], admin["operator"]) == ("admin", list(SCOPES), True)
    key = await created(
        client, name="crm", scopes=["deliveries:manage"], types=["crm.>"], expires_in="1h"
    )
    shown = await client.http.get("/v1/caller", headers=_bearer(key["key"]))
    assert shown.json() == {
        "name": "crm", "method": "api_key", "id": key["id"],
        "scopes": ["deliveries:read", "deliveries:manage"], "operator": False,
        "namespaces": None, "types": ["crm.>"], "streams": None, "expires_at": key["expires_at"],
        "version": __version__,
    }  # fmt: skip
    for wrong in ({}, _bearer("egk_wrong")):
        async with httpx.AsyncClient(base_url=client.http.base_url, timeout=PATIENCE) as anonymous:
            assert (await anonymous.get("/v1/caller", headers=wrong)).status_code == 401


async def test_a_key_that_reads_changes_nothing(client: Client) -> None:
    await client.webhook(id="crm", url="http://127.0.0.1:8999/hook", events=["crm.>"])
    key = await created(client, name="assistant", scopes=["webhooks:read", "deliveries:read"])
    headers = _bearer(key["key"])
    for path in (
        "/v1/webhooks", "/v1/webhooks/crm", "/v1/webhooks/crm/stats", "/v1/overview", "/v1/alerts",
        "/v1/alerts/history", "/v1/alerts/silences", "/v1/webhooks/crm/deliveries",
        "/v1/dead-letters", "/v1/replays",
    ):  # fmt: skip
        assert (await client.http.get(path, headers=headers)).status_code == 200, path
    event = {"specversion": "1.0", "id": "1", "source": "crm", "type": "crm.changed"}
    matched = await client.http.post("/v1/webhooks/match", json={"event": event}, headers=headers)
    assert matched.json()["matched"] == ["crm"]
    for method, path, body in (
        ("PATCH", "/v1/webhooks/crm", {"timeout": "3s"}),
        ("DELETE", "/v1/webhooks/crm", None),
        ("POST", "/v1/webhooks/crm/test", None),
        ("POST", "/v1/webhooks/bulk", {"action": "disable", "all": True}),
        ("POST", "/v1/deliveries/crm/1/retry", None),
        ("POST", "/v1/deliveries/crm/1/cancel", None),
        ("POST", "/v1/events/1/resend", {}),
        ("POST", "/v1/replays", {"webhook": "crm", "since": "2026-01-01T00:00:00Z"}),
        ("POST", "/v1/dead-letters/replay", {"all": True}),
        ("DELETE", "/v1/dead-letters?all=true", None),
        ("POST", "/v1/alerts/silences", {"webhook": "crm", "duration": "1h"}),
    ):
        refused = await client.http.request(method, path, json=body, headers=headers)
        assert (refused.status_code, "manage" in refused.text) == (403, True), path


async def test_a_key_from_creation_to_revocation(client: Client) -> None:
    key = await created(client, **PUBLISHER, namespaces=["customer"], expires_in="30d")
    assert key["id"] in key["key"]
    assert (key["namespaces"], key["types"], key["created_by"]) == (["customer"], None, "admin")
    path = f"/v1/keys/{key['id']}"
    shown = (await client.http.get(path)).json()
    assert shown | {"used_at": None} == {
        name: value for name, value in key.items() if name not in ("key", "warnings")
    }
    listed = (await client.http.get("/v1/keys")).json()
    assert [item["id"] for item in listed["items"]] == sorted(["admin", key["id"]])
    assert key["key"] not in str(listed)
    # It publishes, and nothing else.
    headers = _bearer(key["key"]) | {"Content-Type": "application/cloudevents+json"}
    sent = await client.http.post("/v1/events", content=b"{}", headers=headers)
    assert sent.status_code == 422
    refused = await client.http.get("/v1/streams", headers=headers)
    assert refused.status_code == 403
    assert "streams:read" in refused.text
    assert (await client.http.get(path)).json()["used_at"] is not None
    assert (await client.http.get("/v1/keys", headers=headers)).status_code == 403
    mistyped = await client.http.get("/v1/streams", headers=_bearer(f"{key['key'][:-1]}!"))
    assert (mistyped.status_code, mistyped.json()["detail"]) == (401, "the key is not known")
    letter = "A" if key["key"][20] != "A" else "B"
    wrong = key["key"][:20] + letter + key["key"][21:]
    assert "mistyped" in (await client.http.get("/v1/keys", headers=_bearer(wrong))).text
    # Changed: null widens.
    body = {"scopes": ["streams:read"], "namespaces": None, "expires_in": None, "name": "other"}
    changed = (await client.http.patch(path, json=body)).json()
    assert (changed["scopes"], changed["namespaces"], changed["expires_at"]) == (
        ["streams:read"], None, None,
    )  # fmt: skip
    assert await status(client, key["key"]) == 200
    # Rotated with an overlap, and at once.
    second = (await client.http.post(f"{path}/rotate")).json()
    assert second["former_until"] is not None
    assert [await status(client, item["key"]) for item in (key, second)] == [200, 200]
    third = (await client.http.post(f"{path}/rotate", json={"overlap": "2s"})).json()
    assert [warning["code"] for warning in third["warnings"]] == ["former_ended"]
    assert [await status(client, item["key"]) for item in (key, third)] == [401, 200]
    await until(lambda: status(client, second["key"]), 401)
    fourth = (await client.http.post(f"{path}/rotate", json={"overlap": "0s"})).json()
    assert [await status(client, item["key"]) for item in (third, fourth)] == [401, 200]
    assert fourth["former_until"] is None
    # Revoked.
    assert (await client.http.delete(path)).status_code == 204
    assert await status(client, fourth["key"]) == 401
    for method in ("GET", "DELETE", "PATCH"):
        assert (await client.http.request(method, path, json={})).status_code == 404
    soon = await created(client, **READER, expires_in="1s")
    await until(lambda: status(client, soon["key"]), 401)
    # Of two changes at the same time one may be refused, and none is lost.
    path = f"/v1/keys/{soon['id']}/rotate"
    answers = await asyncio.gather(*(client.http.post(path) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}


INVALID: list[tuple[dict[str, Any], str]] = [
    ({}, "name"),
    ({"name": "x"}, "scopes"),
    ({"name": " x", "scopes": ["admin"]}, "name"),
    ({"name": "x" * 65, "scopes": ["admin"]}, "name"),
    ({"name": "admin", "scopes": ["admin"]}, "name"),
    ({"name": "x", "scopes": []}, "scopes"),
    ({"name": "x", "scopes": ["event:publish"]}, "scopes"),
    ({"name": "x", "scopes": ["admin"], "namespaces": []}, "namespaces"),
    ({"name": "x", "scopes": ["admin"], "namespaces": ["a\n"]}, "namespaces.0"),
    ({"name": "x", "scopes": ["admin"], "namespaces": ["a"] * 65}, "namespaces"),
    ({"name": "x", "scopes": ["admin"], "types": ["a..b"]}, "types.0"),
    ({"name": "x", "scopes": ["admin"], "streams": ["a b"]}, "streams.0"),
    ({"name": "x", "scopes": ["admin"], "expires_in": "0s"}, "expires_in"),
    ({"name": "x", "scopes": ["admin"], "expires_in": "-5m"}, "expires_in"),
    ({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ({"name": "x", "scopes": ["admin"], "expires_at": "soon"}, "expires_at"),
    ({"name": "x", "scopes": ["admin"], "namespace": "a"}, "namespace"),
]


async def test_invalid_keys_are_refused(
    client: Client, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    for body, key in INVALID:
        with subtests.test(body=body):
            answer = await client.http.post("/v1/keys", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["key"] == key
    narrowed = await created(client, name="x", scopes=["admin"], streams=["nope"])
    codes = {warning["code"] for warning in narrowed["warnings"]}
    assert codes == {"unknown_stream", "narrowed_admin"}
    # What a scope cannot narrow is for operators: this key makes no keys.
    answer = await client.http.post("/v1/keys", json=PUBLISHER, headers=_bearer(narrowed["key"]))
    assert answer.status_code == 403
    for method, path in (("PATCH", "/v1/keys/admin"), ("DELETE", "/v1/keys/admin")):
        answer = await client.http.request(method, path, json={"name": "x"})
        assert (answer.status_code, "admin.key" in answer.text) == (409, True)
    answer = await client.http.post(
        f"/v1/keys/{narrowed['id']}/rotate", json={"overlap": "31d"}
    )  # fmt: skip
    assert answer.json()["errors"][0]["key"] == "overlap"
    monkeypatch.setattr(keys_module, "MAX_KEYS", 1)
    assert (await client.http.post("/v1/keys", json=PUBLISHER)).status_code == 409


async def test_changes_hold_in_every_process_at_once(
    peers: Peers, stack: contextlib.AsyncExitStack
) -> None:
    first, other = await peers.start(stack, STREAMS, STREAMS)
    key = await created(first, **READER)
    path = f"/v1/keys/{key['id']}"
    assert await status(other, key["key"]) == 200
    issue = {"streams": ["work"], "principal": "ada"}
    issued = await first.http.post("/v1/tokens", json=issue, headers=_bearer(key["key"]))
    token = issued.json()
    extra = (await first.http.post("/v1/tokens", json={"streams": ["work"]})).json()
    async with (
        connected_by(other, key["key"]) as by_key,
        connected_by(other, "", f"?token={token['token']}") as by_token,
        connected_by(other, "", f"?token={extra['token']}") as by_extra,
        other.http.stream("GET", "/v1/streams/work/sse", headers=_bearer(key["key"])) as events,
    ):
        assert [await is_open(socket) for socket in (by_key, by_token, by_extra)] == [True] * 3
        await by_key.send('{"action":"subscribe","stream":"work"}')
        await by_key.recv()
        listed = (await first.http.get("/v1/subscriptions")).json()["items"]
        assert {(item["method"], item["key"], item["principal"]) for item in listed} == {
            ("api_key", key["id"], "reader"),
        }  # fmt: skip
        # Its key is rotated: connections with the former value live during the overlap.
        rotated = (await first.http.post(f"{path}/rotate", json={"overlap": "1h"})).json()
        # A single token is revoked, although Redis has lost its list.
        listed = (await first.http.get("/v1/tokens")).json()["items"]
        assert [item["id"] for item in listed] == [extra["id"], token["id"]]
        assert listed[1]["issued_by"] == {"method": "api_key", "key": key["id"], "name": "reader"}
        own = await first.http.get("/v1/tokens", headers=_bearer(rotated["key"]))
        assert [item["id"] for item in own.json()["items"]] == [token["id"]]
        foreign = await first.http.delete(
            f"/v1/tokens/{extra['id']}", headers=_bearer(rotated["key"])
        )  # fmt: skip
        assert foreign.status_code == 404
        async with Redis.from_url(peers.servers[1]) as redis:
            await redis.flushall()
        assert (await first.http.delete(f"/v1/tokens/{extra['id']}")).status_code == 204
        assert await closed_with(by_extra) == 4401
        assert [await is_open(socket) for socket in (by_key, by_token)] == [True, True]
        # The key may read another stream only: connections that it opened before are closed.
        await first.http.patch(path, json={"streams": ["audit"]})
        assert await closed_with(by_key) == 4401
        assert await closed_with(by_token) == 4401
        async with asyncio.timeout(PATIENCE):
            async for _ in events.aiter_bytes():
                pass
        await first.http.patch(path, json={"streams": None})
        async with (
            connected_by(other, key["key"]) as by_former,
            connected_by(other, rotated["key"]) as by_key,
            connected_by(other, "", f"?token={token['token']}") as by_token,
        ):
            answer = await first.http.post(f"{path}/rotate", json={"overlap": "0s"})
            assert [await status(other, item["key"]) for item in (key, rotated)] == [401, 401]
            assert [await closed_with(socket) for socket in (by_former, by_key)] == [4401, 4401]
            assert await is_open(by_token)
            assert (await first.http.delete(path)).status_code == 204
            assert await status(other, answer.json()["key"]) == 401
            assert await closed_with(by_token) == 4401
    # After a crash nothing of it is forgotten.
    peers.programs[1].kill()
    at = await peers.programs[1].start()
    async with httpx.AsyncClient(base_url=at["http"], timeout=PATIENCE) as http:
        for value in (key["key"], rotated["key"], token["token"], extra["token"]):
            answer = await http.get("/v1/streams/work/sse", headers=_bearer(value))
            assert answer.status_code == 401, answer.text


async def test_a_token_never_exceeds_its_issuer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"streams": ["work"], "types": ["scheduler.job.*"], "namespaces": ["a", "b"]}
    key = await created(client, **READER, **limits, expires_in="10m")

    async def issue(**body: Any) -> httpx.Response:
        return await client.http.post("/v1/tokens", json=body, headers=_bearer(key["key"]))

    token = (await issue(streams=["work"], expires_in="1h")).json()
    assert token["expires_at"] == key["expires_at"]
    assert (token["types"], token["namespaces"]) == (limits["types"], limits["namespaces"])
    narrow = await issue(streams=["work"], namespaces=["b"], types=["scheduler.job.done"])
    assert narrow.json()["namespaces"] == ["b"]
    for body in (
        {"streams": ["audit"]},
        {"streams": ["nope"]},
        {"subjects": ["scheduler.job.a"]},
        {"streams": ["work"], "namespaces": ["c"]},
        {"streams": ["work"], "namespaces": ["a", "c"]},
        {"streams": ["work"], "types": ["scheduler.>"]},
    ):
        assert (await issue(**body)).status_code == 403, body
    # A token issues no tokens, and a key without the scope none either.
    for value, expected in (
        (token["token"], 401),
        ((await created(client, **PUBLISHER))["key"], 403),
    ):
        answer = await client.http.post(
            "/v1/tokens", json={"streams": ["work"]}, headers=_bearer(value)
        )
        assert answer.status_code == expected
    long = {"subjects": [f"audit.events.{'x' * 200}{number}" for number in range(40)]}
    assert (await client.http.post("/v1/tokens", json=long)).status_code == 422
    page = (await client.http.get("/v1/tokens", params={"limit": 1})).json()
    rest = (await client.http.get("/v1/tokens", params={"cursor": page["next"]})).json()
    assert len(page["items"]) == len(rest["items"]) == 1
    for wrong in ("tok_0000", "x", key["key"]):
        answer = await client.http.delete(f"/v1/tokens/{wrong}")
        assert answer.status_code == 404
        assert wrong not in answer.text
    monkeypatch.setattr(tokens_module, "MAX_LIVE_OF_ISSUER", 2)
    assert (await issue(streams=["work"])).status_code == 429
    # A caller that revokes as many as the registry holds does not prevent an operator's revocation.
    monkeypatch.setattr(tokens_module, "MAX_REVOKED", tokens_module.KEPT_FOR_OPERATORS)
    path = f"/v1/tokens/{narrow.json()['id']}"
    assert (await client.http.delete(path, headers=_bearer(key["key"]))).status_code == 429
    assert (await client.http.delete(path)).status_code == 204
    monkeypatch.setattr(tokens_module, "MAX_REVOKED", 0)
    assert (await client.http.delete(f"/v1/tokens/{token['id']}")).status_code == 429


async def test_the_admin_key_is_read_again_from_its_file(tmp_path: Path) -> None:
    guessing = {"auth": {"failed_logins": {"limit": 1000}}}
    program = Program(tmp_path, LOOPBACK | STREAMS | guessing, "--workers", "2")
    at = await program.start()
    file = program.data / "admin.key"

    async def statuses(value: str) -> set[int]:
        """The answers of both processes: each takes some of these connections."""
        found = set()
        for _ in range(6):
            async with httpx.AsyncClient(base_url=at["http"], timeout=PATIENCE) as http:
                found.add((await http.get("/v1/keys", headers=_bearer(value))).status_code)
        return found

    values = [at["key"]]
    access = {"EVENT_GATEWAY_URL": at["http"]}
    rotated = await command(
        "keys", "rotate", "admin", "--overlap", "1h", "--yes",
        **access, EVENT_GATEWAY_KEY_FILE=str(file),
    )  # fmt: skip
    assert rotated.status == 0, rotated.err
    values.append(file.read_text())
    assert str(file) in rotated.out
    assert values[0] != values[1]
    assert [await statuses(value) for value in values] == [{200}, {200}]
    # Another text in the file ends the overlap, too.
    own = "a key of the user's own"
    changes = program.output.count("the admin key was changed")
    file.write_text(f"{own}\n")
    async with asyncio.timeout(PATIENCE):
        while program.output.count("the admin key was changed") < changes + 2:  # in both processes
            await asyncio.sleep(0.02)
    assert [await statuses(value) for value in (own, *values)] == [{200}, {401}, {401}]
    # Nothing of use in the file changes nothing.
    file.write_text("short")
    async with asyncio.timeout(PATIENCE):
        while "cannot be read again" not in program.output:
            await asyncio.sleep(0.02)
    assert await statuses(own) == {200}
    file.write_text(own)
    # At once: both processes refuse the former value when this is answered.
    async with httpx.AsyncClient(
        base_url=at["http"], headers=_bearer(own), timeout=PATIENCE
    ) as http:
        listed = await http.get("/v1/audit-log", params={"resource": "key/admin"})
        methods = [call["principal"]["method"] for call in listed.json()["items"]]
        assert "file" in methods
        assert methods[-1] == "api_key"
        answer = await http.post("/v1/keys/admin/rotate", json={"overlap": "0s"})
    values = [own, answer.json()["key"]]
    assert file.read_text() == values[1]
    assert [await statuses(value) for value in values] == [{401}, {200}]
    program.kill()
    at = await program.start()
    assert [await statuses(value) for value in values] == [{401}, {200}]
    assert await program.stop() == 0
    assert not [value for value in (*values, at["key"]) if value in program.output]
    assert str(file) in program.output


async def test_a_crash_while_the_admin_key_is_rotated_leaves_it_valid(
    client: Client, gateway: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = gateway.gateway.stages.adapters.registry

    def crash(self: AdminKeyFile, value: str) -> None:
        raise RuntimeError("the process dies")

    with monkeypatch.context() as patch:
        patch.setattr(AdminKeyFile, "write", crash)
        answer = await client.http.post("/v1/keys/admin/rotate", json={"overlap": "1s"})
        assert answer.status_code == 500
        assert registry.keys["admin"].former_until > 0
    ends = registry.keys["admin"].former_until
    async with asyncio.timeout(PATIENCE):
        while time.time() <= ends:
            await asyncio.sleep(0.02)
    assert (await client.http.get("/v1/keys")).status_code == 200

    def full(self: AdminKeyFile, value: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(AdminKeyFile, "write", full)
        answer = await client.http.post("/v1/keys/admin/rotate")
        assert (answer.status_code, "No space" in answer.text) == (409, True)
    value = (await client.http.post("/v1/keys/admin/rotate", json={"overlap": "0s"})).json()["key"]
    assert (tmp_path / "data" / "admin.key").read_text() == value
    assert [await status(client, item) for item in (gateway.admin_key, value)] == [401, 200]
    assert isinstance(registry, Registry)
