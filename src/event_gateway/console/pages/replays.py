"""Replays: what was delivered again from the log or from dead letters, and starting one."""

from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults_by_member
from event_gateway.console.formats import segment
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest
from event_gateway.console.periods import moment


async def list_replays(request: PageRequest) -> Response:
    """All replays, the newest first."""
    found = await request.gateway.list_replays(limit=PAGE, cursor=request.query("cursor"))
    return await request.render("replays/list.html", page=found)


async def show_replay(request: PageRequest) -> Response:
    """One replay and its progress; a dry run that has ended asks whether to start it."""
    replay = await request.gateway.show_replay(request.path("replay_id"))
    return await request.render("replays/show.html", replay=replay)


async def new(request: PageRequest) -> Response:
    """The form of a replay from the log."""
    given = request.filters("webhook", "since", "until", "types")
    return await request.render("replays/new.html", given=given, errors={}, failure=None)


async def count(request: PageRequest) -> Response:
    """Counts what a replay from the log would deliver; its page asks whether to start it."""
    given = {name: request.field(name) for name in ("webhook", "since", "until", "types")}
    body: Any = {
        "webhook": given["webhook"], "since": moment(given["since"]) or None,
        "until": moment(given["until"]) or None, "types": given["types"].split(), "dry_run": True,
    }  # fmt: skip
    try:
        started = await request.gateway.create_replay(body)
    except GatewayError as error:
        if error.status not in (404, 409, 422):
            raise
        return await request.render(
            "replays/new.html", 422, given=given, errors=faults_by_member(error),
            failure=error.detail,
        )  # fmt: skip
    return request.redirect(f"/replays/{segment(started['id'])}")


async def run(request: PageRequest) -> Response:
    """Starts what a dry run has counted."""
    counted = await request.gateway.show_replay(request.path("replay_id"))
    if counted["of"] == "dead_letters":
        body: Any = {name: counted[name] for name in ("webhook", "types", "reason", "since")}
        body["until"] = counted["until"] or counted["created_at"]  # what came later is not replayed
        started = await request.gateway.replay_dead_letters(body)
    else:
        body = {name: counted[name] for name in ("webhook", "types", "stream")}
        body |= {"from_seq": counted["from_seq"], "until_seq": counted["until_seq"]}
        started = await request.gateway.create_replay(body)
    return request.redirect(f"/replays/{segment(started['id'])}", "The replay has started.")


async def pause(request: PageRequest) -> Response:
    """Pauses a replay."""
    await request.gateway.pause_replay(request.path("replay_id"))
    return request.redirect(request.acted_on, "The replay is paused.")


async def resume(request: PageRequest) -> Response:
    """Resumes a paused replay."""
    await request.gateway.resume_replay(request.path("replay_id"))
    return request.redirect(request.acted_on, "The replay goes on.")


async def cancel(request: PageRequest) -> Response:
    """Cancels a replay."""
    await request.gateway.cancel_replay(request.path("replay_id"))
    return request.redirect(request.acted_on, "The replay is cancelled.")


PAGES = PageGroup(
    name="replays",
    title="Replays",
    path="/replays",
    section="Deliver",
    scope="deliveries:read",
    routes=[
        page("/replays", list_replays),
        page("/replays/new", new),
        action("/replays/count", count),
        page("/replays/{replay_id}", show_replay),
        action("/replays/{replay_id}/run", run),
        action("/replays/{replay_id}/pause", pause),
        action("/replays/{replay_id}/resume", resume),
        action("/replays/{replay_id}/cancel", cancel),
    ],
)
