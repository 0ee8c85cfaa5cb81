"""``event-gateway secrets``: sets and rotates secrets. No command prints a value."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_secrets
from event_gateway.cli.client.confirmation import YesOption, confirm
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail, print_answer
from event_gateway.cli.client.requests import call, quoted

app = typer.Typer(
    no_args_is_help=True, help="Secrets: set, update, rotate, list, delete; values are not shown."
)

NameArgument = Annotated[
    str,
    typer.Argument(help="The secret's name, as webhooks name it.", autocompletion=complete_secrets),
]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="Read the value from this file, - is the standard input; "
                 "default: a prompt, or the standard input."),
]  # fmt: skip
OverlapOption = Annotated[
    str | None, typer.Option(help="How long the former key stays valid. Default: 24h.")
]


NamespaceOption = Annotated[
    list[str] | None,
    typer.Option("--namespace", help="A namespace whose webhooks may use it; may be repeated. "
                 "Default: as before, or only the operators' webhooks."),
]  # fmt: skip

SHOWN = 10  # names of secrets in an error

_COLUMNS: Columns = {
    "NAME": "name",
    "FROM": lambda secret: secret["from"] or "missing",
    "SEALED": lambda secret: (secret["sealed"] or {}).get("updated_at", "-"),
    "NAMESPACES": lambda secret: ", ".join(secret["namespaces"]) or "-",
    "USED BY": lambda secret: _used_by(secret) or "-",
}


@app.command("set")
def set_secret(
    name: NameArgument, file: FileOption = None, namespace: NamespaceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Set a secret. All processes use it when this ends."""
    body: dict[str, Any] = {"value": read_value(file, f"Value of {name}")}
    if namespace:
        body["namespaces"] = namespace
    print_answer(as_json, call(url, key, "PUT", f"/v1/secrets/{quoted(name)}", body), _details)


@app.command()
def update(
    name: NameArgument,
    namespace: NamespaceOption = None,
    operators_only: Annotated[
        bool, typer.Option("--operators-only", help="Only the operators' webhooks may use it.")
    ] = False,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Change which namespaces may use a secret, and keep its value.

    The namespaces replace the former ones.
    """
    if bool(namespace) == operators_only:
        fail("give --namespace, or --operators-only", 2)
    body = {"namespaces": namespace or []}
    changed = call(url, key, "PATCH", f"/v1/secrets/{quoted(name)}", body)
    print_answer(as_json, changed, _shared)


@app.command()
def rotate(
    name: NameArgument, file: FileOption = None, overlap: OverlapOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Replace a secret's value. Signatures carry both values during the overlap."""
    body = rotation(read_value(file, f"New value of {name}"), overlap)
    print_answer(
        as_json, call(url, key, "POST", f"/v1/secrets/{quoted(name)}/rotate", body), _details
    )


@app.command("list")
def list_secrets(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the secrets: where each comes from, and which webhooks and sources use it."""
    print_list(url, key, "/v1/secrets", _COLUMNS, as_json=as_json)


@app.command()
def delete(
    name: NameArgument, yes: YesOption = False, url: UrlOption = None, key: KeyOption = None
) -> None:
    """Delete a secret that no webhook and no source names."""
    confirm(f"Delete the secret {name} for ever?", yes)
    call(url, key, "DELETE", f"/v1/secrets/{quoted(name)}")
    typer.echo(f"{name}: deleted")


@app.command()
def reseal(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Seal all secrets with the first sealing key, so that the other keys can be removed.

    Ends with 1 if there are secrets that no sealing key opens; the others are sealed all the same.
    """
    content = call(url, key, "POST", "/v1/secrets/reseal")
    print_answer(as_json, content, _resealed)
    if left := _unreadable(content):
        fail(left)


def read_value(file: Path | None, prompt: str) -> str:
    """A secret's value from a file, a prompt or the standard input, but not from the command line,
    which other users of the machine can see. One line end is dropped."""
    if file is not None and str(file) != "-":
        try:
            text = file.read_text()
        except (OSError, ValueError) as error:
            fail(f"{file}: {getattr(error, 'strerror', None) or 'is not text'}", 2)
    elif file is None and sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True))
    else:
        text = sys.stdin.read()
    return text.removesuffix("\n").removesuffix("\r")


def rotation(new: str, overlap: str | None) -> dict[str, str]:
    """The body of a request that replaces a secret's value."""
    return {"value": new} | ({} if overlap is None else {"overlap": overlap})


def _resealed(answer: dict[str, Any]) -> list[str]:
    people = answer["subject_keys"]
    keys = f", and the {_keys_of(people)}" if people else ""
    return [f"{answer['resealed']} resealed{keys}"]


def _unreadable(answer: dict[str, Any]) -> str:
    """What was not sealed, and what to do; empty if all was. Version 1.0 refuses the request then,
    and does not list it."""
    people = answer.get("unreadable_subject_keys", 0)
    names = [each["name"] for each in answer.get("unreadable", [])[:SHOWN]]
    if more := answer.get("unreadable_count", 0) - len(names):
        names.append(f"{more} more")
    what = [", ".join(names)] if names else []
    what += [f"the {_keys_of(people)}"] if people else []
    if not what:
        return ""
    return (
        f"no sealing key opens {' and '.join(what)}: give the gateway their former sealing key, or "
        "set or delete these secrets"
    )


def _keys_of(people: int) -> str:
    return "key of 1 person" if people == 1 else f"keys of {people:,} people"


def _used_by(secret: dict[str, Any]) -> str:
    sources = [f"{name} (source)" for name in secret.get("used_by_sources", [])]
    return ", ".join([*secret["used_by"], *sources])


def _details(secret: dict[str, Any]) -> list[str]:
    until = (secret["sealed"] or {}).get("former_until", [])
    users = _used_by(secret)
    used = f", used by {users}" if users else ""
    return [f"{secret['name']}: set{used}"] + [
        f"the former value is valid until {time}" for time in until
    ]


def _shared(secret: dict[str, Any]) -> list[str]:
    namespaces = " ".join(secret["namespaces"])
    who = f"the namespaces {namespaces}" if namespaces else "the operators' webhooks only"
    return [f"{secret['name']}: for {who}"]
