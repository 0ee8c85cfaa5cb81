"""``event-gateway catalog``: lists event types, imports and exports AsyncAPI documents."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_types
from event_gateway.cli.client.documents import read_document
from event_gateway.cli.client.listing import Columns, print_item, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import (
    Line,
    fail,
    fields,
    indented,
    print_answer,
)
from event_gateway.cli.client.requests import call, quoted

app = typer.Typer(no_args_is_help=True, help="Event types: list, show, import, export.")

COLUMNS: Columns = {
    "TYPE": "type",
    "ENFORCE": "in_force",
    "OWNER": lambda event_type: event_type["owner"] or "-",
    "DESCRIPTION": lambda event_type: event_type["description"].split("\n")[0][:60],
}


@app.command("list")
def list_types(
    owner: Annotated[str | None, typer.Option(help="Only event types of this owner.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the event types, also the gateway's own."""
    print_list(url, key, "/v1/event-types", COLUMNS, as_json=as_json, owner=owner)


@app.command()
def show(
    event_type: Annotated[
        str, typer.Argument(help="The event type.", autocompletion=complete_types)
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an event type with its schema and examples.

    Where there is no terminal it is JSON.
    """
    print_item(url, key, f"/v1/event-types/{quoted(event_type)}", _details, as_json=as_json)


@app.command("import")
def import_document(
    file: Annotated[Path, typer.Argument(help="An AsyncAPI 2 or 3 document, YAML or JSON.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing, only say what would change.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the event types of an AsyncAPI document."""
    from event_gateway.core.schema.asyncapi.document import MAX_DEPTH

    document = read_document(file, MAX_DEPTH)
    content = call(url, key, "POST", "/v1/event-types/import", document, dry_run=dry_run)
    print_answer(as_json, content, _imported)


@app.command()
def export(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write to this file, not to standard output."),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Print the catalog as an AsyncAPI 3 document, in JSON."""
    text = json.dumps(call(url, key, "GET", "/asyncapi.json"), indent=2)
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(text + "\n")
    except OSError as error:
        fail(f"{out}: {error.strerror}", 2)


def _imported(content: dict[str, Any]) -> list[str]:
    would = "would be " if content["dry_run"] else ""
    lines = [
        f"{name}: {would}{outcome}"
        for outcome in ("created", "changed")
        for name in content[outcome]
    ]
    lines += [f"{name}: unchanged" for name in content["unchanged"]]
    lines += [f"skipped, {message['place']}: {message['reason']}" for message in content["skipped"]]
    counts = {
        outcome: len(content[outcome]) for outcome in ("created", "changed", "unchanged", "skipped")
    }
    counts["skipped"] += content.get("skipped_omitted", 0)
    return [*lines, ", ".join(f"{count} {outcome}" for outcome, count in counts.items())]


def _details(event_type: dict[str, Any]) -> list[Line]:
    lines: list[Line] = [*fields({
        "type": event_type["type"],
        "description": " ".join(event_type["description"].split()) or None,
        "owner": event_type["owner"] or None,
        "dataschema": event_type["dataschema"],
        "enforce": event_type["in_force"],
        "from": event_type["managed_by"],
        "created": event_type["created_at"],
        "updated": event_type["updated_at"],
    })]  # fmt: skip
    if "schema" in event_type:
        lines += ["", "schema:", *indented(event_type["schema"])]
    for example in event_type["examples"]:
        lines += ["", "example:", *indented(example)]
    return lines
