"""``event-gateway reload``: has a running gateway load its configuration file again."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.gateway_client import GatewayClient
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import fail, print_json
from event_gateway.cli.client.plan_lines import print_plan, summary_of
from event_gateway.cli.client.requests import run_with_client

ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Make the change even if it drops deliveries or messages of streams."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only print what would change and be lost.")
]


def reload(
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a running gateway load its configuration file again, as SIGHUP does."""
    body = {"force": force, "dry_run": dry_run}

    async def work(client: GatewayClient) -> tuple[int, Any]:
        return await client.request("POST", "/v1/reload", body)

    status, answer = run_with_client(url, key, work)
    if status >= 400:
        _refused(answer, as_json=as_json)
    if as_json:
        print_json(answer)
        return
    print_plan(answer["plan"])
    typer.echo(f"{'would reload' if dry_run else 'reloaded'}: {summary_of(answer['plan'])}")


def _refused(answer: Any, *, as_json: bool) -> None:
    """Prints why the gateway has not reloaded the file, a line for each mistake."""
    problem = answer if isinstance(answer, dict) else {}
    if as_json:
        print_json(answer)
        raise typer.Exit(1)
    if "plan" in problem:
        print_plan(problem["plan"])
        fail("not reloaded: something would be lost; --force does it all the same")
    for error in problem.get("errors", ())[:-1]:
        typer.echo(_line(error), err=True)
    last = problem.get("errors", ())[-1:]
    fail(_line(last[0]) if last else problem.get("detail") or "the gateway has not reloaded")


def _line(error: dict[str, Any]) -> str:
    place = f"{error['file']}:{error['line']}" if error.get("line") else error.get("file", "")
    return ": ".join(filter(None, (place, error.get("key"), error.get("detail"))))
