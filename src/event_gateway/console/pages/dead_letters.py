"""Dead letters: by webhook and reason, one with its event and attempts, replay and purge."""

from collections import Counter
from typing import Any

from starlette.responses import Response

from event_gateway.console.formats import segment
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest
from event_gateway.console.periods import moment, with_times

FILTERS = ("webhook", "type", "reason", "since", "until")
GROUPED = 1000  # dead letters that are grouped, the newest
ROUNDS = 200  # requests of one purge


async def list_dead_letters(request: PageRequest) -> Response:
    """The dead letters that fit, the newest first; before the first page, by webhook and reason."""
    filters = request.filters(*FILTERS)
    cursor = request.query("cursor")
    grouping = cursor is None and not (filters["webhook"] and filters["reason"])
    found = await request.gateway.list_dead_letters(
        limit=GROUPED if grouping else PAGE, cursor=cursor, **with_times(filters)
    )
    groups: list[Any] = []
    looked = len(found["items"])
    if grouping:
        groups = Counter(
            (each["webhook_id"], each["reason"]) for each in found["items"]
        ).most_common(20)
        if looked > PAGE:
            found = await request.gateway.list_dead_letters(limit=PAGE, **with_times(filters))
    return await request.render(
        "dead_letters/list.html", page=found, filters=filters, groups=groups, looked=looked
    )


async def show_dead_letter(request: PageRequest) -> Response:
    """One dead letter."""
    letter = await request.gateway.show_dead_letter(_id(request))
    return await request.render("dead_letters/show.html", letter=letter)


async def replay(request: PageRequest) -> Response:
    """Replays one dead letter."""
    started = await request.gateway.replay_dead_letters({"ids": [_id(request)]})
    return request.redirect(f"/replays/{segment(started['id'])}", "The replay has started.")


async def delete(request: PageRequest) -> Response:
    """Deletes one dead letter."""
    await request.gateway.delete_dead_letter(_id(request))
    return request.redirect("/dead-letters", "The dead letter is deleted.")


async def count_replay(request: PageRequest) -> Response:
    """Counts what a replay of all that fit would deliver; its page asks whether to start it."""
    chosen = {name: request.field(name) or None for name in FILTERS}
    body: Any = {
        "webhook": chosen["webhook"], "types": [chosen["type"]] if chosen["type"] else [],
        "reason": chosen["reason"], "since": moment(chosen["since"]),
        "until": moment(chosen["until"]), "all": not any(chosen.values()), "dry_run": True,
    }  # fmt: skip
    started = await request.gateway.replay_dead_letters(body)
    return request.redirect(f"/replays/{segment(started['id'])}")


async def count_purge(request: PageRequest) -> Response:
    """How many dead letters a purge would delete; the question before it."""
    count, more = await _purge(request, dry_run=True)
    return await request.render(
        "dead_letters/purge.html", chosen=_chosen(request), count=count, more=more
    )


async def purge(request: PageRequest) -> Response:
    """Deletes all dead letters that fit."""
    count, more = await _purge(request, dry_run=False)
    left = " There are more: repeat it." if more else ""
    return request.redirect("/dead-letters", f"{count} dead letters deleted.{left}")


def _chosen(request: PageRequest) -> dict[str, str]:
    return {name: request.field(name) for name in FILTERS}


async def _purge(request: PageRequest, *, dry_run: bool) -> tuple[int, bool]:
    """How many were deleted, or would be, and whether more are left."""
    chosen: dict[str, Any] = {name: value or None for name, value in _chosen(request).items()}
    narrowed = with_times(chosen)
    count, cursor = 0, None
    for _ in range(ROUNDS):
        found = await request.gateway.purge_dead_letters(
            **narrowed, all=not any(chosen.values()), dry_run=dry_run, cursor=cursor
        )
        count += found["purged"]
        cursor = found["next"]
        if cursor is None:
            break
    return count, cursor is not None


def _id(request: PageRequest) -> int:
    return int(request.path("letter_id"))


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
