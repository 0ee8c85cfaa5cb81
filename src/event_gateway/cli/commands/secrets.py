"""``event-gateway secrets``: the sealed store. A value comes in, and never out again."""

import sys
from pathlib import Path
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

app = typer.Typer(no_args_is_help=True, help="Secrets by name: set and used, never shown.")

NameArgument = Annotated[str, typer.Argument(help="The secret's name, as webhooks name it.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="Take the value from this file; else it is asked for, or read "
                 "from the standard input."),
]  # fmt: skip
OverlapOption = Annotated[
    str | None, typer.Option(help="Sign with the former key too for so long (24h).")
]


@app.command("set")
def set_secret(
    name: NameArgument, file: FileOption = None, url: UrlOption = None, key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Set a secret. It is in force in every process when this ends."""
    body = {"value": value(file, f"Value of {name}")}
    shown(as_json, ask(url, key, "PUT", f"/v1/secrets/{part(name)}", body), _one)


@app.command()
def rotate(
    name: NameArgument, file: FileOption = None, overlap: OverlapOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Put another value in the place of a secret's; signatures carry both for a while."""
    body = rotation(value(file, f"New value of {name}"), overlap)
    shown(as_json, ask(url, key, "POST", f"/v1/secrets/{part(name)}/rotate", body), _one)


@app.command("list")
def list_secrets(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the secrets: where each comes from and which webhooks use it."""
    shown(as_json, listed(url, key, "/v1/secrets"), _many)


@app.command()
def delete(name: NameArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Delete a secret that no webhook names."""
    ask(url, key, "DELETE", f"/v1/secrets/{part(name)}")
    typer.echo(f"{name}: deleted")


@app.command()
def reseal(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Seal everything with the first of the sealing keys, so that the others can be given up."""
    content = ask(url, key, "POST", "/v1/secrets/reseal")
    shown(as_json, content, lambda got: [f"{got['resealed']} sealed anew"])


def value(file: Path | None, prompt: str) -> str:
    """A secret's value, from where nobody else on the machine sees it; one line end is dropped."""
    if file is not None:
        try:
            text = file.read_text()
        except (OSError, ValueError) as error:
            fail(f"{file}: {getattr(error, 'strerror', None) or 'no text'}", 2)
    elif sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True))
    else:
        text = sys.stdin.read()
    return text.removesuffix("\n").removesuffix("\r")


def rotation(new: str, overlap: str | None) -> dict[str, str]:
    """The body of a request that replaces a secret."""
    return {"value": new} | ({} if overlap is None else {"overlap": overlap})


def _one(secret: dict[str, Any]) -> list[str]:
    until = (secret["sealed"] or {}).get("former_until", [])
    used = f", used by {', '.join(secret['used_by'])}" if secret["used_by"] else ""
    return [f"{secret['name']}: set{used}"] + [
        f"the former value holds until {one}" for one in until
    ]


def _many(secrets: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            secret["name"],
            secret["from"] or "missing",
            (secret["sealed"] or {}).get("updated_at", "-"),
            ", ".join(secret["used_by"]) or "-",
        ]
        for secret in secrets
    ]
    return table(["NAME", "FROM", "SEALED", "USED BY"], rows)
