"""Posts live events to a receiver on this machine, as the gateway posts a webhook's deliveries."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

from event_gateway import __version__
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request.access_tokens import AccessTokens
from event_gateway.request.builder import RequestBuilder, RequestBuilders
from event_gateway.request.transformations import Transformations
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import Secrets
from event_gateway.transport.client import Failure, HttpClient, Response
from event_gateway.transport.egress_guard import EgressGuard

TIMEOUT = 15.0  # seconds
PREFIX, NAME = "EVENT_GATEWAY_SECRET_", "listen"
# What ``--json`` prints: seq, type, source, id of the event; method, status_code, duration_ms, body
# of the answer, ok; or error.
Answer = dict[str, Any]


class Forwarder:
    """Posts events to one receiver, as the gateway posts a webhook's deliveries."""

    def __init__(self, forward_to: str, secret: str) -> None:
        # The user chose this address: every network and port is allowed.
        guard = EgressGuard(["0.0.0.0/0", "::/0"], allow_ports=range(1, 65536))
        self._http = HttpClient(guard)
        secret_store = Secrets(
            ExternalSecrets({f"{PREFIX}{NAME.upper()}": secret}, PREFIX, Path("/nonexistent"))
        )
        # The webhook below uses a built-in transformation: there is no fallback to report.
        transformations = Transformations(on_fallback=lambda _name: None)
        builders = RequestBuilders(
            secrets=secret_store,
            tokens=AccessTokens(self._http),
            key=secrets.token_bytes(32),
            version=__version__,
            transformations=transformations,
        )
        signature = Security(auth_type="hmac_signature", secret_name=NAME)
        webhook = Webhook(id=NAME, url=forward_to, events=(">",), security=(signature,))
        self._builder: RequestBuilder = builders.for_webhook(webhook)

    async def post(self, frame: dict[str, Any]) -> Answer:
        """Posts the event of a frame."""
        event = from_structured(bytes(frame["event"]))
        request = self._builder.build(Received(event, "", frame["seq"], time.time()), 1)
        future: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

        def done(result: Response | Failure) -> None:
            if not future.done():
                future.set_result(result)

        started = time.monotonic()
        self._http.post(self._builder.target, request.head, request.body, TIMEOUT, done)
        result = await future
        took = round((time.monotonic() - started) * 1000)
        about = {"seq": frame["seq"], "type": event.type, "source": event.source, "id": event.id}
        if isinstance(result, Failure):
            error = f"{result.error_type}: {result.message}"
            return about | {
                "method": "POST", "status_code": None, "error": error, "duration_ms": took,
                "body": None, "ok": False,
            }  # fmt: skip
        return about | {
            "method": "POST", "status_code": result.status, "error": None, "duration_ms": took,
            "body": result.body.decode("utf-8", "replace"), "ok": 200 <= result.status < 300,
        }  # fmt: skip
