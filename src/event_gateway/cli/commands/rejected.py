"""``event-gateway rejected``: input that was set aside because it is no event."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_rejected
from event_gateway.cli.client.listing import Columns, print_item, print_list
from event_gateway.cli.client.options import JsonOption, KeyOption, LimitOption, UrlOption
from event_gateway.cli.client.output import Line, fields, print_answer
from event_gateway.cli.client.requests import request_json, run_with_client

if TYPE_CHECKING:
    from event_gateway.cli.client.gateway_client import GatewayClient

app = typer.Typer(no_args_is_help=True, help="Rejected input: list, show, retry.")

PATH = "/v1/rejected"
COLUMNS: Columns = {
    "SEQ": "seq", "TIME": "time", "REASON": "reason",
    "SUBJECT": lambda item: f"source {item['source']}" if item.get("source") else item["subject"],
    "DETAIL": "detail",
}  # fmt: skip


@app.command("list")
def list_rejected(
    search: Annotated[
        str | None,
        typer.Option(help="Only with this text in the reason, the subject, headers or the data."),
    ] = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the rejected input, the newest first."""
    print_list(url, key, PATH, COLUMNS, as_json=as_json, limit=limit, search=search)


@app.command()
def show(
    seq: Annotated[
        int, typer.Argument(help="The sequence, as listed.", autocompletion=complete_rejected)
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show rejected input: the reason, headers and data.

    Where there is no terminal it is JSON.
    """
    print_item(url, key, f"{PATH}/{seq}", _details, as_json=as_json)


@app.command()
def retry(
    seqs: Annotated[
        list[int],
        typer.Argument(help="The sequences, as listed.", autocompletion=complete_rejected),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take rejected input in again.

    Do that once its cause is mended, such as a schema. It stops at the first that is still no
    event; that one stays rejected.
    """
    taken: list[dict[str, int]] = []

    async def work(client: "GatewayClient") -> None:
        for seq in seqs:
            answer = await request_json(client, "POST", f"{PATH}/{seq}/retry")
            taken.append({"seq": seq} | answer)

    try:
        run_with_client(url, key, work)
    finally:
        if taken:
            print_answer(as_json, taken, _taken)


def _details(item: dict[str, Any]) -> list[Line]:
    data = item.get("data")
    source = item.get("source")
    return [
        *fields({
            "seq": item["seq"],
            "time": item["time"],
            "reason": item["reason"],
            "detail": item["detail"],
            "at": item["path"] or None,
            "source": source,
            **({} if source else _place(item)),
            "size": _size(item["cut"]),
        }),
        *(["headers:"] if item["headers"] else []),
        *[f"  {name}: {value}" for name, value in item["headers"].items()],
        "data:" if data is not None else "data, in base64:",
        *[f"  {line}" for line in (item["data_base64"] if data is None else data).splitlines()],
    ]  # fmt: skip


def _size(cut: int | bool | None) -> str | None:
    """Of what was cut: how long it was. Version 1.0 only says whether it was."""
    if cut is None or cut is False:
        return None
    return (
        "only the beginning was kept" if cut is True else f"{cut} bytes, of which these were kept"
    )


def _place(item: dict[str, Any]) -> dict[str, str]:
    return {"subject": item["subject"], "from": f"{item['stream']} {item['sequence']}"}


def _taken(items: list[dict[str, int]]) -> list[str]:
    return [f"{item['seq']}: taken in, sequence {item['sequence']} of the log" for item in items]
