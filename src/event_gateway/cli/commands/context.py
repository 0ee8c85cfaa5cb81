"""``event-gateway context``: saves where gateways are, and chooses one of them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_contexts
from event_gateway.cli.client.contexts import (
    Context,
    Contexts,
    contexts_file,
    load_contexts,
    store_contexts,
)
from event_gateway.cli.client.options import JsonOption
from event_gateway.cli.client.output import Line, fail, print_answer, table
from event_gateway.transport.target import parse_target

app = typer.Typer(no_args_is_help=True, help="Saved gateways: add, use, list, remove.")

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NameArgument = Annotated[
    str, typer.Argument(help="The context's name.", autocompletion=complete_contexts)
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name, such as prod.")],
    gateway: Annotated[str, typer.Option("--url", help="The gateway's URL.")],
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="The key is in this file.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option("--key-env", help="The key is in this environment variable.")
    ] = None,
    key_command: Annotated[
        str | None,
        typer.Option("--key-command", help="This command prints the key, such as a password "
                                           "manager; it is run each time."),
    ] = None,
    key_value: Annotated[
        str | None,
        typer.Option("--key", help="The key itself, which is stored; needs --in-clear."),
    ] = None,
    in_clear: Annotated[
        bool, typer.Option("--in-clear", help="Store the key itself, readable by this user.")
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="A PEM file with the authority of the gateway's certificate."),
    ] = None,
    use: Annotated[bool, typer.Option("--use", help="Use this context from now on.")] = False,
) -> None:  # fmt: skip
    """Save a gateway's URL, and where its key is. A context of that name is replaced."""
    if NAME.fullmatch(name) is None:
        fail("a name has letters, digits, _, . and -, at most 64", 2)
    try:
        parse_target(gateway)
    except ValueError as error:
        fail(f"--url: {error}", 2)
    if key_value is not None and not in_clear:
        fail("--key would store the key in clear: use --key-file, --key-env or --key-command, or "
             "add --in-clear", 2)  # fmt: skip
    file = None if key_file is None else str(key_file.expanduser().absolute())
    kinds = {"file": file, "env": key_env, "command": key_command, "value": key_value}
    key = {kind: value for kind, value in kinds.items() if value is not None}
    if len(key) > 1:
        fail("give the key in one way only", 2)
    ca_file = None if ca is None else str(ca.expanduser().absolute())
    context = Context(name, gateway.rstrip("/"), key, ca_file)
    contexts = load_contexts()
    current = name if use else contexts.current
    store_contexts(Contexts(contexts.by_name | {name: context}, current))
    in_use = ", in use" if current == name else f"; to use it: event-gateway context use {name}"
    typer.echo(f"{name}: {context.url}, key {context.shown_key()}{in_use}")


@app.command("list")
def list_contexts(as_json: JsonOption = False) -> None:
    """List the contexts; the one in use has a *. Keys are not shown."""
    contexts = load_contexts()
    items = [
        {
            "name": context.name,
            "url": context.url,
            "key": context.shown_key(),
            "ca": context.ca,
            "in_use": context.name == contexts.current,
        }
        for _, context in sorted(contexts.by_name.items())
    ]
    print_answer(as_json, items, _rows)


@app.command()
def use(
    name: Annotated[
        str | None,
        typer.Argument(help="The context's name; none: no context is used.",
                       autocompletion=complete_contexts),
    ] = None,
) -> None:  # fmt: skip
    """Use a context in all commands from now on; without a name, none."""
    contexts = load_contexts()
    if name is not None:
        contexts.named(name)
    store_contexts(replace(contexts, current=name))
    typer.echo("no context is in use" if name is None else f"{name}: in use")


@app.command()
def remove(name: NameArgument) -> None:
    """Remove a context. The file or command of its key stays as it is."""
    contexts = load_contexts()
    contexts.named(name)
    left = {other: context for other, context in contexts.by_name.items() if other != name}
    store_contexts(Contexts(left, None if contexts.current == name else contexts.current))
    typer.echo(f"{name}: removed")


def _rows(items: list[dict[str, Any]]) -> list[Line]:
    if not items:
        return [f"no contexts in {contexts_file()}; event-gateway context add makes one"]
    rows = [[item["name"], "*" if item["in_use"] else "", item["key"], item["url"]]
            for item in items]  # fmt: skip
    return table(["NAME", "IN USE", "KEY", "URL"], rows)
