"""``/v1/ws``: live events of named streams over WebSocket."""

import asyncio
import contextlib
import json
import secrets
import time
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from event_gateway.api.auth import authenticated
from event_gateway.api.context import Context
from event_gateway.broker.connection import BrokerError
from event_gateway.core.stream import Subscription
from event_gateway.core.times import parse_time
from event_gateway.state.connection import StateError
from event_gateway.streaming.hub import UnknownStream
from event_gateway.streaming.subscriber import Outbox
from event_gateway.tasks import end

log = structlog.get_logger(__name__)

UNAUTHENTICATED = 4401
GOING_AWAY = 1012
MAX_SUBSCRIPTIONS = 32
PRINCIPAL = "admin"


class _Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


async def websocket(socket: WebSocket) -> None:
    """One client: a reader for what it asks, a writer for what it gets."""
    context: Context = socket.app.state.context
    await socket.accept()
    if not authenticated(socket.headers, context.admin_key):
        await socket.close(UNAUTHENTICATED, "send the key in Authorization or X-API-Key")
        return
    connection = _Connection(socket, context)
    context.sockets.add(connection)
    try:
        await connection.run()
    finally:
        context.sockets.discard(connection)


class _Connection:
    """A client's subscriptions and the frames on their way to it."""

    def __init__(self, socket: WebSocket, context: Context) -> None:
        self._socket = socket
        self._context = context
        self._outbox = Outbox()
        self._subscriptions: set[str] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        writer = asyncio.create_task(self._write(), name="ws-writer")
        reason = "closed"
        try:
            while True:
                await self._answer(await self._socket.receive_text())
        except WebSocketDisconnect:
            pass
        except (KeyError, RuntimeError):
            reason = "protocol"  # a binary frame, or a socket that was closed under us
        finally:
            await end([writer])
            for subscription_id in list(self._subscriptions):
                await self._end(subscription_id, reason)
            await asyncio.gather(*self._ending)

    async def close(self) -> None:
        """Tells the client to connect elsewhere."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has just gone
                await self._socket.close(GOING_AWAY, "the gateway restarts")

    async def _write(self) -> None:
        while True:
            frames = await self._outbox.take()
            size = 0
            for frame in frames:
                await self._socket.send_text(frame)
                size += len(frame)
            self._outbox.sent(size)

    async def _answer(self, text: str) -> None:
        ref = None
        try:
            try:
                request = json.loads(text)
            except ValueError:
                raise _Refused("malformed", "the frame is no JSON") from None
            if not isinstance(request, dict):
                raise _Refused("malformed", "the frame is no JSON object")
            ref = request.get("ref")
            action = request.get("action")
            if action == "subscribe":
                await self._subscribe(request, ref)
            elif action == "unsubscribe":
                await self._unsubscribe(request, ref)
            elif action == "ping":
                self._send({"type": "pong", "ref": ref})
            else:
                raise _Refused("unknown_action", "actions are: subscribe, unsubscribe, ping")
        except _Refused as refused:
            self._send(
                {"type": "error", "ref": ref, "code": refused.code, "detail": refused.detail}
            )

    async def _subscribe(self, request: dict[str, Any], ref: Any) -> None:
        stream = request.get("stream")
        if not isinstance(stream, str):
            raise _Refused("invalid", "stream must name a stream")
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise _Refused("too_many", f"a connection has at most {MAX_SUBSCRIPTIONS}")
        if not self._known(stream):
            raise _Refused("unknown_stream", f"there is no stream {stream[:64]}")
        start = _start(request.get("from", "new"))
        subscription_id = f"sub_{secrets.token_hex(8)}"

        def joined(seq: int) -> None:
            self._send({"type": "subscribed", "ref": ref, "subscription": subscription_id,
                        "stream": stream, "seq": seq})  # fmt: skip

        stored = Subscription(subscription_id, stream, PRINCIPAL, time.time(),
                              json.dumps(request.get("from", "new")))  # fmt: skip
        try:
            await self._context.subscriptions.add(stored)
        except StateError as error:
            # Others cannot see it; the events themselves do not pass through Redis.
            log.warning("subscription not stored", error=str(error))
        try:
            await self._context.hub.subscribe(
                subscription_id, stream, self._outbox, joined=joined, gone=self._gone, **start
            )
        except UnknownStream:
            await self._end(subscription_id, "refused")
            raise _Refused("unknown_stream", f"there is no stream {stream[:64]}") from None
        except BrokerError:
            await self._end(subscription_id, "refused")
            raise _Refused("unavailable", "NATS cannot be reached right now") from None
        self._subscriptions.add(subscription_id)
        self._context.lifecycle.stream("subscribed", stream, {
            "subscription_id": subscription_id, "principal": PRINCIPAL,
            "from": request.get("from", "new"),
        })  # fmt: skip
        if not self._known(stream):
            self._gone(subscription_id)  # it was deleted meanwhile

    def _known(self, stream: str) -> bool:
        definition = self._context.registry.streams.get(stream)
        return definition is not None and not definition.deleting

    def _gone(self, subscription_id: str) -> None:
        """Its stream is deleted."""
        if subscription_id not in self._subscriptions:
            return
        self._subscriptions.discard(subscription_id)
        self._send({"type": "unsubscribed", "ref": None, "subscription": subscription_id,
                    "code": "stream_deleted", "detail": "the stream was deleted"})  # fmt: skip
        ending = asyncio.create_task(self._end(subscription_id, "stream deleted"))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _unsubscribe(self, request: dict[str, Any], ref: Any) -> None:
        subscription_id = request.get("subscription")
        if subscription_id not in self._subscriptions:
            raise _Refused("unknown_subscription", "this connection has no such subscription")
        await self._end(subscription_id, "unsubscribed")
        self._send({"type": "unsubscribed", "ref": ref, "subscription": subscription_id})

    async def _end(self, subscription_id: str, reason: str) -> None:
        self._subscriptions.discard(subscription_id)
        subscriber = self._context.hub.unsubscribe(subscription_id)
        if subscriber is not None:
            self._context.lifecycle.stream("unsubscribed", subscriber.stream, {
                "subscription_id": subscription_id, "reason": reason, "sent": subscriber.sent,
            })  # fmt: skip
        try:
            await self._context.subscriptions.remove(subscription_id)
        except StateError as error:
            log.warning("subscription not removed, it expires by itself", error=str(error))

    def _send(self, message: dict[str, Any]) -> None:
        self._outbox.put(json.dumps(message, separators=(",", ":")))


def _start(wanted: Any) -> dict[str, Any]:
    """Where to begin, as the hub takes it."""
    if wanted == "new":
        return {}
    if wanted == "first":
        return {"from_first": True}
    if isinstance(wanted, dict) and len(wanted) == 1:
        seq, at = wanted.get("seq"), wanted.get("time")
        if isinstance(seq, int) and not isinstance(seq, bool) and seq >= 0:
            return {"from_seq": seq}
        if isinstance(at, str):
            try:
                return {"from_time": parse_time(at)}
            except ValueError:
                pass
    raise _Refused("invalid", 'from is "new", "first", {"seq": N} or {"time": "RFC 3339"}')
