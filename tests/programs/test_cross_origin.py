"""Pages of other origins in a real browser: those of a configured origin use the gateway, others
do not."""

import contextlib
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.browser import tabs
from support.fixtures import Start
from support.tcp_server import tcp_server

pytestmark = pytest.mark.browser

# Everything that a page does; "blocked" where the browser gives it no answer.
SCRIPT = """
window.out = {};
const given = GIVEN;
const key = {Authorization: 'Bearer ' + given.key};
const answer = (name, path, init) => fetch(given.http + path, init).then(
  got => { out[name] = got.status }, () => { out[name] = 'blocked' });
answer('list', '/v1/webhooks', {headers: key});
answer('missing', '/v1/webhooks/none', {headers: key});
answer('delete', '/v1/webhooks/none', {method: 'DELETE', headers: {'X-API-Key': given.key}});
answer('no key', '/v1/webhooks');
answer('invalid', '/v1/webhooks', {method: 'POST', body: '{}',
  headers: {...key, 'Content-Type': 'application/json'}});
answer('too large', '/v1/events', {method: 'POST', headers: key, body: 'x'.repeat(2000000)});
answer('resumed', '/v1/streams/none/sse', {headers: {...key, 'Last-Event-ID': '7'}});
fetch(given.http + '/v1/webhooks').then(
  got => { out.exposed = got.headers.get('www-authenticate') },
  () => { out.exposed = 'blocked' });
fetch(given.http + '/v1/events', {method: 'POST', body: '{"n": 1}', headers: {...key,
  'Content-Type': 'application/json', 'ce-specversion': '1.0', 'ce-id': given.name,
  'ce-type': 'user.a', 'ce-source': '/page', 'ce-anything': 'x'}}).then(
  got => { out.published = got.status }, () => { out.published = 'blocked' });
const source = new EventSource(given.http + '/v1/streams/work/sse?from=first&token='
  + given.token);
source.onmessage = got => { out.sse = JSON.parse(got.data).type; source.close() };
source.onerror = () => { if (!out.sse) out.sse = 'blocked'; source.close() };
const socket = new WebSocket(given.http.replace('http', 'ws') + '/v1/ws?token=' + given.token);
socket.onopen = () => socket.send('{"action":"ping"}');
socket.onmessage = got => { out.socket = JSON.parse(got.data).type; socket.close() };
socket.onclose = () => { if (!out.socket) out.socket = 'blocked' };
1
"""
NAMES = 11


def _serving(body: bytes) -> Callable[[StreamReader, StreamWriter], Awaitable[None]]:
    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n"
                     b"connection: close\r\n\r\n%b" % (len(body), body))  # fmt: skip
        writer.close()

    return serve


async def test_a_page_of_another_origin(start: Start, connect: Start, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        listed, other = [
            await stack.enter_async_context(tcp_server(_serving(b"<p>page</p>"))) for _ in range(2)
        ]
        client = await connect(
            await start({
                "streams": {"work": {"subjects": ["user.*"]}},
                "server": {"cors": {"origins": [f"http://127.0.0.1:{listed}"]}},
            })
        )  # fmt: skip
        token = (await client.http.post("/v1/tokens", json={"streams": ["work"]})).json()["token"]
        given = {"http": str(client.http.base_url).rstrip("/"), "key": client.key, "token": token}

        open_tab = await stack.enter_async_context(tabs(tmp_path / "browser"))

        async def outcome(name: str, url: str) -> dict[str, Any]:
            shown = await open_tab(url)
            await shown.until("document.body?.innerText.includes('page')")
            await shown.value(SCRIPT.replace("GIVEN", json.dumps(given | {"name": name})))
            await shown.until(f"Object.keys(out).length === {NAMES}")
            return dict(json.loads(await shown.value("JSON.stringify(out)")))

        assert await outcome("listed", f"http://127.0.0.1:{listed}/") == {
            "list": 200, "missing": 404, "delete": 404, "no key": 401, "invalid": 422,
            "too large": 413, "resumed": 204, "exposed": "Bearer", "published": 202,
            "sse": "user.a", "socket": "pong",
        }  # fmt: skip
        # The port, or the host, is another: also for a page without an origin.
        (tmp_path / "file.html").write_text("<p>page</p>")
        for name, url in (
            ("port", f"http://127.0.0.1:{other}/"), ("host", f"http://localhost:{listed}/"),
            ("file", (tmp_path / "file.html").as_uri()),
        ):  # fmt: skip
            assert set((await outcome(name, url)).values()) == {"blocked"}, name
