"""``event-gateway streams verify`` and beside it: what proves a compliance stream, and holds."""

import base64
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from event_gateway.cli.client.completion import complete_streams
from event_gateway.cli.client.confirmation import YesOption, confirm
from event_gateway.cli.client.exports import check_export, write_export
from event_gateway.cli.client.lines import read_export, read_lines
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, LimitOption, UrlOption
from event_gateway.cli.client.output import Line, fail, fields, print_answer
from event_gateway.cli.client.requests import call, quoted

if TYPE_CHECKING:
    from event_gateway.core.compliance.anchor import Anchor

NameArgument = Annotated[
    str, typer.Argument(help="The stream's name.", autocompletion=complete_streams)
]
MAX_ANCHORS = 64 * 1024 * 1024  # bytes of a file of anchors
COLUMNS: Columns = {
    "SEQUENCE": lambda anchor: str(anchor["sequence"]),
    "TIME": "time",
    "LINK": "link",
    "KEY": "public_key",
}


def verify(
    stream: NameArgument,
    file: Annotated[
        Path | None, typer.Option(help="An export of the stream; by default a new one.")
    ] = None,
    anchors: Annotated[
        Path | None,
        typer.Option(help="Anchors that were kept elsewhere: lines of JSON, as stream.anchored "
                          "events or as `streams anchors --json` has them."),
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option("--public-key", help="A key (whpk_…) whose anchors are trusted; repeatable. "
                                          "By default that of the gateway, with --file any."),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Check that no message of a compliance stream was changed, removed, inserted or moved, and
    that its chain was not rewritten. Ends with 1 if something is wrong."""
    # It loads what checks signatures, which the help of all commands does not need.
    from event_gateway.core.compliance.verification import ChainVerification

    keys, total, chain = list(public_key or ()), None, None
    if file is None:
        chain = call(url, key, "GET", f"/v1/streams/{quoted(stream)}/chain")
        total = chain["last_seq"]
        if not keys and chain["public_key"] is not None:
            keys.append(chain["public_key"])
    outside = [] if anchors is None else list(_anchors_in(anchors))
    check = ChainVerification(now=time.time(), keys=keys, outside=outside)
    check_export(
        file or read_export(url, key, f"/v1/streams/{quoted(stream)}/export"),
        check.add if file else check.add_piece,
        what="verified", counted=lambda: check.messages, total=total, quiet=as_json,
    )  # fmt: skip
    report = check.finish()
    if report["stream"] not in (stream, None):
        fail(f"it is an export of the stream {report['stream']}", 2)
    if chain is not None:
        report["append_only"] = chain["append_only"]
    print_answer(as_json, report, _verified)
    if report["problem_count"]:
        raise typer.Exit(1)


def export(
    stream: NameArgument,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; by default standard output.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Write the messages of a compliance stream with their chain, as lines of JSON.

    A file is complete: it gets its name only after the last line was written.
    """
    lines = read_lines(url, key, f"/v1/streams/{quoted(stream)}/export", {})
    write_export(lines, output, end=b'{"type":"end"')


def anchors(
    stream: NameArgument,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the signed anchors of a stream's chain, the oldest first."""
    path = f"/v1/streams/{quoted(stream)}/anchors"
    print_list(url, key, path, COLUMNS, as_json=as_json, limit=limit)


def chain(
    stream: NameArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show how far the chain of a stream is, and whether the stream can only grow."""
    print_answer(as_json, call(url, key, "GET", f"/v1/streams/{quoted(stream)}/chain"), _chain)


def hold(
    stream: NameArgument,
    reason: Annotated[str, typer.Option(help="The reason, such as the number of the case.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Place a legal hold: no event leaves the stream until it is released."""
    path = f"/v1/streams/{quoted(stream)}/holds"
    placed = call(url, key, "POST", path, {"reason": reason})
    print_answer(as_json, placed, lambda answer: [f"{answer['id']} is placed on {stream}"])


def holds(
    stream: NameArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the legal holds on a stream."""
    answer = call(url, key, "GET", f"/v1/streams/{quoted(stream)}/holds")
    print_answer(as_json, answer["items"], _holds)


def release(
    stream: NameArgument,
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")],
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Release a legal hold. After the last one, events beyond the limits leave the stream."""
    confirm(f"Release {hold_id}? Events older than the retention leave {stream} at once.", yes)
    call(url, key, "DELETE", f"/v1/streams/{quoted(stream)}/holds/{quoted(hold_id)}")
    typer.echo(f"{hold_id} is released")


def redact(
    stream: NameArgument,
    subject: Annotated[str, typer.Argument(help="The person, as the events name them.")],
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase the key of a person: the data of events about them cannot be read any more."""
    confirm(f"Erase the data about {subject} in {stream}? It cannot be undone.", yes)
    path = f"/v1/streams/{quoted(stream)}/redactions"
    answer = call(url, key, "POST", path, {"subject": subject})
    print_answer(
        as_json, answer, lambda it: ["redacted" if it["erased"] else "there is nothing to redact"]
    )


def _anchors_in(file: Path) -> Iterator["Anchor"]:
    """The anchors in a file: a JSON array, or lines with an anchor or a stream.anchored event."""
    from event_gateway.core.compliance.anchor import Anchor

    try:
        if file.stat().st_size > MAX_ANCHORS:
            fail(f"{file}: it is larger than 64 MiB", 2)
        text = file.read_bytes().strip()
        items = msgspec.json.decode(text) if text.startswith(b"[") else [
            msgspec.json.decode(line) for line in text.splitlines() if line.strip()
        ]  # fmt: skip
        for item in items:
            members = item.get("data", item) if isinstance(item, dict) else {}
            yield Anchor(
                members["statement"], base64.b64decode(members["signature"], validate=True),
                members["public_key"],
            )  # fmt: skip
    except OSError as error:
        fail(f"{file}: {error.strerror or error}", 2)
    except (msgspec.DecodeError, ValueError, KeyError, TypeError):
        fail(f"{file}: it does not hold anchors as lines of JSON", 2)


def _verified(report: dict[str, Any]) -> Sequence[Line]:
    lines: list[Line] = []
    for problem in report["problems"]:
        first, last = problem["first"], problem["last"]
        where = f"{first}" if first == last else f"{first} to {last}"
        lines.append(f"{problem['kind']}: {where if first else 'export'}: {problem['detail']}")
    more = report["problem_count"] - len(report["problems"])
    if more:
        lines.append(f"and {more} further problems")
    lines += _notes(report)
    count = report["problem_count"]
    verdict = "no problem" if not count else f"{count} problem{'s' if count != 1 else ''}"
    lines.append(f"{report['messages']} messages, {report['records']} records, "
                 f"{report['anchors']} anchors: {verdict}")  # fmt: skip
    return lines


def _notes(report: dict[str, Any]) -> Iterable[str]:
    """What is no fault, and yet bounds what was shown."""
    if report["first"] is not None and report["first"] > 1:
        yield f"the first message that is left is {report['first']}"
    if report["chained_to"] > report["anchored_to"]:
        yield (f"no anchor covers the messages from {report['anchored_to'] + 1} to "
               f"{report['chained_to']} yet")  # fmt: skip
    if report["not_chained_yet"]:
        yield f"{report['not_chained_yet']} messages have no record yet"
    for changing in report.get("append_only", {}).get("allowed", ()):
        yield f"not append-only: the gateway's user may publish on {changing}"
    for setting in report.get("append_only", {}).get("settings", ()):
        yield f"not append-only: {setting}"


def _chain(answer: dict[str, Any]) -> Sequence[Line]:
    anchor, append_only = answer["anchor"], answer["append_only"]
    return fields({
        "last message": answer["last_seq"],
        "chained to": f"{answer['chained_to']}, {answer['lag']} wait",
        "link": answer["link"],
        "problem": answer["problem"],
        "last anchor": None if anchor is None else f"{anchor['sequence']} at {anchor['time']}",
        "public key": answer["public_key"],
        "append-only": "yes" if append_only["holds"] else
        "; ".join([*append_only["settings"], *append_only["allowed"]]),
    })  # fmt: skip


def _holds(items: list[dict[str, Any]]) -> Sequence[Line]:
    return [
        f"{item['id']}  {item['placed_at']}  {item['placed_by']}  {item['reason']}"
        for item in items
    ] or ["no hold"]
