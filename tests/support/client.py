"""Clients of a gateway for tests: HTTP, NATS, WebSocket."""

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import httpx
import msgspec
import websockets
from nats.aio.client import Client as Nats

from support.bus import connect_bus
from support.http_transport import PlainTransport
from support.patience import PATIENCE

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
_ids = itertools.count(1)


def event(event_type: str, data: Any = None, **attributes: Any) -> dict[str, Any]:
    """A CloudEvent with a new id."""
    event = {
        "specversion": "1.0", "id": f"e-{next(_ids)}", "source": "tests", "type": event_type,
        "time": "2026-05-04T03:02:01Z", "datacontenttype": "application/json",
        "data": {} if data is None else data,
    }  # fmt: skip
    return event | attributes


@dataclass
class Client:
    """Clients of one gateway, open until the test ends."""

    http: httpx.AsyncClient
    nats: Nats
    key: str
    lifecycle: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, sent: Any, status: int = 202) -> dict[str, Any]:
        """Sends an event, or a list of events as a batch, over HTTP."""
        headers = BATCH if isinstance(sent, list) else STRUCTURED
        answer = await self.http.post("/v1/events", content=json.dumps(sent), headers=headers)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def webhook(self, **definition: Any) -> dict[str, Any]:
        """Creates a webhook."""
        answer = await self.http.post("/v1/webhooks", json=definition)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def delete_webhook(self, webhook: str) -> None:
        """Deletes a webhook, and waits until its id is free."""
        path = f"/v1/webhooks/{webhook}"
        answer = await self.http.delete(path)
        assert answer.status_code == 204, answer.text
        async with asyncio.timeout(PATIENCE):
            while (await self.http.get(path)).status_code != 404:
                await asyncio.sleep(0.05)

    async def delivery(self, webhook: str, event_id: str, **query: str) -> dict[str, Any]:
        """The delivery of an event to a webhook."""
        answer = await self.http.get(f"/v1/deliveries/{webhook}/{event_id}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(
        self, webhook: str, event_id: str, *statuses: str, timeout: float = PATIENCE, **query: str
    ) -> dict[str, Any]:
        """Waits until the status of a delivery is one of these, and returns the delivery."""
        path = f"/v1/deliveries/{webhook}/{event_id}"
        async with asyncio.timeout(timeout):
            while True:
                answer = await self.http.get(path, params=query)
                if answer.status_code == 200 and answer.json()["status"] in statuses:
                    return dict(answer.json())
                await asyncio.sleep(0.05)

    async def lifecycle_events(
        self, count: int, *types: str, about: Collection[str] = (), timeout: float = PATIENCE
    ) -> list[dict[str, Any]]:
        """Waits for ``count`` lifecycle events of these types, and returns all of them. ``about``:
        only those with one of these subjects; none: with any."""
        async with asyncio.timeout(timeout):
            while True:
                events = [
                    event for event in self.lifecycle
                    if event["type"] in types and (not about or event["subject"] in about)
                ]  # fmt: skip
                if len(events) >= count:
                    return events
                await asyncio.sleep(0.01)

    async def stream_messages(self, stream: str) -> list[Any]:
        """All messages in a JetStream stream."""
        js = self.nats.jetstream()
        state = (await js.stream_info(stream)).state
        if not state.messages:
            return []
        numbers = range(state.first_seq, state.last_seq + 1)
        return [await js.get_msg(stream, seq) for seq in numbers]

    @contextlib.asynccontextmanager
    async def websocket(
        self, receive_buffer: int | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncIterator["Socket"]:
        """A WebSocket client of ``/v1/ws``. ``receive_buffer``: the size of the socket's buffer;
        ``headers``: further ones of the handshake."""
        url = str(self.http.base_url).replace("http", "ws", 1).rstrip("/") + "/v1/ws"
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        address = (self.http.base_url.host, self.http.base_url.port)
        await asyncio.get_running_loop().sock_connect(sock, address)
        # Without pings: a test may read nothing for as long as a busy machine makes it.
        async with websockets.connect(
            url, additional_headers=headers, sock=sock, ping_interval=None
        ) as connection:
            yield Socket(connection)


@dataclass
class Socket:
    """One WebSocket connection; frames are JSON."""

    connection: websockets.ClientConnection

    async def request(self, **request: Any) -> dict[str, Any]:
        """Sends a request, and returns the next frame."""
        await self.connection.send(json.dumps(request))
        return await self.next()

    async def next(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """The next frame."""
        async with asyncio.timeout(timeout):
            return dict(msgspec.json.decode(await self.connection.recv()))

    async def silent(self, seconds: float = 0.3) -> bool:
        """Whether no frame arrives within this time."""
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False


@contextlib.asynccontextmanager
async def connected(http_url: str, nats_url: str, key: str) -> AsyncIterator[Client]:
    """Clients of a gateway; ``lifecycle`` collects the lifecycle events that it publishes."""
    async with httpx.AsyncClient(
        base_url=http_url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE,
        transport=PlainTransport(),
    ) as http:  # fmt: skip
        bus = await connect_bus(
            nats_url,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
        )
        client = Client(http, bus, key)

        async def keep(message: Any) -> None:
            client.lifecycle.append(json.loads(message.data))

        for subject in ("webhook.>", "stream.>", "gateway.>"):
            await bus.subscribe(subject, cb=keep)
        await bus.flush()
        try:
            yield client
        finally:
            try:
                await bus.close()
            except (
                asyncio.CancelledError
            ):  # the client raises it if the connection is cut meanwhile
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise


def slow_reader(url: str, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """An HTTP client for which the system buffers next to nothing that it does not read. On the
    other side, Linux buffers 4 MiB at most, unless it is configured otherwise (tcp_wmem)."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    transport = httpx.AsyncHTTPTransport(socket_options=small)
    return httpx.AsyncClient(base_url=url, headers=headers, transport=transport, timeout=PATIENCE)
