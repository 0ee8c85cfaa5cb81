"""Runs the demo: servers, gateway, receivers, publisher and subscriber in one process."""

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import nats
import typer
import websockets
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from event_gateway.cli.client.gateway_client import GatewayClient
from event_gateway.cli.demo.events import DemoEvent, demo_events
from event_gateway.cli.demo.figures import DemoFigures
from event_gateway.cli.demo.receivers import Receivers, receiving
from event_gateway.cli.demo.view import DemoView
from event_gateway.cli.process.console import sign_in_link
from event_gateway.cli.process.host import StartFailed
from event_gateway.cli.process.serve import Running, run_loop, running
from event_gateway.config.delivery_model import DeliveryModel
from event_gateway.config.load import load
from event_gateway.config.model import Config
from event_gateway.config.webhook_model import CircuitBreakerModel
from event_gateway.observability.logs import LogSettings, configure_logs
from event_gateway.request.transformations import compile_definition
from event_gateway.tasks import TaskCrashed, end
from event_gateway.transport.egress_guard import url_rule

PUBLISH_INTERVAL = 0.2  # seconds between two events
SETTLE_TIMEOUT = 30.0  # seconds in which all deliveries must become final
SECRETS = {"EVENT_GATEWAY_SECRET_SIEM_TOKEN": "demo-token"}


def run(seconds: float | None, *, console: bool) -> int:
    """Runs the command; returns the exit status, 1 if a promise was not kept."""
    configure_logs(LogSettings(level="error"))
    started = time.monotonic()
    return run_loop(_demo(seconds, started, console=console))


def configuration(receivers_url: str) -> Config:
    """The example configuration, with its three URLs replaced by those of the demo's receivers."""
    with as_file(files("event_gateway.cli.demo") / "gateway.yaml") as path:
        config = load(path, {}, transformation_rule=compile_definition, url_rule=url_rule)
    # Its few seconds show retries and dead letters; an open circuit breaker would delay them.
    never_opens = CircuitBreakerModel(failure_threshold=10_000)
    webhooks = {
        name: webhook.model_copy(
            update={"url": f"{receivers_url}/{name}", "circuit_breaker": never_opens}
        )
        for name, webhook in config.webhooks.items()
    }
    delivery = DeliveryModel(allow_networks=["127.0.0.0/8"])
    return config.model_copy(update={"webhooks": webhooks, "delivery": delivery})


async def _demo(seconds: float | None, started: float, *, console: bool) -> int:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, _on_signal, stop)
    with tempfile.TemporaryDirectory(prefix="event-gateway-demo-") as directory:
        async with receiving() as receivers:
            config = configuration(receivers.url)
            figures = DemoFigures(receivers, tuple(config.streams))
            try:
                async with running(
                    config, Path(directory), port=0, environ=os.environ | SECRETS, console=console
                ) as gateway:
                    link = None
                    if gateway.console_url is not None:
                        link = sign_in_link(Path(directory), gateway.console_url, gateway.admin_key)
                    view = DemoView(figures, gateway.http_url, link)
                    first = await _play(gateway, figures, view, seconds, stop, started)
            except (StartFailed, TaskCrashed) as error:
                typer.echo(f"event-gateway: {error}", err=True)
                return 1
    view.summary(first)
    return 1 if figures.broken() else 0


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(130)  # the second signal ends at once; the embedded servers end with this process
    stop.set()


