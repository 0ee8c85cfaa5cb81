"""The pages of docs/guides/browser-streams.md in a real browser."""

import asyncio
import contextlib
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.browser import Page, tabs
from support.client import Client
from support.fixtures import Start
from support.snippets import snippets
from support.tcp_server import tcp_server

pytestmark = pytest.mark.browser

GUIDE = snippets("guides/browser-streams.md")
TYPES = {"html": "text/html", "js": "text/javascript", "token": "text/plain"}
SHOWN = "[...document.querySelectorAll('li')].map(item => item.textContent).join()"


class Backend:
    """Serves the page, and its tokens by the program of the guide."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.tokens: list[str] = []
        self.has_tokens = True

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode().lstrip("/") or "index.html"
        body, status = self.files.get(path, ""), "200 OK" if path in self.files else "404 Not Found"
        if path == "stream-token":
            status = "200 OK" if self.has_tokens else "503 Service Unavailable"
            body = await asyncio.to_thread(self._token) if self.has_tokens else ""
        type_ = TYPES.get(path.split(".")[-1], TYPES["token"])
        writer.write(f"HTTP/1.1 {status}\r\ncontent-type: {type_}\r\n"
                     f"content-length: {len(body.encode())}\r\nconnection: close\r\n\r\n"
                     f"{body}".encode())  # fmt: skip
        writer.close()

    def _token(self) -> str:
        given: dict[str, Any] = {}
        exec(GUIDE["token"].text, given)
        self.tokens.append(given["stream_token"]("ada"))
        return self.tokens[-1]


@contextlib.asynccontextmanager
async def _page(
    client_of: Start, start: Start, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Client, Backend, str]]:
    """A gateway with the stream ``work``, a backend of another origin, and the page's URL."""
    backend = Backend()
    async with tcp_server(backend.serve) as port:
        origin = f"http://127.0.0.1:{port}"
        client: Client = await client_of(
            await start({
                "streams": {"work": {"subjects": ["user.*"], "max_messages": 5}},
                "server": {"cors": {"origins": [origin]}},
            })
        )  # fmt: skip
        address = str(client.http.base_url).rstrip("/")
        monkeypatch.setenv("EVENT_GATEWAY_URL", address)
        monkeypatch.setenv("EVENT_GATEWAY_KEY", client.key)
        backend.files = {
            name: snippet.text.replace("https://gateway.example.com", address)
            for name, snippet in (("index.html", GUIDE["page"]), ("follow.js", GUIDE["follow"]),
                                  ("work.jsx", GUIDE["react"]))
        }  # fmt: skip
        yield client, backend, origin


async def _send(client: Client, *numbers: int) -> None:
    for number in numbers:
        await client.send({"specversion": "1.0", "id": str(number), "source": "tests",
                           "type": "user.created"})  # fmt: skip


async def _is_live(page: Page, client: Client) -> None:
    """Sends events until the page shows the last one: a subscription begins with the next event,
    and none is on its way any more."""
    for number in range(100, 200):
        await _send(client, number)
        with contextlib.suppress(AssertionError):
            await page.until(f"{SHOWN}.includes('user.created {number}')", timeout=1)
            return
    raise AssertionError("the page shows no event")


async def _ends_connection(client: Client, backend: Backend, without_tokens: bool) -> None:
    """Revokes the token that the page has."""
    backend.has_tokens = not without_tokens
    listed = (await client.http.get("/v1/tokens")).json()
    for token in listed["items"]:
        (await client.http.delete(f"/v1/tokens/{token['id']}")).raise_for_status()


async def test_the_page_shows_each_event_once(
    start: Start, connect: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        _page(connect, start, tmp_path, monkeypatch) as (client, backend, origin),
        tabs(tmp_path / "browser") as open_tab,
    ):
        page = await open_tab(origin)
        await _is_live(page, client)
        await page.value("document.getElementById('events').replaceChildren(); 1")

        # A token that is not valid any more: the page gets another, and goes on where it was.
        await _ends_connection(client, backend, without_tokens=True)
        await page.until("performance.getEntriesByName(location + 'stream-token').length >= 2")
        await _send(client, 1, 2, 3)
        backend.has_tokens = True
        await page.until(f"{SHOWN} === 'user.created 3,user.created 2,user.created 1'")
        assert len(backend.tokens) == 2

        # What the stream has dropped meanwhile is told to a page that wants to know.
        await page.value(
            "window.missed = []; window.got = [];"
            "import('/follow.js').then(({follow}) => follow('work', {"
            "token: async () => { const answer = await fetch('/stream-token');"
            " if (!answer.ok) throw new Error(); return answer.text(); },"
            f"gateway: {json.dumps(str(client.http.base_url))},"
            "onEvent: event => got.push(event.id), onMissed: it => missed.push(it)})); 1"
        )
        for number in range(200, 300):
            await _send(client, number)
            with contextlib.suppress(AssertionError):
                await page.until("got.length > 0", timeout=1)
                break
        await _ends_connection(client, backend, without_tokens=True)
        asked = await page.value("performance.getEntriesByName(location + 'stream-token').length")
        await page.until(
            f"performance.getEntriesByName(location + 'stream-token').length >= {asked + 2}"
        )
        await _send(client, *range(10, 20))
        backend.has_tokens = True
        await page.until("got.at(-1) === '19'")
        assert await page.value("missed.length") == 1
        assert await page.value("got.slice(-5).join()") == "15,16,17,18,19"


@pytest.mark.languages
@pytest.mark.timeout(900)
async def test_the_component_of_react(
    start: Start, connect: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        _page(connect, start, tmp_path, monkeypatch) as (client, backend, origin),
        tabs(tmp_path / "browser") as open_tab,
    ):
        for name, text in backend.files.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "main.jsx").write_text(
            'import { createRoot } from "react-dom/client";\nimport { Work } from "./work.jsx";\n'
            'const root = createRoot(document.getElementById("root"));\nroot.render(<Work/>);\n'
            "window.leave = () => root.unmount();\n"
        )
        for words in (
            ["npm", "init", "-y"],
            ["npm", "install", "--silent", "--no-fund", "--no-audit", "react@19.2.0",
             "react-dom@19.2.0", "esbuild@0.25.12"],
            ["node_modules/.bin/esbuild", "main.jsx", "--bundle", "--outfile=bundle.js",
             "--jsx=automatic", "--define:process.env.NODE_ENV=\"production\""],
        ):  # fmt: skip
            process = await asyncio.create_subprocess_exec(
                *words, cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            output, _ = await process.communicate()
            assert process.returncode == 0, output.decode()
        backend.files["bundle.js"] = (tmp_path / "bundle.js").read_text()
        backend.files["index.html"] = '<div id="root"></div><script src="bundle.js"></script>'

        page = await open_tab(origin)
        await _is_live(page, client)
        await _send(client, 1, 2)
        await page.until(f"{SHOWN}.startsWith('user.created 2,user.created 1,')")
        subscriptions = (await client.http.get("/v1/subscriptions")).json()["items"]
        assert [item["principal"] for item in subscriptions] == ["ada"]
        await page.value("leave(); 1")
        async with asyncio.timeout(60):
            while (await client.http.get("/v1/subscriptions")).json()["items"]:
                await asyncio.sleep(0.1)
