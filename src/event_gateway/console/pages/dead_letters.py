"""Dead letters: by webhook and reason, one with its event and attempts, replay and purge."""

from collections import Counter
from typing import Any

from starlette.responses import Response

from event_gateway.console.formats import segment
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.periods import moment, with_times
from event_gateway.console.visit import PAGE, Visit

FILTERS = ("webhook", "type", "reason", "since", "until")
GROUPED = 1000  # dead letters that are grouped, the newest
ROUNDS = 200  # requests of one purge


async def list_dead_letters(visit: Visit) -> Response:
    """The dead letters that fit, the newest first; before the first page, by webhook and reason."""
    filters = visit.filters(*FILTERS)
    cursor = visit.query("cursor")
    grouping = cursor is None and not (filters["webhook"] and filters["reason"])
    found = await visit.gateway.list_dead_letters(
        limit=GROUPED if grouping else PAGE, cursor=cursor, **with_times(filters)
    )
    groups: list[Any] = []
    looked = len(found["items"])
    if grouping:
        groups = Counter(
            (each["webhook_id"], each["reason"]) for each in found["items"]
        ).most_common(20)
        if looked > PAGE:
            found = await visit.gateway.list_dead_letters(limit=PAGE, **with_times(filters))
    return await visit.render(
        "dead_letters/list.html", page=found, filters=filters, groups=groups, looked=looked
    )


async def show_dead_letter(visit: Visit) -> Response:
    """One dead letter."""
    letter = await visit.gateway.show_dead_letter(_id(visit))
    return await visit.render("dead_letters/show.html", letter=letter)


async def replay(visit: Visit) -> Response:
    """Replays one dead letter."""
    started = await visit.gateway.replay_dead_letters({"ids": [_id(visit)]})
    return visit.redirect(f"/replays/{segment(started['id'])}", "The replay has started.")


async def delete(visit: Visit) -> Response:
    """Deletes one dead letter."""
    await visit.gateway.delete_dead_letter(_id(visit))
    return visit.redirect("/dead-letters", "The dead letter is deleted.")


async def count_replay(visit: Visit) -> Response:
    """Counts what a replay of all that fit would deliver; its page asks whether to start it."""
    chosen = {name: visit.field(name) or None for name in FILTERS}
    body: Any = {
        "webhook": chosen["webhook"], "types": [chosen["type"]] if chosen["type"] else [],
        "reason": chosen["reason"], "since": moment(chosen["since"]),
        "until": moment(chosen["until"]), "all": not any(chosen.values()), "dry_run": True,
    }  # fmt: skip
    started = await visit.gateway.replay_dead_letters(body)
    return visit.redirect(f"/replays/{segment(started['id'])}")


async def count_purge(visit: Visit) -> Response:
    """How many dead letters a purge would delete; the question before it."""
    count, more = await _purge(visit, dry_run=True)
    return await visit.render(
        "dead_letters/purge.html", chosen=_chosen(visit), count=count, more=more
    )


async def purge(visit: Visit) -> Response:
    """Deletes all dead letters that fit."""
    count, more = await _purge(visit, dry_run=False)
    left = " There are more: repeat it." if more else ""
    return visit.redirect("/dead-letters", f"{count} dead letters deleted.{left}")


def _chosen(visit: Visit) -> dict[str, str]:
    return {name: visit.field(name) for name in FILTERS}


async def _purge(visit: Visit, *, dry_run: bool) -> tuple[int, bool]:
    """How many were deleted, or would be, and whether more are left."""
    chosen: dict[str, Any] = {name: value or None for name, value in _chosen(visit).items()}
    narrowed = with_times(chosen)
    count, cursor = 0, None
    for _ in range(ROUNDS):
        found = await visit.gateway.purge_dead_letters(
            **narrowed, all=not any(chosen.values()), dry_run=dry_run, cursor=cursor
        )
        count += found["purged"]
        cursor = found["next"]
        if cursor is None:
            break
    return count, cursor is not None


def _id(visit: Visit) -> int:
    return int(visit.path("letter_id"))


PAGES = PageGroup(
    name="dead_letters",
    title="Dead letters",
    path="/dead-letters",
    section="Deliver",
    scope="deliveries:read",
    routes=[
        page("/dead-letters", list_dead_letters),
        action("/dead-letters/replay", count_replay),
        action("/dead-letters/count-purge", count_purge),
        action("/dead-letters/purge", purge),
        page("/dead-letters/{letter_id:int}", show_dead_letter),
        action("/dead-letters/{letter_id:int}/replay", replay),
        action("/dead-letters/{letter_id:int}/delete", delete),
    ],
)
