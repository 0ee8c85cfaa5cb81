"""Clients that other generators make of the OpenAPI document, against a gateway."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from event_gateway.cli.process.serve import Running
from support.client import Client

pytestmark = [pytest.mark.generators, pytest.mark.timeout(600)]

PYTHON = "openapi-python-client==0.29.1"
NPM = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3", "@types/node@20")
USE_PYTHON = """
import os, sys
from made import AuthenticatedClient
from made.api.webhooks import create_webhook, list_webhooks, show_webhook
from made.models import WebhookBody, Problem

client = AuthenticatedClient(os.environ["URL"], os.environ["KEY"])
body = WebhookBody(id="py", url="https://crm.example.com/", events=["a.>"])
created = create_webhook.sync(client=client, body=body, idempotency_key="1")
again = create_webhook.sync_detailed(client=client, body=body, idempotency_key="1")
assert (created.id, again.status_code, again.parsed.id) == ("py", 201, "py")
assert {each.code for each in created.warnings} >= {"short_retries"}
page = list_webhooks.sync(client=client, limit=10)
assert "py" in [each.id for each in page.items]
missing = show_webhook.sync(client=client, webhook_id="none")
assert isinstance(missing, Problem) and missing.type_.value == "/problems/not-found"
"""
USE_TYPESCRIPT = """
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({
  baseUrl: process.env.URL!, headers: { Authorization: `Bearer ${process.env.KEY}` },
});
const made = await client.POST("/v1/webhooks", {
  body: { id: "ts", url: "https://crm.example.com/", events: ["b.>"] },
});
if (made.data?.state !== "active") throw new Error(JSON.stringify(made));
const codes: string[] = made.data.warnings.map((each) => each.code);
if (!codes.includes("short_retries")) throw new Error(codes.join());
const missing = await client.GET("/v1/webhooks/{webhook_id}", {
  params: { path: { webhook_id: "none" } },
});
if (missing.error?.type !== "/problems/not-found") throw new Error(JSON.stringify(missing));
// @ts-expect-error: the types know the members of a body
await client.POST("/v1/streams", { body: { name: 1 } });
"""


def run(*command: str | Path, cwd: Path, env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


async def test_clients_made_by_generators_work(
    gateway: Running, client: Client, tmp_path: Path
) -> None:
    document = (await client.http.get("/openapi.json")).text
    (tmp_path / "openapi.json").write_text(document)
    env = {**os.environ, "URL": gateway.http_url, "KEY": gateway.admin_key}
    await asyncio.gather(
        asyncio.to_thread(_python, tmp_path, env), asyncio.to_thread(_typescript, tmp_path, env)
    )


def _python(folder: Path, env: dict[str, str]) -> None:
    # It allows no typer as new as the gateway's, so it has an environment of its own.
    made = folder / "python"
    run(sys.executable, "-m", "venv", made, cwd=folder, env=env)
    run(made / "bin" / "pip", "install", "-q", PYTHON, cwd=folder, env=env)
    (folder / "options.yaml").write_text("post_hooks: []\n")
    run(
        made / "bin" / "openapi-python-client", "generate", "--path", folder / "openapi.json",
        "--output-path", folder / "made", "--meta", "none", "--config", folder / "options.yaml",
        cwd=folder, env=env,
    )  # fmt: skip
    (folder / "use.py").write_text(USE_PYTHON)
    run(made / "bin" / "python", "use.py", cwd=folder, env=env)


def _typescript(folder: Path, env: dict[str, str]) -> None:
    made = folder / "typescript"
    made.mkdir()
    (made / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    run("npm", "install", "--silent", "--no-fund", "--no-audit", *NPM, cwd=made, env=env)
    # A member of a body that has a default need not be there.
    types = ("--default-non-nullable=false", "-o", "schema.d.ts")
    run("npx", "openapi-typescript", folder / "openapi.json", *types, cwd=made, env=env)
    (made / "use.ts").write_text(USE_TYPESCRIPT)
    options = ("--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck")
    run("npx", "tsc", *options, "--types", "node", "use.ts", cwd=made, env=env)
    run("node", "use.js", cwd=made, env=env)
