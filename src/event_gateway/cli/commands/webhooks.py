"""``event-gateway webhooks``: lists and shows webhooks, and makes new signing keys.

The commands that change and try webhooks have modules of their own.
"""

import base64
import json
import secrets as randomness
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.confirmation import YesOption, confirm
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail, fields, print_answer
from event_gateway.cli.client.requests import (
    call,
    quoted,
    request_json,
    run_with_client,
)
from event_gateway.cli.commands import webhook_changes, webhook_trials
from event_gateway.cli.commands.secrets import FileOption, OverlapOption, read_value, rotation
from event_gateway.cli.commands.webhook_changes import IdArgument

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

app = typer.Typer(
    no_args_is_help=True,
    help="Webhooks: list, show, create, update, delete, enable, disable, test, verify, "
         "rotate-secret.",
)  # fmt: skip

_COLUMNS: Columns = {
    "ID": "id",
    "STATE": "state",
    "URL": "url",
    "EVENTS": lambda webhook: " ".join(webhook["events"]),
}


@app.command("list")
def list_webhooks(
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the webhooks."""
    print_list(url, key, "/v1/webhooks", _COLUMNS, as_json=as_json)


@app.command()
def show(
    webhook: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a webhook: what it selects, where it sends it, and how that goes. --json has all."""
    path = f"/v1/webhooks/{quoted(webhook)}"

    async def work(client: "GatewayClient") -> Any:
        shown = await request_json(client, "GET", path)
        return shown | {"stats": await request_json(client, "GET", f"{path}/stats")}

    print_answer(as_json, run_with_client(url, key, work), _details)


SELECTION = ("namespaces", "sources", "filters", "cloudevents_filters")

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
    yes: YesOption = False,
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
    confirm(f"Sign for the webhook {webhook} with a new key, and with the present one for "
            f"{overlap or '24h'} more?", yes)  # fmt: skip
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


def _details(webhook: dict[str, Any]) -> list[str]:
    stats, policy = webhook["stats"], webhook["retry_policy"]
    day, breaker = stats["last_24h"], stats["breaker"]
    selects = {name: webhook[name] for name in SELECTION if webhook[name]}
    rate = "no attempts" if day["success_rate"] is None else f"{day['success_rate']:.1%}"
    disabled, probe = webhook["disabled"] or {}, breaker["next_probe_at"]
    waiting = f"{stats['queue_depth']}, {stats['in_flight']} of them in attempts"
    if oldest := stats["oldest_waiting_seconds"]:
        waiting += f", the oldest since {oldest:.0f} s"
    return fields({
        "id": webhook["id"],
        "state": webhook["state"],
        "disabled": disabled.get("reason"),
        "description": webhook["description"] or None,
        "endpoint": f"{webhook['method']} {webhook['url']}",
        "events": " ".join(webhook["events"]),
        "selects": json.dumps(selects) if selects else None,
        "expression": webhook["expression"],
        "format": f"{webhook['transformation']}, {webhook['mode']}",
        "security": " ".join(method["auth_type"] for method in webhook["security"]) or None,
        "retries": "by schedule" if policy["schedule"] else
        f"{policy['max_attempts']} attempts, {policy['backoff']} from {policy['initial_delay']}",
        "from": webhook["managed_by"],
        "breaker": breaker["state"] + (f", next probe {probe}" if probe else ""),
        "waiting": waiting,
        "last success": stats["last_success_at"],
        "last failure": stats["last_failure_at"],
        "24 hours": f"{day['succeeded']} delivered, {day['dead_lettered']} dead letters, "
                    f"{rate} of the attempts succeeded",
    })  # fmt: skip
