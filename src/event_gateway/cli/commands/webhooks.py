"""``event-gateway webhooks``: what is registered, and new keys to sign with."""

import base64
import secrets
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
from event_gateway.cli.commands.secrets import FileOption, OverlapOption, rotation, value
from event_gateway.core.webhook.signing_keys import PRIVATE, PUBLIC, SHARED, check_keys, public_key

app = typer.Typer(no_args_is_help=True, help="Webhooks: list, look, new signing keys.")

IdArgument = Annotated[str, typer.Argument(help="The webhook's id.")]


@app.command("list")
def list_webhooks(
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the webhooks."""
    shown(as_json, listed(url, key, "/v1/webhooks"), _many)


@app.command()
def show(webhook: IdArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Show a webhook's definition and how its lane stands, as JSON."""
    path = f"/v1/webhooks/{part(webhook)}"
    content = ask(url, key, "GET", path)
    shown(True, content | {"stats": ask(url, key, "GET", f"{path}/stats")}, list)


@app.command()
def rotate_secret(
    webhook: IdArgument,
    overlap: OverlapOption = None,
    asymmetric: Annotated[
        bool, typer.Option("--ed25519", help="Make a key pair: receivers need no secret (v1a).")
    ] = False,
    own: Annotated[
        bool, typer.Option("--own", help="Take a key of one's own: asked for, or from the "
                           "standard input.")
    ] = False,
    file: FileOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Make a new key to sign a webhook's requests with, and print what its receiver needs.

    It is made here and printed this once. Requests carry a signature of the former key too until
    the overlap is over (24h).
    """
    new = value(file, "New signing key") if own or file else _new(asymmetric)
    try:
        check_keys(new)
    except ValueError as error:
        fail(f"the new key: {error}", 2)
    path = f"/v1/webhooks/{part(webhook)}/rotate-secret"
    content = ask(url, key, "POST", path, rotation(new, overlap))
    if not (own or file):
        content |= {"public_key": _public(new)} if asymmetric else {"key": new}
    shown(as_json, content, _rotated)


def _new(asymmetric: bool) -> str:
    """A key of 32 random bytes, as Standard Webhooks writes it."""
    return (PRIVATE if asymmetric else SHARED) + base64.b64encode(secrets.token_bytes(32)).decode()


def _public(private: str) -> str:
    return PUBLIC + base64.b64encode(public_key(private) or b"").decode()


def _rotated(content: dict[str, Any]) -> list[str]:
    until = (content["sealed"] or {}).get("former_until", [])
    lines = [f"the former key signs until {one}" for one in until]
    if "key" in content:
        lines = [f"key for the receiver, shown this once: {content['key']}", *lines]
    if "public_key" in content:
        lines = [f"public key for the receiver: {content['public_key']}", *lines]
    return [f"{content['name']}: the new key signs", *lines]


def _many(webhooks: list[dict[str, Any]]) -> list[str]:
    rows = [[one["id"], one["state"], one["url"], " ".join(one["events"])] for one in webhooks]
    return table(["ID", "STATE", "URL", "EVENTS"], rows)
