"""``event-gateway send`` and ``trigger``: publish events."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_types
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.place import endpoints_in
from event_gateway.cli.client.place_options import place
from event_gateway.cli.client.rates import parse_rate
from event_gateway.cli.client.requests import quoted, request_json, run_with_client
from event_gateway.cli.send.event_text import SOURCE, Defaults, NotAnEvent, check_data

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient
    from event_gateway.cli.send.session import EventInput, Sent

SourceOption = Annotated[
    str | None, typer.Option("--source", help="The source. Default: event-gateway-cli.")
]
SubjectOption = Annotated[str | None, typer.Option("--subject", help="The subject.")]
DataOption = Annotated[str | None, typer.Option("--data", help="The data, as JSON.")]
CountOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many times to send it. {{n}} (1, 2, …), {{uuid}} and {{now}} in it are replaced.",
    ),
]
RateOption = Annotated[
    str | None, typer.Option(help="The maximum rate: 100/s, 6000/m. Default: no limit.")
]


def send(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files with an event, an array of events, or an event on each line; "
                            "- is the standard input."),
    ] = None,
    event_type: Annotated[
        str | None, typer.Option("--type", help="The event type. Events in files keep their own.")
    ] = None,
    source: SourceOption = None,
    subject: SubjectOption = None,
    data: DataOption = None,
    extension: Annotated[
        list[str] | None, typer.Option(help="An extension attribute, NAME=VALUE; repeatable.")
    ] = None,
    count: CountOption = None,
    rate: RateOption = None,
    over_nats: Annotated[
        bool, typer.Option("--nats", help="Publish to NATS, not over HTTP.")
    ] = False,
    nats_url: Annotated[
        str | None,
        typer.Option(envvar="EVENT_GATEWAY_NATS_URL", help="The URL of NATS, with credentials; by "
                     "default that of the gateway on this machine."),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=1000, help="The number of events in each request.")
    ] = 500,
    at_once: Annotated[
        int, typer.Option(min=1, max=64, help="The number of requests at the same time.")
    ] = 4,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Publish events: one from options, or many from files.

    Events in files get what they lack: specversion, id, source. An event that is refused does not
    stop the others; then the command ends with 1. Ctrl-C says what was sent.
    """
    from event_gateway.cli.send.inputs import Input
    from event_gateway.cli.send.load import Load

    try:
        defaults = Defaults(
            type=event_type,
            source=source or SOURCE,
            subject=subject,
            data=None if data is None else check_data(data),
            extensions=tuple(_extension(text) for text in extension or ()),
        )
        per_second = None if rate is None else parse_rate(rate)
    except (NotAnEvent, ValueError) as error:
        fail(str(error), 2)
    sources: list[EventInput]
    if not files:
        if event_type is None:
            fail("give --type and --data, or files with events, or - for the standard input", 2)
        sources = [Load(defaults.event(), count or 1)]
    elif count is not None:
        if len(files) != 1:
            fail("--count takes one file, with one event as the template", 2)
        sources = [Load(_template(files[0]), count)]
    else:
        if subject is not None or data is not None or extension:
            fail("--subject, --data and --extension are for an event without a file", 2)
        sources = [Input(file) for file in files]
    publisher = (_nats_url(nats_url) if over_nats else None, batch, at_once, per_second)
    _send_all(url, key, sources, defaults, publisher, as_json=as_json)


def trigger(
    event_type: Annotated[
        str, typer.Argument(help="The event type.", autocompletion=complete_types)
    ],
    source: SourceOption = None,
    subject: SubjectOption = None,
    data: DataOption = None,
    count: CountOption = None,
    rate: RateOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish an example event of a type: the one in the catalog, if it has one."""
    from event_gateway.cli.send.examples import example_of
    from event_gateway.cli.send.load import Load

    async def read(client: "GatewayClient") -> Any:
        status, content = await client.request("GET", f"/v1/event-types/{quoted(event_type)}")
        return content if status == 200 else await _if_forbidden(client, status)

    if data is None:
        example = example_of(event_type, run_with_client(url, key, read))
        typer.echo(f"{example.origin}: {example.data}", err=True)
        data, subject, source = example.data, subject or example.subject, source or example.source
    try:
        check_data(data)
    except NotAnEvent as error:
        fail(str(error), 2)
    defaults = Defaults(type=event_type, source=source or SOURCE, subject=subject, data=data)
    per_second = None if rate is None else parse_rate(rate)
    load = Load(defaults.event(), count or 1)
    _send_all(url, key, [load], defaults, (None, 500, 4, per_second), as_json=as_json)


async def _if_forbidden(client: "GatewayClient", status: int) -> None:
    """A key that only publishes may not read the catalog: then there is no example of it."""
    if status not in (403, 404):
        await request_json(client, "GET", "/v1/event-types", limit=1)


def _send_all(
    url: str | None,
    key: str | None,
    sources: "Sequence[EventInput]",
    defaults: Defaults,
    how: tuple[str | None, int, int, float | None],
    *,
    as_json: bool,
) -> None:
    """``how``: URL of NATS or None for HTTP, events of a batch, batches side by side, rate."""
    from event_gateway.cli.send.publishing import BatchPublisher, HttpPublisher, PublishingRefused
    from event_gateway.cli.send.session import Sending, Sent
    from event_gateway.cli.send.summary import print_summary

    nats_url, batch, at_once, rate = how
    parts: list[Sent] = []
    started = time.monotonic()

    async def through(publisher: BatchPublisher) -> None:
        sending = Sending(publisher, defaults, batch=batch, at_once=at_once, rate=rate)
        ended = ""
        try:
            for source in sources:
                parts.append(Sent(source.name))
                await sending.send(source, parts[-1], quiet=as_json)
        except (NotAnEvent, PublishingRefused, ConnectionError) as error:
            ended = f"{parts[-1].name}: {error}" if isinstance(error, NotAnEvent) else str(error)
        except asyncio.CancelledError:
            print_summary(parts, started, as_json=as_json, ended="interrupted")
            raise
        if ended and not any(_counted(part) for part in parts):
            fail(ended)
        print_summary(parts, started, as_json=as_json, ended=ended)
        if ended or any(part.outcome.refused for part in parts):
            raise typer.Exit(1)

    async def over_http(client: "GatewayClient") -> None:
        await through(HttpPublisher(client))

    async def over_nats(address: str) -> None:
        from event_gateway.cli.send.nats_publishing import NatsPublisher

        publisher = await NatsPublisher.connect(address)
        try:
            await through(publisher)
        finally:
            await publisher.close()

    if nats_url is None:
        run_with_client(url, key, over_http)
        return
    try:
        asyncio.run(over_nats(nats_url))
    except ConnectionError as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _counted(part: "Sent") -> int:
    outcome = part.outcome
    return outcome.accepted + outcome.duplicates + len(outcome.refused)


def _extension(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isalnum() or not name.islower():
        raise ValueError(f"--extension: {text[:64]!r} is not NAME=VALUE; a name has a-z and 0-9")
    return name, value


def _template(file: Path) -> bytes:
    from event_gateway.cli.client.documents import read_text

    text = read_text(file).strip()
    if not text.startswith("{"):
        fail(f"{file}: --count takes one event as the template", 2)
    return text.encode()


def _nats_url(given: str | None) -> str:
    directory = place().data_dir
    url = given or (directory and endpoints_in(directory).get("nats"))
    if not url:
        fail("--nats: where is NATS? Give --nats-url, or the --data-dir of a gateway here", 2)
    return str(url)
