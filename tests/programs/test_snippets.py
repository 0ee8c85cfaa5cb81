"""The commands and programs of the guides, against a gateway."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from event_gateway.config.load import load
from event_gateway.embedded.servers import usable_port
from event_gateway.transport.egress_guard import url_rule
from support.client import Client, connected
from support.gateway_process import forked_command
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.snippets import LIST, Snippet, not_run, snippets

PUBLISH, VERIFY, START = "guides/publish-from-nats.md", "guides/verify.md", "start.md"
SUFFIX = {"python": "py", "js": "mjs", "go": "go"}
MODULES = {
    "js": ["npm", "install", "--silent", "--no-fund", "--no-audit", "standardwebhooks@1.1.1",
           "@nats-io/transport-node@3.4.0", "@nats-io/jetstream@3.4.0"],
    "go": ["go", "get", "github.com/nats-io/nats.go@v1.48.0",
           "github.com/standard-webhooks/standard-webhooks/libraries@v0.0.1"],
}  # fmt: skip


class Reader:
    """Somebody who follows the guides in a directory, with a gateway whose data is there."""

    def __init__(self, directory: Path, receiver: int) -> None:
        self._directory, self._receiver = directory, receiver
        programs = directory / "bin"
        programs.mkdir()
        command = programs / "event-gateway"
        command.write_text(f'#!/bin/sh\nexec {shlex.join(forked_command())} "$@"\n')
        command.chmod(0o755)
        (programs / "python3").symlink_to(sys.executable)
        self.environ = {name: value for name, value in os.environ.items()
                        if not name.startswith("EVENT_GATEWAY")}  # fmt: skip
        self.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
        self._ready: dict[str, Path] = {}  # where a language's modules are

    async def runs(self, snippet: Snippet, after: str = "") -> str:
        """Runs a snippet to its end, and returns what it prints."""
        async with self.running(snippet, after) as process:
            output, _ = await asyncio.wait_for(process.communicate(), 3 * PATIENCE)
            assert process.returncode == 0, output.decode()
        return output.decode()

    @contextlib.asynccontextmanager
    async def running(
        self, snippet: Snippet, after: str = ""
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Runs a snippet until the context ends. ``after``: a further command of a shell."""
        text = snippet.text.replace("3000", str(self._receiver)) + after
        words, directory = await self._words(snippet.language, text)
        process = await asyncio.create_subprocess_exec(
            *words, cwd=directory, env=self.environ, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def _words(self, language: str, text: str) -> tuple[list[str], Path]:
        if language == "sh":
            return ["bash", "-euc", text], self._directory
        directory = await self._modules(language)
        file = directory / f"main.{SUFFIX[language]}"
        file.write_text(text)
        if language == "go":
            await self._done(["go", "build", "-o", "main", file.name], directory)
            return ["./main"], directory
        return [sys.executable if language == "python" else "node", str(file)], directory

    async def _modules(self, language: str) -> Path:
        if language not in MODULES:
            return self._directory
        if language not in self._ready:
            directory = self._ready[language] = self._directory / language
            directory.mkdir()
            first = ["npm", "init", "-y"] if language == "js" else ["go", "mod", "init", "example"]
            await self._done(first, directory)
            await self._done(MODULES[language], directory)
        return self._ready[language]

    async def _done(self, words: list[str], directory: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            *words, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=self.environ | {"GOFLAGS": "-mod=mod"},
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path, usable_port())


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Client]:
    """A gateway with its data in ``data``, where commands find it without an option."""
    program = Program(tmp_path, LOOPBACK)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            yield client
    finally:
        await program.stop()


async def _is_up(port: int) -> None:
    async with asyncio.timeout(3 * PATIENCE):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _verifying(
    reader: Reader, receiver: Snippet, client: Client, number: str
) -> AsyncIterator[None]:
    """A receiver that takes what the gateway has signed, and nothing that others send; what they
    send does not end it."""
    port = reader._receiver
    async with reader.running(receiver) as process:
        await _is_up(port)
        _, cut_off = await asyncio.open_connection("127.0.0.1", port)
        cut_off.write(b"POST /hook HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nab")
        await cut_off.drain()
        cut_off.close()
        for signature, body in (("v1,A", b"{}"), ("v1", b"{}"), ("v1,AAAA", b"\xff")):
            forged = await client.http.post(
                f"http://127.0.0.1:{port}/hook", content=body,
                headers={"webhook-id": "1", "webhook-timestamp": str(int(time.time())),
                         "webhook-signature": signature},
            )  # fmt: skip
            assert forged.status_code == 401, (signature, body)
        sent = {"specversion": "1.0", "id": number, "source": "tests", "type": "orders.placed",
                "data": {"total": 7}}  # fmt: skip
        await client.send(sent)
        await client.until("orders", number, "succeeded")
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            async for line in process.stdout:  # between lines about the requests
                if number.encode() in line:
                    break
            else:
                pytest.fail("the receiver has ended")
        yield


async def test_the_guides_for_newcomers(reader: Reader, gateway: Client) -> None:
    start, publish, verify = snippets(START), snippets(PUBLISH), snippets(VERIFY)
    async with reader.running(start["receiver"]) as receiver:
        await _is_up(reader._receiver)
        assert "orders: created" in await reader.runs(start["register"])
        assert "accepted" in await reader.runs(start["send"])
        await gateway.until("orders", "42", "succeeded")
        assert "succeeded" in await reader.runs(start["show"])
        assert receiver.stdout is not None
        assert b'"total": 7' in await receiver.stdout.readline()
    await gateway.delete_webhook("orders")

    await reader.runs(verify["register"])
    reader.environ["WEBHOOK_SECRET"] = (reader._directory / "orders.secret").read_text().strip()
    async with _verifying(reader, verify["python"], gateway, "verified-by-python"):
        assert "the receiver took it" in await reader.runs(verify["send"])
        found = await reader.runs(publish["address"], '\necho "$NATS_URL"')
        reader.environ["NATS_URL"] = found.strip()
        assert "stored at" in await reader.runs(publish["python"])
        assert "accepted" in await reader.runs(publish["send"])
        await reader.runs(publish["binary"])
        for number, source in (("1001", "shop/python"), ("1006", "shop/binary")):
            await gateway.until("orders", number, "succeeded", source=source)


