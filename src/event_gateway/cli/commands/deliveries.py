"""``event-gateway deliveries``: what became of a webhook's events; again, or not any more."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.gateway_client import (
    JsonOption,
    KeyOption,
    LimitOption,
    UrlOption,
    ask,
    listed,
    part,
    shown,
    table,
)
from event_gateway.cli.client.times import SinceOption, UntilOption, moment
from event_gateway.core.webhook.delivery import Status

app = typer.Typer(no_args_is_help=True, help="Deliveries: list, look, retry, cancel.")

WebhookArgument = Annotated[str, typer.Argument(help="The webhook's id.")]
EventArgument = Annotated[str, typer.Argument(help="The event's id.")]
StatusOption = Annotated[Status | None, typer.Option(help="Only those of this status.")]
SourceOption = Annotated[
    str | None, typer.Option(help="The event's source, where several have events of this id.")
]


@app.command("list")
def list_deliveries(
    webhook: WebhookArgument,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the deliveries of a webhook, those that have changed last first."""
    found = listed(
        url, key, f"/v1/webhooks/{part(webhook)}/deliveries", limit,
        status=status and status.value, since=moment("--since", since),
        until=moment("--until", until),
    )  # fmt: skip
    shown(as_json, found, _many)


@app.command()
def show(
    webhook: WebhookArgument, event: EventArgument, source: SourceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Show what became of an event on its way to a webhook: its status and every attempt."""
    shown(as_json, ask(url, key, "GET", _path(webhook, event), source=source), _one)


@app.command()
def retry(
    webhook: WebhookArgument, event: EventArgument, source: SourceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Try one that waits at once; deliver one that has ended again."""
    path = f"{_path(webhook, event)}/retry"
    shown(as_json, ask(url, key, "POST", path, source=source), _changed)


@app.command()
def cancel(
    webhook: WebhookArgument, event: EventArgument, source: SourceOption = None,
    url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """End one that waits. It is kept as cancelled, not as a dead letter."""
    path = f"{_path(webhook, event)}/cancel"
    shown(as_json, ask(url, key, "POST", path, source=source), _changed)


def _path(webhook: str, event: str) -> str:
    return f"/v1/deliveries/{part(webhook)}/{part(event)}"


def _changed(one: dict[str, Any]) -> list[str]:
    run = f", run {one['run']}" if one["run"] > 1 else ""
    return [f"{one['event_id']} to {one['webhook_id']}: {one['status']}{run}"]


def _one(one: dict[str, Any]) -> list[str]:
    said = {
        "status": one["status"],
        "source": one["source"],
        "run": f"{one['run']} ({one['repeats']})" if one["repeats"] else str(one["run"]),
        "updated": one["updated_at"],
        "next attempt": one["next_attempt_at"],
        "last error": one["last_error"],
        "dead letter": one["dead_letter"],
    }
    lines = [f"{name + ':':<13} {text}" for name, text in said.items() if text is not None]
    rows = [
        [
            str(attempt["number"]),
            attempt["time"],
            f"{attempt['duration_ms']} ms",
            str(attempt.get("status_code", "-")),
            ": ".join(filter(None, map(attempt.get, ("error_type", "error_message")))) or "-",
        ]
        for attempt in one["attempts"]
    ]
    if not rows:
        return lines
    return [*lines, "", *table(["ATTEMPT", "TIME", "TOOK", "CODE", "ERROR"], rows)]


def _many(deliveries: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            one["updated_at"],
            one["status"],
            str(one["attempts"]),
            one["event_id"],
            one["source"],
            one["last_error"] or "-",
        ]
        for one in deliveries
    ]
    return table(["UPDATED", "STATUS", "ATTEMPTS", "EVENT", "SOURCE", "LAST ERROR"], rows)
