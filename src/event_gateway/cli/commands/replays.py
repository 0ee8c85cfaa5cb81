"""``event-gateway replay`` and ``replays``: past events of the log delivered again."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.gateway_client import (
    JsonOption,
    KeyOption,
    LimitOption,
    UrlOption,
    ask,
    fail,
    listed,
    part,
    shown,
    table,
)
from event_gateway.cli.client.replay_progress import carry_out, follow, line, told
from event_gateway.cli.client.times import SinceOption, UntilOption, moment

app = typer.Typer(no_args_is_help=True, help="Replays: list, look, pause, end, follow.")

IdArgument = Annotated[str, typer.Argument(help="The replay's id.")]
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait until the replay has ended.")
]
TypesOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only events whose type fits this pattern; may be repeated."),
]


def replay(
    webhook: Annotated[str, typer.Option(help="The webhook they are delivered to.")],
    since: SinceOption = None,
    until: UntilOption = None,
    types: TypesOption = None,
    from_seq: Annotated[int | None, typer.Option(help="From this place in the stream on.")] = None,
    until_seq: Annotated[int | None, typer.Option(help="To this place, it included.")] = None,
    stream: Annotated[
        str | None, typer.Option(help="A stream of one's own that events come in by.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    no_wait: NoWaitOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver past events to a webhook again: those that match it as it is now."""
    if since is None and from_seq is None:
        fail("--since: must be there, or --from-seq: where it begins", 2)
    wanted = {
        "webhook": webhook,
        "since": moment("--since", since),
        "until": moment("--until", until),
        "types": types or None,
        "from_seq": from_seq,
        "until_seq": until_seq,
        "stream": stream,
        "dry_run": dry_run,
    }
    body = {name: one for name, one in wanted.items() if one is not None}
    told(as_json, carry_out(url, key, "/v1/replays", body, wait=not no_wait, quiet=as_json))


@app.command("list")
def list_replays(
    limit: LimitOption = 100, url: UrlOption = None, key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """List the replays, those of dead letters too, the newest first."""
    shown(as_json, listed(url, key, "/v1/replays", limit), _many)


@app.command()
def show(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show what a replay is of, and how far it is."""
    shown(as_json, ask(url, key, "GET", f"/v1/replays/{part(replay_id)}"), _one)


@app.command()
def pause(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Queue nothing more until it is resumed; what is queued is delivered."""
    _move(url, key, replay_id, "pause", as_json)


@app.command()
def resume(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Go on where it was paused."""
    _move(url, key, replay_id, "resume", as_json)


@app.command()
def cancel(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """End it; what is queued is delivered."""
    _move(url, key, replay_id, "cancel", as_json)


@app.command("follow")
def follow_replay(
    replay_id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show how far it is until it has ended. Ctrl-C ends only the looking."""
    told(as_json, follow(url, key, replay_id, quiet=as_json))


def _move(url: str | None, key: str | None, replay_id: str, what: str, as_json: bool) -> None:
    content = ask(url, key, "POST", f"/v1/replays/{part(replay_id)}/{what}")
    shown(as_json, content, lambda one: [line(one)])


def _one(one: dict[str, Any]) -> list[str]:
    said = {
        "of": one["stream"] or "dead letters",
        "webhook": one["webhook"],
        "types": " ".join(one["types"]) or None,
        "reason": one["reason"],
        "since": one["since"],
        "until": one["until"],
        "created": one["created_at"],
        "ended": one["ended_at"],
        "error": one["error"],
    }
    fields = [f"{name + ':':<8} {text}" for name, text in said.items() if text is not None]
    return [line(one), *fields]


def _many(replays: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            one["id"],
            one["created_at"],
            one["state"],
            f"{one['progress']:.0%}",
            str(one["queued"]),
            one["webhook"] or "-",
            (one["stream"] or "dead letters") + (" (dry run)" if one["dry_run"] else ""),
        ]
        for one in replays
    ]
    return table(["ID", "CREATED", "STATE", "PROGRESS", "QUEUED", "WEBHOOK", "OF"], rows)
