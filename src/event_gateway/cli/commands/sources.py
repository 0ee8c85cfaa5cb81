"""``event-gateway sources``: lists, shows and tries inbound sources."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_sources
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import Line, fail, fields, indented, print_answer
from event_gateway.cli.client.requests import call, quoted
from event_gateway.core.text.count import count_of

app = typer.Typer(no_args_is_help=True, help="Inbound sources: list, show, test.")

COLUMNS: Columns = {
    "NAME": "name",
    "TYPE": "type",
    "SECRET": "secret_state",
    "ENABLED": lambda source: "yes" if source["enabled"] else "no",
    "FROM": "managed_by",
    "EVENT TYPE": lambda source: source["in_force"].get("type", "-"),
}
NameArgument = Annotated[
    str, typer.Argument(help="The source's name.", autocompletion=complete_sources)
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", help="A header of the request, NAME: VALUE; repeatable."),
]
BodyOption = Annotated[
    Path | None,
    typer.Option("--body", help="A file with the body, byte for byte; - is the standard input."),
]
AtOption = Annotated[
    str | None,
    typer.Option("--received-at", help="The time of receipt (RFC 3339). Default: now."),
]


@app.command("list")
def list_sources(
    search: Annotated[
        str | None, typer.Option(help="Only sources whose name, type or description contains it.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the inbound sources."""
    print_list(url, key, "/v1/sources", COLUMNS, as_json=as_json, search=search)


@app.command()
def show(
    source: NameArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a source: its definition, and the templates of its events."""
    print_answer(as_json, call(url, key, "GET", f"/v1/sources/{quoted(source)}"), _details)


@app.command("test")
def try_source(
    source: NameArgument,
    headers: HeaderOption = None,
    body: BodyOption = None,
    path: Annotated[str | None, typer.Option(help="The path, with its query string.")] = None,
    received_at: AtOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would come of a request to a source; nothing is published.

    Without a request, an example of the provider shows the event that it becomes. Ends with 1 if
    the request would be refused.
    """
    request: dict[str, Any] | None = None
    if headers or body is not None or path is not None:
        request = {"headers": _headers(headers or []), "path": path, "received_at": received_at}
        if body is not None:
            request["body_base64"] = base64.b64encode(_content(body)).decode()
    tried = call(url, key, "POST", f"/v1/sources/{quoted(source)}/test", request)
    print_answer(as_json, tried, _outcome)
    if tried["reason"] is not None:
        raise typer.Exit(1)


def _headers(lines: Sequence[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            fail(f"--header: {line!r} is not NAME: VALUE", 2)
        headers[name.strip()] = value.strip()
    return headers


def _content(path: Path) -> bytes:
    if str(path) == "-":
        return typer.get_binary_stream("stdin").read()
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"--body: {path} cannot be read: {error.strerror}", 2)


def _details(source: dict[str, Any]) -> list[str]:
    shown = {
        "type": source["type"],
        "path": f"/v1/sources/{source['name']}",
        "secret": None if source["secret_state"] is None
        else f"{source.get('secret_name')} ({source['secret_state']})",
        "enabled": "yes" if source["enabled"] else "no",
        "tolerance": source["tolerance"],
        "refused requests": "stored" if source["keep_refused"] else "not stored",
        "from": source["managed_by"],
        "description": source["description"] or None,
    }  # fmt: skip
    shown |= {f"event {name}": text for name, text in source["in_force"].items()}
    return fields(shown)


def _outcome(tried: dict[str, Any]) -> Iterator[Line]:
    if tried["reason"] is not None:
        yield f"refused ({tried['reason']}): {tried['detail']}"
        return
    if tried["verified"] is None:
        yield "an example of the provider, which is not signed, would become:"
    elif tried["answer"] is not None:
        yield f"verified, and answered with: {tried['answer'] or 'an empty body'}"
    else:
        yield f"verified, and published as {count_of(len(tried['events']), 'event')}:"
    for event in tried["events"]:
        yield from indented(event)
