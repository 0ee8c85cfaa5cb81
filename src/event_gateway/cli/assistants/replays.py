"""Tools about replays: how one goes on, and a replay that is counted before it is carried out."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from event_gateway.cli.assistants.bounds import Text
from event_gateway.cli.assistants.times import Since, Until, time_range
from event_gateway.cli.assistants.webhooks import WebhookId
from event_gateway.client import AsyncGatewayClient
from event_gateway.core.text.times import parse_time
from event_gateway.core.webhook.replay import ENDED

# Seconds.
COUNTING = 20.0  # for which a call waits until a dry run has ended
POLL_INTERVAL = 0.5
CONFIRM_WITHIN = 3600.0  # of the dry run

What = Literal["log", "dead_letters"]


class ReplayProgress(BaseModel):
    """A replay. ``queued``: deliveries that were queued; with ``dry_run`` none are."""

    id: Text
    of: What
    webhook: Text | None
    dry_run: bool
    state: Text = Field(description="running, paused, cancelled, done or failed.")
    progress: float = Field(description="From 0 to 1.")
    matched: int
    skipped: int = Field(description="Matched, but left out: such as dead letters replayed before.")
    queued: int
    error: Text | None
    next_step: str | None = Field(None, description="What to do next.")


class ReplayTools:
    """Tools about replays of one gateway."""

    def __init__(self, gateway: AsyncGatewayClient) -> None:
        self._gateway = gateway

    async def show_replay(
        self, replay_id: Annotated[str, Field(description="The id of the replay.")]
    ) -> ReplayProgress:
        """Shows how far a replay is."""
        return _shown(await self._gateway.show_replay(replay_id))

    async def replay(
        self,
        webhook: WebhookId,
        of: Annotated[
            What | None,
            Field(
                description="log: events of the log that match the webhook (the default); "
                "dead_letters: its dead letters that were not replayed yet."
            ),
        ] = None,
        since: Since = None,
        until: Until = None,
        types: Annotated[
            list[str] | None,
            Field(description="Only events whose type fits one of these patterns."),
        ] = None,
        reason: Annotated[
            str | None, Field(description="Only dead letters with this reason.")
        ] = None,
        confirm: Annotated[
            str | None,
            Field(
                description="The id of the dry run. Give it with `webhook` and nothing else, "
                "after the user has agreed to the number of deliveries."
            ),
        ] = None,
    ) -> ReplayProgress:
        """Delivers many events to one webhook again, in two calls. The first is a dry run: it
        counts and sends nothing. The second, with `confirm`, replays exactly what was counted:
        the receiver gets these events once more, which cannot be undone. `of` log needs `since`."""
        if confirm is None:
            return await self._count(webhook, of or "log", since, until, types, reason)
        if any(each is not None for each in (of, since, until, types, reason)):
            raise ToolError("with confirm give webhook and nothing else: it replays what the dry "
                            "run has counted")  # fmt: skip
        return await self._carry_out(webhook, confirm)

    async def _count(
        self,
        webhook: str,
        of: What,
        since: str | None,
        until: str | None,
        types: list[str] | None,
        reason: str | None,
    ) -> ReplayProgress:
        body: Any = {"webhook": webhook, "types": types or [], "dry_run": True}
        body |= {name: at for name, at in time_range(since, until).items() if at is not None}
        if of == "log":
            if reason is not None:
                raise ToolError("reason: only dead letters have one; give of: dead_letters")
            if since is None:
                raise ToolError("since: must be given, where the replay begins")
            started: Any = await self._gateway.create_replay(body)
        else:
            started = await self._gateway.replay_dead_letters(body | {"reason": reason})
        counted = await self._ended(started)
        shown = _shown(counted)
        left = shown.matched - shown.skipped
        if shown.state not in ENDED:
            shown.next_step = (
                f"It still counts. Call show_replay with {shown.id} until its state is done, and "
                f"tell the user how many deliveries it would make. Then call replay with confirm."
            )
        elif shown.state == "done" and left:
            shown.next_step = (
                f"Nothing was sent. Ask the user whether {left} deliveries to {webhook} shall be "
                f"made; then call replay with webhook {webhook} and confirm {shown.id}."
            )
        elif shown.state == "done":
            shown.next_step = "There is nothing to replay."
        return shown

    async def _carry_out(self, webhook: str, confirm: str) -> ReplayProgress:
        planned: Mapping[str, Any] = await self._gateway.show_replay(confirm)
        if not planned["dry_run"]:
            raise ToolError(f"confirm: {confirm} is no dry run")
        if planned["webhook"] != webhook:
            raise ToolError(f"confirm: {confirm} has counted for the webhook {planned['webhook']}")
        if planned["state"] != "done":
            raise ToolError(f"confirm: {confirm} is {planned['state']}; it must be done")
        if time.time() - parse_time(planned["created_at"]) > CONFIRM_WITHIN:
            raise ToolError(f"confirm: {confirm} is too old; call replay without confirm again")
        body: Any = {"webhook": webhook, "types": planned["types"], "since": planned["since"]}
        # A call that is repeated starts no second replay.
        once = f"assistant-{confirm}"
        if planned["of"] == "log":
            body |= {name: planned[name] for name in ("stream", "until", "from_seq", "until_seq")}
            started: Any = await self._gateway.create_replay(body, idempotency_key=once)
        else:
            # Without what has become a dead letter since it was counted.
            body |= {"reason": planned["reason"], "until": _earlier(planned)}
            started = await self._gateway.replay_dead_letters(body, idempotency_key=once)
        shown = _shown(started)
        if shown.state not in ENDED:
            shown.next_step = (
                f"It goes on by itself; show_replay with {shown.id} says how far it is."
            )
        return shown

    async def _ended(self, replay: Any) -> Mapping[str, Any]:
        """A replay once it has ended, or as it is after COUNTING seconds."""
        waited = 0.0
        while replay["state"] not in ENDED and waited < COUNTING:
            await asyncio.sleep(POLL_INTERVAL)
            waited += POLL_INTERVAL
            replay = await self._gateway.show_replay(replay["id"])
        found: Mapping[str, Any] = replay
        return found


def _earlier(planned: Mapping[str, Any]) -> str:
    """Until when dead letters were counted."""
    times: list[str] = [planned["created_at"], *([planned["until"]] if planned["until"] else ())]
    return min(times, key=parse_time)


def _shown(replay: Mapping[str, Any]) -> ReplayProgress:
    return ReplayProgress.model_validate(dict(replay))
