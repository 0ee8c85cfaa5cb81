"""``event-gateway replay`` and ``replays``: delivers past events of the log again."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_replays, complete_types, complete_webhooks
from event_gateway.cli.client.confirmation import YesOption, confirm
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    SinceOption,
    UntilOption,
    UrlOption,
)
from event_gateway.cli.client.output import fail, fields, print_answer
from event_gateway.cli.client.replay_progress import (
    follow_replay,
    print_result,
    progress_line,
    start_replay,
)
from event_gateway.cli.client.requests import call, quoted
from event_gateway.cli.client.times import time_range
from event_gateway.core.webhook.replay import ReplayState

app = typer.Typer(no_args_is_help=True, help="Replays: list, show, pause, resume, cancel, follow.")

PATH = "/v1/replays"
COLUMNS: Columns = {
    "ID": "id",
    "CREATED": "created_at",
    "STATE": "state",
    "PROGRESS": lambda replay: f"{replay['progress']:.0%}",
    "QUEUED": "queued",
    "WEBHOOK": "webhook",
    "OF": lambda replay: _source(replay) + (" (dry run)" if replay["dry_run"] else ""),
}
MANY = 100  # deliveries, before which the command asks
IdArgument = Annotated[
    str, typer.Argument(help="The replay's id.", autocompletion=complete_replays)
]
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait until the replay has ended.")
]
TypesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        help="Only events whose type fits this pattern (repeatable).",
        autocompletion=complete_types,
    ),
]


def replay(
    webhook: Annotated[
        str, typer.Option(help="The webhook to deliver to.", autocompletion=complete_webhooks)
    ],
    since: SinceOption = None,
    until: UntilOption = None,
    types: TypesOption = None,
    from_seq: Annotated[
        int | None, typer.Option(help="Start at this sequence of the stream.")
    ] = None,
    until_seq: Annotated[int | None, typer.Option(help="End at this sequence, inclusive.")] = None,
    stream: Annotated[str | None, typer.Option(help="A stream of ingest.streams.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: YesOption = False,
    no_wait: NoWaitOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver past events again: those that match the webhook as it is now.

    Before more than 100 are delivered it counts them, and asks.
    """
    if since is None and from_seq is None:
        fail("give --since or --from-seq: where the replay begins", 2)
    given = {
        "webhook": webhook,
        **time_range(since, until),
        "types": types or None,
        "from_seq": from_seq,
        "until_seq": until_seq,
        "stream": stream,
        "dry_run": dry_run,
    }
    body = {name: value for name, value in given.items() if value is not None}
    if not (dry_run or yes):
        counted = start_replay(url, key, PATH, body | {"dry_run": True}, wait=True, quiet=as_json)
        count = counted["matched"] - counted["skipped"]
        if counted["state"] == ReplayState.DONE and count > MANY:
            confirm(f"Deliver {count} events to {webhook} again?")
    print_result(as_json, start_replay(url, key, PATH, body, wait=not no_wait, quiet=as_json))


@app.command("list")
def list_replays(
    limit: LimitOption = 100, url: UrlOption = None, key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """List all replays, also those of dead letters, the newest first."""
    print_list(url, key, PATH, COLUMNS, as_json=as_json, limit=limit)


@app.command()
def show(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a replay and its progress."""
    print_answer(as_json, call(url, key, "GET", f"/v1/replays/{quoted(replay_id)}"), _details)


@app.command()
def pause(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Pause a replay: it queues no more deliveries. Those that it has queued are attempted."""
    _move(url, key, replay_id, "pause", as_json)


@app.command()
def resume(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Resume a paused replay where it stopped."""
    _move(url, key, replay_id, "resume", as_json)


@app.command()
def cancel(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Cancel a replay. Deliveries that it has queued are attempted all the same."""
    _move(url, key, replay_id, "cancel", as_json)


@app.command()
def follow(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a replay's progress until it has ended. Ctrl-C ends only the display."""
    print_result(as_json, follow_replay(url, key, replay_id, quiet=as_json))


def _move(url: str | None, key: str | None, replay_id: str, action: str, as_json: bool) -> None:
    content = call(url, key, "POST", f"/v1/replays/{quoted(replay_id)}/{action}")
    print_answer(as_json, content, lambda replay: [progress_line(replay)])


def _source(replay: dict[str, Any]) -> str:
    return replay["stream"] or "dead letters"


def _details(replay: dict[str, Any]) -> list[str]:
    return [progress_line(replay), *fields({
        "of": _source(replay),
        "webhook": replay["webhook"],
        "types": " ".join(replay["types"]) or None,
        "reason": replay["reason"],
        "since": replay["since"],
        "until": replay["until"],
        "created": replay["created_at"],
        "ended": replay["ended_at"],
        "error": replay["error"],
    })]  # fmt: skip