@pytest.mark.languages
@pytest.mark.timeout(900)
async def test_other_languages(reader: Reader, gateway: Client) -> None:
    """``nats`` is left out where it is not installed."""
    publish, verify = snippets(PUBLISH), snippets(VERIFY)
    await reader.runs(verify["register"])
    reader.environ["WEBHOOK_SECRET"] = (reader._directory / "orders.secret").read_text().strip()
    found = await reader.runs(publish["address"], '\necho "$NATS_URL"')
    reader.environ["NATS_URL"] = found.strip()
    for language, number in (("node", "1003"), ("go", "1002")):
        verified = f"verified-by-{language}"
        async with _verifying(reader, verify[language], gateway, verified):
            assert "stored at" in await reader.runs(publish[language])
            await gateway.until("orders", number, "succeeded", source=f"shop/{language}")
            if language == "node" and shutil.which("nats"):
                await reader.runs(publish["nats"])
                await gateway.until("orders", "1004", "succeeded", source="shop/cli")


ENDPOINTS = {
    "svix": {"data": [{"id": "ep_1", "uid": "crm", "url": "https://crm.example/in",
                       "disabled": True, "eventTypes": ["user.created"]},
                      {"id": "ep_2", "url": "https://all.example/in", "filterTypes": None},
                      {"id": "ep_3", "url": "https://old.example/in",
                       "filterTypes": ["user.created"]}]},
    "convoy": {"status": True, "data": {"content": [
        {"uid": "c.1", "name": "crm", "type": "api", "function": None, "endpoint_metadata": {
            "uid": "e.1", "url": "https://crm.example/in", "status": "paused",
            "secrets": [{"uid": "s.1", "value": "written-by-hand"}]},
         "filter_config": {"event_types": ["*"], "filter": {
             "is_flattened": True, "headers": {}, "body": {"kind": "x"}, "query": {}, "path": {}}}},
        {"uid": "c.2", "name": "all", "type": "api", "function": None, "endpoint_metadata": {
            "uid": "e.2", "url": "https://all.example/in", "status": "active", "secrets": []},
         "filter_config": {"event_types": ["*"], "filter": {"headers": {}, "body": {}}}}],
        "pagination": {"per_page": 20, "has_next_page": False}}},
    "outpost": [
        {"id": "des_1", "tenant_id": "acme", "type": "webhook", "topics": ["user.created"],
         "filter": {"data": {"kind": "x"}}, "config": {"url": "https://crm.example/in"},
         "credentials": {"secret": "whsec_00ff"}, "disabled_at": "2026-11-30T09:30:40.247Z",
         "target": "https://crm.example/in"},
        {"id": "des_2", "tenant_id": "acme", "type": "webhook", "topics": ["*"],
         "config": {"url": "https://all.example/in"}, "credentials": {"secret": "whsec_00fe"},
         "disabled_at": None, "target": "https://all.example/in"},
        {"id": "des_3", "tenant_id": "acme", "type": "rabbitmq", "topics": ["*"],
         "config": {"exchange": "e", "server_url": "localhost:5672"}, "disabled_at": None}],
}  # fmt: skip


def _converted(endpoints: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", snippets("guides/moving.md")["convert"].text],
        input=json.dumps(endpoints), capture_output=True, text=True,
    )  # fmt: skip


def test_no_endpoint_of_another_product_takes_the_place_of_another() -> None:
    endpoints = [{"id": name, "url": "https://a.example"} for name in ("a.b", "a-b")]
    converted = _converted({"data": endpoints})
    assert converted.returncode == 1
    assert "two endpoints would be called a-b" in converted.stderr
    assert not converted.stdout


@pytest.mark.parametrize("product", ENDPOINTS)
def test_endpoints_of_other_products_become_webhooks(product: str, tmp_path: Path) -> None:
    """The answers have the form of those of Convoy, Outpost, and Svix by its OpenAPI document."""
    converted = _converted(ENDPOINTS[product])
    assert converted.returncode == 0, converted.stderr
    file = tmp_path / "gateway.yaml"
    file.write_text(converted.stdout)
    webhooks = load(file, {}, transformation_rule=lambda _: None, url_rule=url_rule).webhooks
    ids = {
        "svix": ["crm", "ep_2", "ep_3"], "convoy": ["c-1", "c-2"], "outpost": ["des_1", "des_2"],
    }[product]  # fmt: skip
    assert sorted(webhooks) == ids
    assert not any(webhook.enabled for webhook in webhooks.values())  # the former one sends yet
    assert re.findall(r"^(\S+) is disabled", converted.stderr, re.M) == ids[:1]
    assert re.findall(r"^(\S+) has a filter", converted.stderr, re.M) == (
        [] if product == "svix" else ids[:1]
    )
    assert webhooks[ids[1]].events == [">"]
    if product == "svix":
        assert webhooks["crm"].events == webhooks["ep_3"].events == ["user.created"]


def test_what_no_test_runs_is_listed() -> None:
    """``make docs`` writes the page."""
    assert LIST.read_text() == not_run()
