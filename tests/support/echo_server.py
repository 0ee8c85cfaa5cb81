"""A hostile HTTP server: its responses repeat the request, secrets included, in many encodings."""

import asyncio
import base64
import contextlib
import html
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from event_gateway.transport.client import BODY_LIMIT
from support.tcp_server import tcp_server

TURNS = (500, 401, 200)
_TOKEN = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class EchoedRequest:
    """A received request, with the subject of the client certificate."""

    method: str
    path: str
    head: bytes
    headers: dict[str, str]
    body: bytes
    subject: str = ""


@dataclass
class Answer:
    """A response; ``delay`` in seconds."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    delay: float = 0.0


@dataclass
class EchoServer:
    """Responds by ``respond``, by default with :meth:`echo`, and stores the requests."""

    respond: Callable[[EchoedRequest], Answer] | None = None
    requests: list[EchoedRequest] = field(default_factory=list)
    url: str = ""

    def requests_to(self, path: str) -> list[EchoedRequest]:
        """The requests to a path."""
        return [request for request in self.requests if request.path == path]

    def echo(self, sent: EchoedRequest) -> Answer:
        """500, 401 and 200 in turn; always 401 at /401; always 500, after a delay, at /slow."""
        status = TURNS[(len(self.requests_to(sent.path)) - 1) % len(TURNS)]
        headers = [("x-all", json.dumps(sent.headers))]
        spellings = []
        for name, value in sent.headers.items():
            last = value.partition(" ")[2] or value
            headers += [(f"x-{name}", value), ("x-json-" + name, json.dumps(value))]
            if _TOKEN.fullmatch(last) and len(last) < 200:
                headers.append((last, "its name"))
            spellings += [value, json.dumps(value), json.dumps(last).replace("/", "\\/"),
                          quote(last, safe=""), html.escape(last),
                          base64.b64encode(last.encode("latin-1")).decode()]  # fmt: skip
            if value.startswith("Basic "):
                spellings.append(base64.b64decode(last).decode())
                spellings.append("wrong password " + spellings[-1].partition(":")[2])
        # Each encoding comes first once, since the gateway stores only the beginning of a response.
        first = spellings[(len(self.requests_to(sent.path)) // len(TURNS)) % len(spellings) :]
        if "authorization" in sent.headers:
            first.insert(0, sent.headers["authorization"])
        body = " | ".join([*first, *spellings]).encode() + sent.head + sent.body
        if sent.method == "OPTIONS":
            value = sent.headers.get("authorization", "")
            headers += [("WebHook-Allowed-Origin", value), ("WebHook-Allowed-Rate", value)]
        if sent.path == "/cut":
            secret = sent.headers["authorization"].encode()
            body = b"." * (BODY_LIMIT - len(secret) + 5) + secret + b"." * BODY_LIMIT
        if sent.path == "/401":
            status = 401
        if sent.path == "/slow":
            return Answer(500, headers, body, 0.7)
        return Answer(status, headers, body)

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["EchoServer"]:
        async with tcp_server(self._serve, tls=tls) as port:
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                certificate = writer.get_extra_info("peercert") or {}
                method, path, _ = first.split(" ")
                subject = str(certificate.get("subject", ""))
                sent = EchoedRequest(method, path, head, headers, body, subject)
                self.requests.append(sent)
                answer = (self.respond or self.echo)(sent)
                await asyncio.sleep(answer.delay)
                text = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
                writer.write(
                    f"HTTP/1.1 {answer.status} {text and 'Said'}\r\n{text}"
                    f"content-length: {len(answer.body)}\r\n\r\n".encode("latin-1")
                    + answer.body
                )
                await writer.drain()
        writer.close()
