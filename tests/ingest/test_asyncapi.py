"""Import and export of AsyncAPI documents in a running gateway."""

import json
from typing import Any

from event_gateway.core.schema.lifecycle_types import LIFECYCLE_TYPES
from support.asyncapi_documents import THREE, TWO, documents
from support.client import Client, event
from support.command import CommandResult
from support.fixtures import Command


async def import_(client: Client, content: bytes, kind: str, **query: Any) -> dict[str, Any]:
    """Sends a document."""
    answer = await client.http.post(
        "/v1/event-types/import", content=content, params=query, headers={"Content-Type": kind}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_an_import_reports_its_changes_and_applies_them(client: Client) -> None:
    would = await import_(client, TWO.encode(), "application/yaml", dry_run=True)
    assert would["created"] == ["shop.order.placed", "shop.order.paid", "stock.level.changed"]
    assert (await client.http.get("/v1/event-types/shop.order.paid")).status_code == 404
    done = await import_(client, TWO.encode(), "application/yaml")
    assert done == would | {"dry_run": False}
    assert len(done["skipped"]) == 6
    # Settings that the document does not mention stay unchanged.
    shown = (await client.http.get("/v1/event-types/shop.order.paid")).json()
    put = shown | {"enforce": "reject", "owner": "shop"}
    assert (await client.http.put("/v1/event-types/shop.order.paid", json=put)).status_code == 200
    changed = documents()["2"]
    changed["components"]["schemas"]["Order"]["required"] = ["id", "parent"]
    again = await import_(client, json.dumps(changed).encode(), "application/json")
    assert again["changed"] == ["shop.order.placed", "shop.order.paid"]
    assert again["unchanged"] == ["stock.level.changed"]
    shown = (await client.http.get("/v1/event-types/shop.order.paid")).json()
    assert (shown["enforce"], shown["owner"]) == ("reject", "shop")
    answer = await client.send(event("shop.order.paid", {"id": 1}), status=422)
    assert (answer["path"], '"parent"' in answer["detail"]) == ("", True)
    exported = await client.http.get("/asyncapi.json")
    assert exported.headers["content-type"] == "application/json"
    assert exported.json()["servers"]["http"]["host"] == client.http.base_url.netloc.decode()
    same = await import_(client, exported.content, "application/json")
    assert (same["created"], same["changed"], same["skipped"]) == ([], [], [])
    assert len(same["unchanged"]) == 3


async def test_invalid_documents_are_refused(client: Client) -> None:
    for kind, body, status in (
        ("application/json", b"{", 400),
        ("application/json", b"[" * 5000, 400),
        ("application/json", b'{"openapi": "3.0.0"}', 422),
        ("application/yaml", b"a: [", 400),
        ("application/yaml", b"\xff", 400),
        ("application/yaml", b"- 1", 422),
        ("application/yaml", b"", 422),
        ("application/yaml", b"[" * 5000, 400),
        ("application/yaml", b"a: &a [x, x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (98 + n, 98 + n, b", ".join([b"*%c" % (97 + n)] * 9))
            for n in range(9)), 400),
        ("application/yaml", b"a: 1\na: 2", 400),
        ("application/yaml", b"asyncapi: !!python/object:os.system x", 400),
        ("", b"asyncapi: 1.0.0", 422),
    ):  # fmt: skip
        answer = await client.http.post(
            "/v1/event-types/import", content=body, headers={"Content-Type": kind}
        )
        assert answer.status_code == status, (body[:40], answer.text)
    for path in ("/asyncapi.json", "/v1/event-types"):
        answer = await client.http.get(path, headers={"Authorization": "Bearer no"})
        assert answer.status_code == 401
    # A document cannot read the gateway's environment.
    body = b'asyncapi: 2.0.0\ncomponents: {messages: {m: {name: a.b, summary: "${HOME}"}}}'
    await import_(client, body, "application/yaml")
    assert (await client.http.get("/v1/event-types/a.b")).json()["description"] == "${HOME}"


async def test_the_commands(client: Client, run: Command, tmp_path: Any) -> None:
    file = tmp_path / "asyncapi.yaml"
    file.write_text(THREE)

    async def ran(*words: str, status: int = 0) -> CommandResult:
        ended: CommandResult = await run("catalog", *words)
        assert ended.status == status, ended
        return ended

    assert "would be created" in (await ran("import", str(file), "--dry-run")).out
    message = (await ran("import", str(file))).out.splitlines()
    assert message[0] == "lights.office.switched: created"
    assert message[-1] == "6 created, 0 changed, 0 unchanged, 0 skipped"
    assert len((await ran("import", str(file), "--json")).json["unchanged"]) == 6
    listed = (await ran("list")).out
    assert "lights.modern.made" in listed
    assert "webhook.failed" in listed
    own = (await ran("list", "--owner", "event-gateway", "--json")).json
    assert {item["type"] for item in own} == set(LIFECYCLE_TYPES)
    assert (await ran("show", "lights.on")).json["schema"] == {"type": "boolean"}
    assert "no event type nothing" in (await ran("show", "nothing", status=1)).err
    out = tmp_path / "out.json"
    await ran("export", "--out", str(out))
    assert json.loads(out.read_text()) == (await ran("export")).json
    for name in ("lights.on", "lights.off"):
        assert (await client.http.delete(f"/v1/event-types/{name}")).status_code == 204
    assert (await ran("import", str(out), "--json")).json["created"] == ["lights.off", "lights.on"]
    for text, detail in (("a:\n  b: c: d", ":2: not YAML"), ('{"a": 1,}', "asyncapi: is missing"),
                       ("a: 1\na: 1", ":2: a: occurs twice"),
                       ("x: !y z", ":1: x: not a plain value: tags")):  # fmt: skip
        file.write_text(text)
        assert detail in (await ran("import", str(file), status=2)).err
    assert "No such file" in (await ran("import", str(tmp_path / "none"), status=2)).err
