"""``event-gateway keys`` and ``tokens``: real commands against a running gateway."""

from pathlib import Path
from typing import Any

from event_gateway.cli.process.serve import Running
from support.client import Client
from support.command import access, command
from support.fixtures import Command


async def test_a_key_and_a_token_from_create_to_revoke(
    gateway: Running, client: Client, run: Command, tmp_path: Path
) -> None:
    created = await run(
        "keys", "create", "acme", "--scope", "streams:read", "--scope", "events:publish",
        "--namespace", "acme", "--type", "orders.>", "--stream", "s", "--expires-in", "90d",
    )  # fmt: skip
    head, warning, value, hint = created.out.splitlines()
    key_id = head.split(":")[0]
    assert "streams:read events:publish; namespaces: acme; types: orders.>; streams: s" in head
    assert "no stream s yet" in warning
    assert value.startswith(f"egk_{key_id}_")
    assert "not shown again" in hint
    heads, *rows = (await run("keys", "list")).out.splitlines()
    assert heads.split() == ["ID", "NAME", "ALLOWS", "EXPIRES", "LAST", "USED"]
    assert {row.split()[0] for row in rows} == {"admin", key_id}
    assert "never" in (await run("keys", "show", "admin")).out
    answer = await client.http.post("/v1/streams", json={"name": "s", "subjects": ["orders.*"]})
    assert answer.status_code == 201

    # A command takes the key from a file.
    (tmp_path / "key").write_text(f"{value}\n")
    own: dict[str, Any] = {
        "EVENT_GATEWAY_URL": gateway.http_url,
        "EVENT_GATEWAY_KEY_FILE": str(tmp_path / "key"),
    }
    issued = await command("tokens", "create", "--stream", "s", "--principal", "ada", **own)
    token_id = issued.out.split(":")[0]
    assert issued.out.splitlines()[-1].startswith("egt_")
    listed = (await command("tokens", "list", **own)).out.splitlines()
    assert listed[1].split()[:4] == [token_id, "ada", "s", "acme"]
    (await command("tokens", "revoke", token_id, **own)).assert_refused(2, "--yes")
    revoked = await command("tokens", "revoke", token_id, "--yes", **own)
    assert revoked.out == f"{token_id}: revoked\n"
    (await command("keys", "list", **own)).assert_refused(1, "needs the scope admin")
    (await run("keys", "list", "--key-file", str(tmp_path / "key"))).assert_refused(1, "admin")
    missing = own | {"EVENT_GATEWAY_KEY_FILE": str(tmp_path / "none")}
    (await command("keys", "list", **missing)).assert_refused(2, "No such file")

    changed = await run("keys", "update", key_id, "--name", "renamed", "--scope", "admin", "--json")
    assert (changed.json["name"], changed.json["scopes"]) == ("renamed", ["admin"])
    limited = await run("keys", "update", key_id, "--requests", "90", "--per", "1m")
    assert "90 per 1m" in limited.out
    assert "requests: 90 per 1m" in (await run("keys", "list")).out
    free = await run("keys", "update", key_id, "--requests", "0", "--json")
    assert free.json["limits"] is None
    assert [free.json["name"], free.json["namespaces"]] == ["renamed", ["acme"]]
    (await run("keys", "rotate", key_id)).assert_refused(2, "--yes")
    rotated = await run("keys", "rotate", key_id, "--overlap", "0s", "--yes", "--json")
    assert rotated.json["former_until"] is None
    of_admin = await run("keys", "rotate", "admin", "--yes", "--json")
    assert "key" not in of_admin.json
    assert of_admin.json["file"] == str(tmp_path / "data" / "admin.key")
    (await run("keys", "revoke", key_id)).assert_refused(2, "--yes")
    assert (await run("keys", "revoke", key_id, "--yes")).out == f"{key_id}: revoked\n"
    for words, status, message in (
        (("revoke", "--yes", key_id), 1, "there is no key"),
        (("revoke", "--yes", "admin"), 1, "cannot be revoked"),
        (("create", "x"), 2, "--scope"),
        (("update", "x", "--per", "1m"), 2, "--per needs --requests"),
        (("create", "x", "--scope", "nope"), 2, "is no scope"),
        (("create", "x", "--scop", "nope"), 2, "keys create --help"),
        (("update", key_id), 2, "nothing to change"),
    ):
        (await command("keys", *words, **access(gateway))).assert_refused(status, message)
