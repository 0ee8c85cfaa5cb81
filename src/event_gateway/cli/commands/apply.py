"""``event-gateway apply``: registers what a file declares with a running gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail, print_coloured, print_json, printable
from event_gateway.cli.client.plan_lines import print_plan, summary_of
from event_gateway.cli.client.requests import run_with_client

if TYPE_CHECKING:
    from event_gateway.cli.client.applying import Applied
    from event_gateway.cli.client.declared_file import Declared

FileOption = Annotated[
    Path, typer.Option("--config", "-c", help="The file with webhooks, streams and sources (YAML).")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only print what would change and be lost.")
]
PruneOption = Annotated[
    bool,
    typer.Option(
        "--prune", help="Delete what an earlier apply registered and the file no longer has."
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Make the change even if it drops deliveries or messages of streams."
    ),
]
SetOption = Annotated[
    str | None,
    typer.Option(
        "--set", help="The name of the file's definitions, apart from those of other files."
    ),
]


def apply(
    config: FileOption,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    force: ForceOption = False,
    set_name: SetOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the webhooks, streams and sources of a file with a running gateway."""
    from event_gateway.cli.client.applying import Applying
    from event_gateway.cli.client.declared_file import read_declared
    from event_gateway.config.problems import ConfigError

    try:
        declared = read_declared(config, set_name)
    except ConfigError as error:
        for problem in error.problems[:-1]:
            typer.echo(str(problem), err=True)
        fail(str(error.problems[-1]), 2)
    except ValueError as error:
        fail(str(error), 2)
    applying = Applying(declared, prune=prune, force=force)

    def on_done(done: "Applied") -> None:
        if not as_json:
            print_coloured(done.text, None if done.ok else typer.colors.RED, err=not done.ok)

    async def work(client: Any) -> Any:
        plan = await applying.plan(client)
        if not as_json:
            _print(declared, plan)
        refused = bool(applying.losses) and not force
        done = [] if dry_run or refused else await applying.carry_out(client, on_done)
        return plan, done, refused

    plan, done, refused = run_with_client(url, key, work)
    failed = [change for change in done if not change.ok]
    if as_json:
        ok = not failed and (dry_run or not refused)
        results = [
            {"kind": change.kind, "name": change.name, "ok": change.ok, "detail": change.detail}
            for change in done
        ]
        print_json({"ok": ok, "plan": plan, "results": results})
        raise typer.Exit(0 if ok else 1)
    if refused and not dry_run:
        fail("nothing was changed: something would be lost; --force does it all the same")
    if failed:
        fail(f"{len(failed)} of {len(done)} changes failed")


def _print(declared: "Declared", plan: dict[str, Any]) -> None:
    for note in declared.notes:
        typer.echo(printable(f"note: {note}"), err=True)
    print_plan(plan)
    typer.echo(summary_of(plan))
