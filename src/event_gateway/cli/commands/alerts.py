"""``event-gateway alerts``: lists alerts and their history, and silences them."""

from typing import Annotated, Any

import typer

from event_gateway.cli.client.completion import complete_silences, complete_webhooks
from event_gateway.cli.client.listing import Columns, print_list
from event_gateway.cli.client.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    UrlOption,
)
from event_gateway.cli.client.output import fail, print_answer
from event_gateway.cli.client.requests import call, quoted

app = typer.Typer(no_args_is_help=True, help="Alerts: list, history, silence, silences, unsilence.")

PATH = "/v1/alerts"


def _webhook(item: dict[str, Any]) -> str:
    return item["webhook"] or "all"


ALERTS: Columns = {
    "STATE": lambda item: f"{item['state']}{' (silenced)' if item['silenced'] else ''}",
    "ALERT": "name",
    "WEBHOOK": _webhook,
    "SINCE": "since",
    "DETAIL": "detail",
}
EPISODES: Columns = {
    "FIRED": "fired_at",
    "RESOLVED": lambda item: item["resolved_at"] or "fires",
    "ALERT": "name",
    "WEBHOOK": _webhook,
    "DETAIL": "detail",
}
SILENCES: Columns = {
    "ID": "id",
    "ALERT": lambda item: item["name"] or "all",
    "WEBHOOK": _webhook,
    "UNTIL": "until",
    "BY": "created_by",
    "COMMENT": "comment",
}
WebhookOption = Annotated[
    str | None,
    typer.Option(help="Only alerts about this webhook.", autocompletion=complete_webhooks),
]
NameOption = Annotated[
    str | None, typer.Option(help="Only alerts of this name, such as webhook_down.")
]
StateOption = Annotated[
    str | None, typer.Option(help="Only alerts in this state: pending, firing or resolved.")
]


@app.command("list")
def list_alerts(
    state: StateOption = None,
    webhook: WebhookOption = None,
    name: NameOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the alerts: those that fire first, then pending and resolved ones."""
    print_list(
        url, key, PATH, ALERTS, as_json=as_json, limit=limit,
        state=state, webhook=webhook, name=name,
    )  # fmt: skip


@app.command()
def history(
    webhook: WebhookOption = None,
    name: NameOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List each time that an alert fired within 7 days, the latest first."""
    print_list(
        url, key, f"{PATH}/history", EPISODES, as_json=as_json, limit=limit,
        webhook=webhook, name=name,
    )  # fmt: skip


@app.command()
def silence(
    name: NameOption = None,
    webhook: WebhookOption = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="The duration, such as 2h. Default: 1h.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="The end, in place of --for: a time as in RFC 3339.")
    ] = None,
    comment: Annotated[str, typer.Option(help="The reason, for people.")] = "",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Silence alerts for a while: they are listed, and not announced."""
    if name is None and webhook is None:
        fail("name the alerts: --name, --webhook, or both", 2)
    members = {
        "name": name, "webhook": webhook, "until": until, "comment": comment,
        "duration": duration or (None if until else "1h"),
    }  # fmt: skip
    body = {member: value for member, value in members.items() if value}
    print_answer(as_json, call(url, key, "POST", f"{PATH}/silences", body), _silenced)


@app.command()
def silences(
    limit: LimitOption = 100,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the silences that have not ended."""
    print_list(url, key, f"{PATH}/silences", SILENCES, as_json=as_json, limit=limit)


@app.command()
def unsilence(
    silence_id: Annotated[
        str,
        typer.Argument(
            metavar="SILENCE", help="The silence's id.", autocompletion=complete_silences
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """End a silence. Alerts that fire still are announced now."""
    call(url, key, "DELETE", f"{PATH}/silences/{quoted(silence_id)}")
    typer.echo(f"{silence_id}: ended")


def _silenced(item: dict[str, Any]) -> list[str]:
    return [f"{item['id']}: silenced until {item['until']}"]
