"""``event-gateway sources``, and sources in a file: real commands against a running gateway."""

import hmac
from pathlib import Path
from typing import Any

import yaml

from support.client import Client
from support.fixtures import Command

BODY = b'{"repository":{"full_name":"octocat/hello"}}'
SIGNATURE = "sha256=" + hmac.new(b"s", BODY, "sha256").hexdigest()
HEADERS = (
    "-H", "X-GitHub-Event: push", "-H", "X-GitHub-Delivery: d1",
    "-H", f"X-Hub-Signature-256: {SIGNATURE}",
)  # fmt: skip


async def test_list_show_and_test(client: Client, run: Command, tmp_path: Path) -> None:
    source = {"name": "gh", "type": "github", "secret_name": "gh_secret"}
    assert (await client.http.post("/v1/sources", json=source)).status_code == 201
    listed = await run("sources", "list")
    head, row = listed.out.splitlines()
    assert head.split() == ["NAME", "TYPE", "SECRET", "ENABLED", "FROM", "EVENT", "TYPE"]
    assert row.split() == ["gh", "github", "missing", "yes", "api", "github.{x-github-event}"]
    assert (await run("sources", "list", "--search", "none", "--json")).json == []
    shown = await run("sources", "show", "gh")
    assert "gh_secret (missing)" in shown.out
    assert "/v1/sources/gh" in shown.out
    example = await run("sources", "test", "gh")
    assert (example.status, '"type": "github.push"' in example.out) == (0, True), example.err
    body = tmp_path / "push.json"
    body.write_bytes(BODY)
    refused = await run("sources", "test", "gh", *HEADERS, "--body", str(body))
    assert (refused.status, refused.out) == (
        1, "refused (unconfigured): the source's secret is missing\n",
    )  # fmt: skip
    await client.http.put("/v1/secrets/gh_secret", json={"value": "s"})
    verified = await run("sources", "test", "gh", *HEADERS, "--body", str(body), "--json")
    assert (verified.status, verified.json["verified"]) == (0, True)
    assert verified.json["events"][0]["id"] == "d1"
    wrong = await run("sources", "test", "gh", "-H", "nothing")
    assert (wrong.status, wrong.err) == (2, "--header: 'nothing' is not NAME: VALUE\n")
    unread = await run("sources", "test", "gh", "--body", str(tmp_path / "none"))
    assert unread.status == 2
    missing = await run("sources", "show", "nope")
    assert (missing.status, missing.err) == (1, "there is no source nope\n")


async def test_sources_are_applied_from_a_file(
    client: Client, run: Command, tmp_path: Path
) -> None:
    path = tmp_path / "sources.yaml"

    async def apply(sources: dict[str, Any], *options: str) -> str:
        path.write_text(yaml.safe_dump({"sources": sources}))
        done = await run("apply", "-c", str(path), *options)
        assert done.status == 0, done.err
        return str(done.out)

    declared: dict[str, Any] = {
        "gh": {"type": "github", "secret_name": "gh_secret"},
        "erp": {"type": "hmac", "secret_name": "erp", "header": "X-Sig", "prefix": "v1="},
    }
    assert (await apply(declared, "--dry-run")).splitlines() == [
        "+ source erp", "+ source gh", "2 to create",
    ]  # fmt: skip
    assert "source gh: create: done" in await apply(declared)
    assert await apply(declared) == "nothing to change\n"
    # A setting that is left out is gone, and what the file does not name goes with --prune.
    del declared["erp"]["prefix"]
    declared["erp"]["event"] = {"id": "{x-id}"}
    planned = await apply(declared, "--dry-run")
    assert planned.splitlines() == [
        "~ source erp", '    event: {} -> {"id": "{x-id}"}', '    prefix: "v1=" -> null',
        "1 to change",
    ]  # fmt: skip
    await apply(declared)
    shown = (await client.http.get("/v1/sources/erp")).json()
    assert ("prefix" in shown, shown["managed_by"]) == (False, "applied")
    del declared["gh"]
    assert "gh" not in await apply(declared)
    assert "source gh: delete: done" in await apply(declared, "--prune")
    assert (await client.http.get("/v1/sources")).json()["total"] == 1


async def test_check_names_the_key_that_is_wrong(run: Command, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "sources:\n  gh: {type: githb, secret_name: a}\n  st:\n    type: stripe\n"
        "    header: X\n    event: {id: '{'}\n  nats: {type: slack, secret_name: a}\n"
    )
    checked = await run("check", "-c", str(path))
    assert checked.status == 2
    lines = [line.removeprefix(f"{path}:") for line in checked.err.splitlines()]
    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in lines] == [
        "2: sources.gh.type", "3: sources.st.secret_name", "5: sources.st.header",
        "6: sources.st.event.id", "7: sources.nats",
    ], checked.err  # fmt: skip
    path.write_text("sources:\n  gh: {type: github, secret_name: gh_secret}\n")
    fine = await run("check", "-c", str(path))
    assert (fine.status, "1 source" in fine.out) == (0, True)
    assert "the secret gh_secret is missing" in fine.err


async def test_the_doctor_names_sources_without_their_secrets(client: Client, run: Command) -> None:
    source = {"name": "gh", "type": "github", "secret_name": "gh_secret"}
    assert (await client.http.post("/v1/sources", json=source)).status_code == 201
    examined = await run("doctor", "--json")
    texts = [item["text"] for item in examined.json["findings"] if item["area"] == "secrets"]
    assert "gh_secret is missing, requests to the source gh are refused" in texts
