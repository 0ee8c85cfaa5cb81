"""``event-gateway catalog``: lists event types, imports and exports AsyncAPI documents."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail, print_answer, table
from event_gateway.cli.client.requests import call, list_items, quoted
from event_gateway.config.yaml_source import BadYaml, read_plain
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.asyncapi.document import MAX_DEPTH
from event_gateway.core.text.json_text import MalformedJson, read_json

app = typer.Typer(no_args_is_help=True, help="Event types: list, show, import, export.")

MAX_BYTES = 64 * 1024 * 1024  # of a document


@app.command("list")
def list_types(
    owner: Annotated[str | None, typer.Option(help="Only event types of this owner.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the event types, also the gateway's own."""
    print_answer(as_json, list_items(url, key, "/v1/event-types", owner=owner), _rows)


@app.command()
def show(
    event_type: Annotated[str, typer.Argument(help="The event type.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Show an event type as JSON."""
    print_answer(True, call(url, key, "GET", f"/v1/event-types/{quoted(event_type)}"), list)


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
    document = _read(file)
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


def _read(file: Path) -> Any:
    """The document in a file. Ends the command if the file cannot be read."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            fail(f"{file}: is larger than {MAX_BYTES} bytes", 2)
        text = raw.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        fail(f"{file}: {getattr(error, 'strerror', None) or 'is not UTF-8'}", 2)
    if text.lstrip().startswith("{"):
        try:
            return read_json(text)
        except (MalformedJson, InvalidDefinition):
            pass  # YAML in braces, or invalid JSON: the YAML reader names the line of the error
    try:
        return read_plain(text, MAX_DEPTH)
    except BadYaml as bad:
        fail(f"{file}:{bad.line}: {bad.key}".removesuffix(": ") + f": {bad.reason}", 2)


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


def _rows(event_types: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            event_type["type"],
            event_type["in_force"],
            event_type["owner"] or "-",
            event_type["description"].split("\n")[0][:60],
        ]
        for event_type in event_types
    ]
    return table(["TYPE", "ENFORCE", "OWNER", "DESCRIPTION"], rows)
