"""``event-gateway streams``: lists and shows named streams, and prints their events."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from event_gateway.cli.client.filters import parse_filter
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, SinceOption, UrlOption
from event_gateway.cli.client.output import Line, fail, fields, print_answer, printable, table
from event_gateway.cli.client.requests import call, quoted
from event_gateway.cli.client.times import time_option
from event_gateway.cli.commands import stream_proofs
from event_gateway.cli.commands.stream_proofs import NameArgument

app = typer.Typer(
    no_args_is_help=True, help="Named streams: list, show, tail; verify, export, anchors, holds."
)

# Escaped characters in JSON, with the escaped backslashes before them.
_ESCAPES = re.compile(r"(?<!\\)(?:\\\\)*(?:\\u[0-9a-fA-F]{4})+")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

COLUMNS: Columns = {
    "NAME": "name",
    "EVENTS": lambda stream: str(stream["state"]["messages"]),
    "BYTES": lambda stream: str(stream["state"]["bytes"]),
    "SEQUENCES": lambda stream: f"{stream['state']['first_seq']}-{stream['state']['last_seq']}",
    "RETENTION": "retention",
    "KEPT": lambda stream: "compliance" if stream["compliance"] else "-",
    "SUBJECTS": lambda stream: " ".join(stream["subjects"]),
}
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", help="Only events with FIELD=VALUE (or != > >= < <= ~); repeatable."),
]
ExpressionOption = Annotated[
    str | None, typer.Option(help="Only events for which this CEL expression is true.")
]
EndOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="End after this number of events.")
]


@app.command("list")
def list_streams(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the named streams and what they hold."""
    print_list(url, key, "/v1/streams", COLUMNS, as_json=as_json)


@app.command()
def show(
    stream: NameArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a stream: its definition, what it holds, and its subscribers."""
    print_answer(as_json, call(url, key, "GET", f"/v1/streams/{quoted(stream)}"), _details)


@app.command()
def tail(
    stream: NameArgument,
    since: SinceOption = None,
    from_seq: Annotated[int | None, typer.Option(min=0, help="Start at this sequence.")] = None,
    filters: FilterOption = None,
    expression: ExpressionOption = None,
    limit: EndOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a stream's new events; with --since or --from-seq also those that it holds.

    With --json each event is a line with its sequence and the CloudEvent.
    """
    if since is not None and from_seq is not None:
        fail("--since and --from-seq exclude each other", 2)
    request: dict[str, Any] = {"stream": stream} | selection_of(filters, expression)
    if since is not None:
        request["from"] = {"time": time_option("--since", since)}
    elif from_seq is not None:
        request["from"] = {"seq": from_seq}

    from event_gateway.cli.client.live_events import follow

    async def each(frame: dict[str, Any]) -> None:
        typer.echo(event_line(frame, as_json=as_json))

    follow(url, key, request, each, limit)


def selection_of(filters: list[str] | None, expression: str | None) -> dict[str, Any]:
    """The selection of a subscribe request, from the options."""
    out: dict[str, Any] = {}
    if filters:
        out["filters"] = [parse_filter(text) for text in filters]
    if expression is not None:
        out["expression"] = expression
    return out


def event_line(frame: dict[str, Any], *, as_json: bool) -> str:
    """An event as one line, without what the gateway added to its data."""
    raw = bytes(frame["event"])
    if as_json:
        return _one_line(b'{"seq":%d,"event":%b}' % (frame["seq"], raw))
    event = _members(raw)
    data = bytes(event.get("data", event.get("data_base64", b"null")))
    if data[:1] == b"{":
        members = _members(data)
        members.pop("enrichment", None)
        data = msgspec.json.encode(members)
    texts = {name: msgspec.json.decode(value) for name, value in event.items() if name != "data"}
    parts = [str(frame["seq"]), texts.get("time", "-"), texts["type"], texts["source"], texts["id"]]
    shown = _ESCAPES.sub(lambda match: json.loads(f'"{match[0]}"'), _one_line(data))
    return printable("  ".join([*parts, shown]))


for proof in (
    stream_proofs.verify, stream_proofs.export, stream_proofs.anchors, stream_proofs.chain,
    stream_proofs.hold, stream_proofs.holds, stream_proofs.release, stream_proofs.redact,
):  # fmt: skip
    app.command()(proof)


def _one_line(text: bytes) -> str:
    """JSON on one line, with the numbers as they are written."""
    return msgspec.json.format(text, indent=0).decode()


def _details(stream: dict[str, Any]) -> Sequence[Line]:
    state, subscribers = stream["state"], stream["subscribers"]
    lines = fields({
        "subjects": " ".join(stream["subjects"]),
        "retention": stream["retention"],
        "max messages": stream["max_messages"],
        "max bytes": stream["max_bytes"],
        "compliance": "yes" if stream["compliance"] else None,
        "from": stream["managed_by"],
        "events": f"{state['messages']} ({state['bytes']} bytes), {stream['rate']:g}/s",
        "sequences": f"{state['first_seq']} to {state['last_seq']}",
        "oldest": state["first_time"],
        "subscribers": subscribers["count"],
    })  # fmt: skip
    rows = [
        [item["id"], item["principal"], item["since"], str(item["sent"]), str(item["lag"]),
         item["durable"] or "-"]
        for item in subscribers["items"]
    ]  # fmt: skip
    if not rows:
        return lines
    heads = ["SUBSCRIPTION", "PRINCIPAL", "SINCE", "SENT", "LAG", "DURABLE"]
    return [*lines, "", *table(heads, rows)]
