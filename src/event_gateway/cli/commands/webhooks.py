"""``event-gateway webhooks``: lists and shows webhooks, and makes new signing keys.

The commands that change and try webhooks have modules of their own.
"""

import base64
import secrets as randomness
from typing import Annotated, Any

import typer

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import Line, fail, print_answer, table
from event_gateway.cli.client.requests import call, list_items, quoted
from event_gateway.cli.commands import webhook_changes, webhook_trials
from event_gateway.cli.commands.secrets import FileOption, OverlapOption, read_value, rotation
from event_gateway.cli.commands.webhook_changes import IdArgument

app = typer.Typer(
    no_args_is_help=True,
    help="Webhooks: list, show, create, update, delete, enable, disable, test, verify, "
         "rotate-secret.",
)  # fmt: skip


@app.command("list")
def list_webhooks(
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the webhooks."""
    print_answer(as_json, list_items(url, key, "/v1/webhooks"), _rows)


@app.command()
def show(webhook: IdArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Show a webhook's definition and statistics, as JSON."""
    path = f"/v1/webhooks/{quoted(webhook)}"
    webhook_json = call(url, key, "GET", path)
    print_answer(True, webhook_json | {"stats": call(url, key, "GET", f"{path}/stats")}, list)


for change in (webhook_changes.create, webhook_changes.update, webhook_changes.delete,
               webhook_changes.enable, webhook_changes.disable, webhook_trials.verify):  # fmt: skip
    app.command()(change)
app.command("test")(webhook_trials.try_webhook)


@app.command()
def rotate_secret(
    webhook: IdArgument,
    overlap: OverlapOption = None,
    asymmetric: Annotated[
        bool, typer.Option("--ed25519", help="Make a key pair: the receiver needs no secret (v1a).")
    ] = False,
    own: Annotated[
        bool, typer.Option("--own", help="Use your own key: from a prompt, or the standard "
                           "input.")
    ] = False,
    file: FileOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Make a new signing key for a webhook, and print what its receiver needs.

    The key is printed this once. During the overlap (24h) requests carry a signature of the former
    key too.
    """
    from event_gateway.core.webhook.signing_keys import check_keys

    new = read_value(file, "New signing key") if own or file else _new(asymmetric)
    try:
        check_keys(new)
    except ValueError as error:
        fail(f"the new key: {error}", 2)
    path = f"/v1/webhooks/{quoted(webhook)}/rotate-secret"
    content = call(url, key, "POST", path, rotation(new, overlap))
    if not (own or file):
        content |= {"public_key": _public(new)} if asymmetric else {"key": new}
    print_answer(as_json, content, _rotated)


def _new(asymmetric: bool) -> str:
    """A key of 32 random bytes, as Standard Webhooks writes it."""
    from event_gateway.core.webhook.signing_keys import PRIVATE, SHARED

    random = base64.b64encode(randomness.token_bytes(32)).decode()
    return (PRIVATE if asymmetric else SHARED) + random


def _public(private: str) -> str:
    from event_gateway.core.webhook.signing_keys import PUBLIC, public_key

    return PUBLIC + base64.b64encode(public_key(private) or b"").decode()


def _rotated(content: dict[str, Any]) -> list[str]:
    until = (content["sealed"] or {}).get("former_until", [])
    lines = [f"the former key signs until {time}" for time in until]
    if "key" in content:
        lines = [f"key for the receiver, shown this once: {content['key']}", *lines]
    if "public_key" in content:
        lines = [f"public key for the receiver: {content['public_key']}", *lines]
    return [f"{content['name']}: the new key signs", *lines]


def _rows(webhooks: list[dict[str, Any]]) -> list[Line]:
    rows = [
        [webhook["id"], webhook["state"], webhook["url"], " ".join(webhook["events"])]
        for webhook in webhooks
    ]
    return table(["ID", "STATE", "URL", "EVENTS"], rows)
