"""``event-gateway audit-log``: lists, follows, exports and checks the audit log."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.exports import check_export, interruptible, write_export
from event_gateway.cli.client.lines import Interrupted, read_lines
from event_gateway.cli.client.listing import Columns, print_list, rows_of
from event_gateway.cli.client.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    SinceOption,
    UntilOption,
    UrlOption,
)
from event_gateway.cli.client.output import fail, print_answer, printable
from event_gateway.cli.client.times import time_range
from event_gateway.core.audit.chain import ChainCheck

app = typer.Typer(
    no_args_is_help=True, help="The audit log, who changed what: list, tail, export, verify."
)

PATH = "/v1/audit-log"
COLUMNS: Columns = {
    "TIME": lambda call: call.get("began") or call["time"],
    "WHO": lambda call: (call.get("principal") or {}).get("name") or "-",
    "CLIENT": lambda call: call.get("client") or "-",
    "OPERATION": lambda call: call.get("operation") or "-",
    "RESOURCE": lambda call: call.get("resource") or "-",
    "OUTCOME": lambda call: _outcome(call),
    "REQUEST": lambda call: call.get("request_id") or "-",
}
RECONNECT_DELAY = 1.0  # seconds

PrincipalOption = Annotated[str | None, typer.Option(help="The name or the id of who did it.")]
OperationOption = Annotated[
    str | None,
    typer.Option(
        help="The operation, such as webhooks.delete, or webhooks for all operations on webhooks."
    ),
]
ResourceOption = Annotated[
    str | None, typer.Option(help="The resource, such as webhook/crm, or webhook for all webhooks.")
]
OutcomeOption = Annotated[
    str | None, typer.Option(help="succeeded, refused, failed, unknown, or a status such as 409.")
]
EndOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="End after this number of calls.")
]


@app.command("list")
def list_calls(
    since: SinceOption = None,
    until: UntilOption = None,
    principal: PrincipalOption = None,
    operation: OperationOption = None,
    resource: ResourceOption = None,
    outcome: OutcomeOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the calls that changed something, or were refused, the newest first."""
    print_list(
        url, key, PATH, COLUMNS, as_json=as_json, limit=limit, **time_range(since, until),
        principal=principal, operation=operation, resource=resource, outcome=outcome,
    )  # fmt: skip


@app.command()
def tail(
    limit: EndOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print calls as they end, and go on when the connection is lost.

    With --json each stored record is a line: one when a change begins, and one when it has ended.
    """
    printed = 0
    with interruptible():
        for stored in _followed(url, key):
            record = json.loads(stored)
            if as_json:
                typer.echo(stored)
            elif record["phase"] != "begun":
                typer.echo(printable("  ".join(*rows_of(COLUMNS, [record]))))
            else:
                continue
            printed += 1
            if printed == limit:
                return


@app.command()
def export(
    since: SinceOption = None,
    until: UntilOption = None,
    principal: PrincipalOption = None,
    operation: OperationOption = None,
    resource: ResourceOption = None,
    outcome: OutcomeOption = None,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; by default standard output.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Write the stored records as lines of JSON, the oldest first.

    A file is complete: it gets its name only after the last record was written.
    """
    records = read_lines(
        url, key, f"{PATH}/export", {}, **time_range(since, until), principal=principal,
        operation=operation, resource=resource, outcome=outcome,
    )  # fmt: skip
    write_export(records, output)


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="An export of all operations; by default a new one.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that no record was changed, and none was removed from the middle."""
    check = ChainCheck()
    check_export(
        file or read_lines(url, key, f"{PATH}/export", {}), check.add, what="checked",
        counted=lambda: check.records, quiet=as_json,
    )  # fmt: skip
    print_answer(as_json, {"records": check.records, "problems": check.problems}, _checked)
    if check.problems:
        raise typer.Exit(1)


def _followed(url: str | None, key: str | None) -> Iterator[bytes]:
    """The stored records from now on, also those that come while the connection is lost."""
    last: str | None = None
    while True:
        headers = {} if last is None else {"Last-Event-ID": last}
        try:
            for line in read_lines(url, key, f"{PATH}/sse", headers):
                name, _, value = line.partition(b": ")
                if name == b"id":
                    if last is None:
                        typer.echo("following; end with Ctrl-C", err=True)
                    last = value.decode()
                elif name == b"data":
                    yield value
        except Interrupted as error:
            if last is None:
                fail(str(error))
        typer.echo("connection lost; connecting again", err=True)
        time.sleep(RECONNECT_DELAY)


def _outcome(call: dict[str, Any]) -> str:
    outcome, status = call.get("outcome") or "unknown", call.get("status")
    return outcome if status is None else f"{outcome} {status}"


def _checked(result: dict[str, Any]) -> list[str]:
    problems = result["problems"]
    found = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    return [*problems, f"{result['records']} records, {found if problems else 'no problem'}"]
