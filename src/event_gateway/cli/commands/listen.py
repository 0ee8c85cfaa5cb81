"""``event-gateway listen``: prints live events, or forwards them to a local receiver."""

import asyncio
import base64
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from event_gateway import __version__
from event_gateway.cli.client.live_events import follow
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail
from event_gateway.cli.commands.streams import (
    EndOption,
    ExpressionOption,
    FilterOption,
    event_line,
    selection_of,
)
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.signing_keys import SHARED, check_keys
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.request.access_tokens import AccessTokens
from event_gateway.request.builder import RequestBuilder, RequestBuilders
from event_gateway.request.transformations import Transformations
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import Secrets
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.egress_guard import EgressGuard

TIMEOUT = 15.0  # seconds
PREFIX, NAME = "EVENT_GATEWAY_SECRET_", "listen"


def listen(
    events: Annotated[
        list[str],
        typer.Option(help="Patterns of subjects: * one token, > the rest; separated by commas."),
    ],
    forward_to: Annotated[
        str | None, typer.Option(help="Post the events to this URL, signed as deliveries are.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="EVENT_GATEWAY_LISTEN_SECRET",
            help="The signing key (whsec_…); by default a new one, which is printed.",
        ),
    ] = None,
    filters: FilterOption = None,
    expression: ExpressionOption = None,
    limit: EndOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print live events, or post each to a local receiver and print the answer.

    Events are posted in order, each once. Events that come while this does not run are not
    forwarded.
    """
    patterns = [pattern for text in events for pattern in text.replace(",", " ").split()]
    request: dict[str, Any] = {"subjects": patterns} | selection_of(filters, expression)
    if forward_to is None:

        async def show(frame: dict[str, Any]) -> None:
            typer.echo(event_line(frame, as_json=as_json))

        follow(url, key, request, show, limit)
        return
    if secret is None:
        secret = SHARED + base64.b64encode(secrets.token_bytes(32)).decode()
        typer.echo(f"signing with {secret}", err=True)
    forwarder: list[_Forwarder] = []

    async def forward(frame: dict[str, Any]) -> None:
        if not forwarder:
            forwarder.append(_Forwarder(forward_to, secret))  # it needs the running loop
        answer = await forwarder[0].post(frame)
        if as_json:
            typer.echo(msgspec.json.encode(answer).decode())
        else:
            result = answer["error"] or answer["status_code"]
            typer.echo(f"{result}  {answer['duration_ms']} ms  {answer['type']}  {answer['id']}")

    _check(forward_to, secret)
    follow(url, key, request, forward, limit)


def _check(forward_to: str, secret: str) -> None:
    try:
        parse_target(forward_to)
    except ValueError as error:
        fail(f"--forward-to: {error}", 2)
    try:
        check_keys(secret)
    except ValueError as error:
        fail(f"--secret: {error}", 2)


class _Forwarder:
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

    async def post(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Posts the event of a frame; returns the result as the command prints it."""
        event = from_structured(bytes(frame["event"]))
        request = self._builder.build(Received(event, "", frame["seq"], time.time()), 1)
        future: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

        def done(result: Response | Failure) -> None:
            if not future.done():
                future.set_result(result)

        started = time.monotonic()
        self._http.post(self._builder.target, request.head, request.body, TIMEOUT, done)
        result = await future
        failed = isinstance(result, Failure)
        return {
            "seq": frame["seq"],
            "type": event.type,
            "source": event.source,
            "id": event.id,
            "status_code": None if isinstance(result, Failure) else result.status,
            "error": f"{result.error_type}: {result.message}"
            if isinstance(result, Failure)
            else None,
            "duration_ms": round((time.monotonic() - started) * 1000),
            "ok": not failed and 200 <= result.status < 300,  # type: ignore[union-attr]
        }