async def _play(
    gateway: Running, figures: DemoFigures, view: DemoView, seconds: float | None,
    stop: asyncio.Event, started: float,
) -> float | None:  # fmt: skip
    """Publishes until it is time to stop, then waits until all deliveries are final. Returns the
    seconds until the first delivery, None if there was none."""
    client = GatewayClient(gateway.http_url, gateway.admin_key)
    bus = await nats.connect(gateway.nats_url)
    socket_url = gateway.http_url.replace("http", "ws", 1) + "/v1/ws"
    headers = {"Authorization": f"Bearer {gateway.admin_key}"}
    tasks: list[asyncio.Task[Any]] = []
    try:
        async with websockets.connect(socket_url, additional_headers=headers) as socket:
            with view:
                await _show_lifecycle(bus, figures, view)
                await _subscribe(socket, figures)
                first = asyncio.create_task(_first_delivery(figures.receivers, started))
                publishing = asyncio.create_task(
                    _publish(client, bus, figures, view, seconds, stop)
                )
                observing = [
                    asyncio.create_task(_receive(socket, figures, view)),
                    asyncio.create_task(_poll_deliveries(client, figures)),
                    asyncio.create_task(_draw(view)),
                ]
                tasks = [first, publishing, *observing]
                done, _ = await asyncio.wait([publishing, *observing],
                                             return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
                _note_trouble(figures, done)
                await _settle(figures, view)
                return first.result() if first.done() else None
    finally:
        await end(tasks)
        await bus.close()
        await client.close()


def _note_trouble(figures: DemoFigures, done: Iterable[asyncio.Task[Any]]) -> None:
    for task in done:
        error = task.exception()
        if error is not None:
            figures.trouble.append(f"the demo itself: {type(error).__name__}: {error}")


async def _first_delivery(receivers: Receivers, started: float) -> float:
    await receivers.first_taken.wait()
    return time.monotonic() - started


async def _publish(
    client: GatewayClient, bus: Nats, figures: DemoFigures, view: DemoView, seconds: float | None,
    stop: asyncio.Event,
) -> None:  # fmt: skip
    until = None if seconds is None else time.monotonic() + seconds
    for demo_event in demo_events():
        if stop.is_set() or (until is not None and time.monotonic() >= until):
            return
        figures.add(demo_event)
        await _send(client, bus, demo_event)
        view.line(f"published      {demo_event.type} over {demo_event.over.upper()}")
        await asyncio.sleep(PUBLISH_INTERVAL)


async def _send(client: GatewayClient, bus: Nats, demo_event: DemoEvent) -> None:
    if demo_event.over == "nats":
        await bus.publish(demo_event.type, json.dumps(demo_event.event).encode())
        return
    status, answer = await client.request(
        "POST", "/v1/events", demo_event.event, "application/cloudevents+json"
    )
    if status != 202:
        raise ConnectionError(f"POST /v1/events answered {status}: {answer}")


async def _show_lifecycle(bus: Nats, figures: DemoFigures, view: DemoView) -> None:
    """Shows the gateway's lifecycle events, and counts dead letters."""

    async def on_lifecycle(message: Msg) -> None:
        event = json.loads(message.data)
        data = event["data"]
        name = data["webhook_id"]
        match event["type"]:
            case "webhook.succeeded":
                view.line(f"delivered      {data['event_type']} to {name} at attempt "
                          f"{data['attempt']}, {data['latency_ms']} ms after receipt")  # fmt: skip
            case "webhook.failed":
                after = "no more" if data["next_attempt_at"] is None else "will be retried"
                view.line(f"failed         {name}: {data['error_message']}, attempt "
                          f"{data['retry_count']}, {after}")  # fmt: skip
            case "webhook.dead_lettered":
                view.line(f"dead letter    {name}: {data['reason']} after "
                          f"{data['attempts']} attempts")  # fmt: skip

    async def on_dead_letter(message: Msg) -> None:
        body = json.loads(message.data)
        figures.dead_letters.add((body["webhook_id"], body["event"]["id"]))

    await bus.subscribe("webhook.*", cb=on_lifecycle)
    await bus.subscribe("eg.dead.>", cb=on_dead_letter)
    await bus.flush()


async def _subscribe(socket: websockets.ClientConnection, figures: DemoFigures) -> None:
    for name in figures.expected:
        await socket.send(json.dumps({"action": "subscribe", "ref": name, "stream": name}))
        answer = json.loads(await socket.recv())
        if answer["type"] != "subscribed":
            raise ConnectionError(f"not subscribed to {name}: {answer}")


async def _receive(
    socket: websockets.ClientConnection, figures: DemoFigures, view: DemoView
) -> None:
    async for frame in socket:
        message = json.loads(frame)
        if message["type"] == "event":
            figures.streamed[message["stream"]].append(message["event"]["id"])
            view.line(f"streamed       {message['event']['type']} on {message['stream']}, "
                      f"number {message['seq']}")  # fmt: skip


async def _poll_deliveries(client: GatewayClient, figures: DemoFigures) -> None:
    while True:
        for webhook, event_id in figures.open_deliveries():
            status, record = await client.request("GET", f"/v1/deliveries/{webhook}/{event_id}")
            if status == 200:
                figures.states[webhook, event_id] = (record["status"], len(record["attempts"]))
        await asyncio.sleep(0.25)


async def _draw(view: DemoView) -> None:
    while True:
        view.refresh()
        await asyncio.sleep(0.25)


async def _settle(figures: DemoFigures, view: DemoView) -> None:
    view.line("ending         no more events; waiting until all deliveries are final")
    deadline = time.monotonic() + SETTLE_TIMEOUT
    while not figures.settled() and time.monotonic() < deadline and not figures.trouble:
        await asyncio.sleep(0.1)
