"""``event-gateway streams``: what there is, who listens, and the events as they come."""

import json
from typing import Annotated, Any

import typer

from event_gateway.cli.client.gateway_client import (
    JsonOption,
    KeyOption,
    UrlOption,
    ask,
    fail,
    listed,
    part,
    shown,
    table,
)
from event_gateway.cli.client.live_events import condition, follow
from event_gateway.cli.client.times import SinceOption, moment

app = typer.Typer(no_args_is_help=True, help="Named streams: list, look, follow.")

NameArgument = Annotated[str, typer.Argument(help="The stream's name.")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--filter", help="Only where FIELD=VALUE holds (or != > >= < <= ~); all must."),
]
ExpressionOption = Annotated[
    str | None, typer.Option(help="Only where this CEL expression over event is true.")
]
EndOption = Annotated[int | None, typer.Option("--limit", min=1, help="End after so many.")]


@app.command("list")
def list_streams(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the named streams and what they hold."""
    shown(as_json, listed(url, key, "/v1/streams"), _many)


@app.command()
def show(
    stream: NameArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a stream: its definition, what it holds, and how far its subscribers are."""
    shown(as_json, ask(url, key, "GET", f"/v1/streams/{part(stream)}"), _one)


@app.command()
def tail(
    stream: NameArgument,
    since: SinceOption = None,
    from_seq: Annotated[int | None, typer.Option(min=0, help="From this sequence on.")] = None,
    filters: FilterOption = None,
    expression: ExpressionOption = None,
    limit: EndOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a stream's events as they come; with --since or --from-seq those that it holds, too.

    With --json each is a line: sequence and CloudEvent.
    """
    if since is not None and from_seq is not None:
        fail("--since and --from-seq exclude each other", 2)
    request: dict[str, Any] = {"stream": stream} | chosen(filters, expression)
    if since is not None:
        request["from"] = {"time": moment("--since", since)}
    elif from_seq is not None:
        request["from"] = {"seq": from_seq}

    async def each(frame: dict[str, Any]) -> None:
        typer.echo(line(frame, as_json=as_json))

    follow(url, key, request, each, limit)


def chosen(filters: list[str] | None, expression: str | None) -> dict[str, Any]:
    """What of the events is wanted, as a request says it."""
    out: dict[str, Any] = {}
    if filters:
        out["filters"] = [condition(one) for one in filters]
    if expression is not None:
        out["expression"] = expression
    return out


def line(frame: dict[str, Any], *, as_json: bool) -> str:
    """An event as one line."""
    event = frame["event"]
    if as_json:
        return json.dumps({"seq": frame["seq"], "event": event})
    data = event.get("data", event.get("data_base64"))
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key != "enrichment"}
    parts = [str(frame["seq"]), event.get("time", "-"), event["type"], event["source"], event["id"]]
    text = "  ".join([*parts, json.dumps(data, ensure_ascii=False)])
    return "".join(char if char.isprintable() else "?" for char in text)


def _many(streams: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            one["name"],
            str(one["state"]["messages"]),
            str(one["state"]["bytes"]),
            f"{one['state']['first_seq']}-{one['state']['last_seq']}",
            one["retention"] or "-",
            "compliance" if one["compliance"] else "-",
            " ".join(one["subjects"]),
        ]
        for one in streams
    ]
    return table(["NAME", "EVENTS", "BYTES", "SEQUENCES", "RETENTION", "KEPT", "SUBJECTS"], rows)


def _one(one: dict[str, Any]) -> list[str]:
    state, listening = one["state"], one["subscribers"]
    said = {
        "subjects": " ".join(one["subjects"]),
        "retention": one["retention"],
        "max messages": one["max_messages"],
        "max bytes": one["max_bytes"],
        "compliance": "yes" if one["compliance"] else None,
        "from": one["managed_by"],
        "events": f"{state['messages']} ({state['bytes']} bytes), {one['rate']:g}/s",
        "sequences": f"{state['first_seq']} to {state['last_seq']}",
        "oldest": state["first_time"],
        "subscribers": listening["count"],
    }
    lines = [f"{name + ':':<13} {text}" for name, text in said.items() if text is not None]
    rows = [
        [item["id"], item["principal"], item["since"], str(item["sent"]), str(item["lag"]),
         item["durable"] or "-"]
        for item in listening["items"]
    ]  # fmt: skip
    if not rows:
        return lines
    return [*lines, "", *table(["SUBSCRIPTION", "WHO", "SINCE", "SENT", "LAG", "DURABLE"], rows)]
