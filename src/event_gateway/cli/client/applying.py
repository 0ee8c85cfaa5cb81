"""Makes what is registered with a running gateway like what a file declares."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from event_gateway.cli.client.declared_file import Declared
from event_gateway.cli.client.gateway_client import GatewayClient
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.requests import (
    content_or_fail,
    items_of,
    quoted,
    request_json,
    with_query,
)
from event_gateway.config.plan import (
    Definitions,
    Kind,
    Plan,
    Removal,
    Shown,
    Step,
    StepLoss,
    changed_stream_loss,
    deleted_stream_loss,
    deleted_webhook_loss,
    plan_of,
    with_losses,
)
from event_gateway.config.request_bodies import stream_from_json
from event_gateway.core.streams.definition import StreamContents
from event_gateway.core.text.times import parse_time

# The order in which changes are made: what is deleted is deleted last.
_ORDER = ("create", "change", "rename", "delete")
# Streams first, so that no event of a new webhook's is missing from them; then what gets the events
# of new sources.
_KINDS: tuple[Kind, ...] = ("stream", "webhook", "source")


@dataclass(frozen=True, slots=True)
class Applied:
    """A step of the plan that was carried out, or has failed: ``detail`` says why."""

    kind: str
    name: str
    action: str
    ok: bool
    detail: str

    @property
    def text(self) -> str:
        """The result as a line."""
        result = "done" if self.ok else "failed"
        text = f"{self.kind} {self.name}: {self.action}: {result}"
        return f"{text}: {self.detail}" if self.detail else text


class Applying:
    """Carries out what a file declares. ``prune``: what was applied before under the same manager,
    and is not in the file, is deleted; ``force``: streams may drop events."""

    def __init__(self, declared: Declared, *, prune: bool, force: bool) -> None:
        self._declared = declared
        self._prune = prune
        self._force = force
        self._plan = Plan(())
        self._registered = Definitions({}, {}, {})
        self._tags: dict[tuple[Kind, str], str | None] = {}

    @property
    def losses(self) -> list[tuple[Step, StepLoss]]:
        """The steps of the plan that would lose something."""
        return self._plan.losses

    async def plan(self, client: GatewayClient) -> dict[str, Any]:
        """Compares the file with what is registered; returns the plan as JSON. Ends the command if
        the gateway's own file has a definition of the same name."""
        declared = self._declared.definitions
        webhooks = await items_of(client, "/v1/webhooks")
        streams = await items_of(client, "/v1/streams") if declared.streams or self._prune else []
        sources = await self._sources(client)
        self._registered = Definitions(
            {shown["id"]: shown for shown in webhooks if shown["state"] != "renamed"},
            {shown["name"]: shown for shown in streams if "managed_by" in shown},
            {shown["name"]: shown for shown in sources},
        )
        plan = self._made()
        await self._read_again(client, plan)
        plan = self._made()
        self._plan = with_losses(plan, await self._losses(client, plan))
        shown: dict[str, Any] = msgspec.to_builtins(self._plan)
        return shown

    async def carry_out(
        self, client: GatewayClient, on_done: Callable[[Applied], None]
    ) -> list[Applied]:
        """Takes all steps, also after one that fails; calls ``on_done`` after each."""
        results = []
        for step in sorted(
            self._plan.steps,
            key=lambda step: (_ORDER.index(step.action), _KINDS.index(step.kind)),
        ):
            status, content = await self._take(client, step)
            detail = ""
            if status == 412:
                detail = "another caller has changed it since the plan was made; run apply again"
            elif status >= 400:
                detail = (content or {}).get("detail") or f"the gateway answered {status}"
            elif content:
                detail = "; ".join(warning["detail"] for warning in content.get("warnings", ()))
            done = Applied(step.kind, step.name, step.action, status < 400, detail)
            results.append(done)
            on_done(done)
        return results

    async def _take(self, client: GatewayClient, step: Step) -> tuple[int, Any]:
        definitions = _of_kind(self._declared.definitions, step.kind)
        collection, path = f"/v1/{step.kind}s", _path(step)
        tag = self._tags.get((step.kind, step.name))
        if step.action == "delete":
            return await client.request("DELETE", path, if_match=tag)
        query: dict[str, Any] = {"managed_by": self._declared.manager}
        if step.name not in _of_kind(self._registered, step.kind):
            return await client.request(
                "POST", with_query(collection, query), definitions[step.name]
            )
        if step.kind != "stream":
            return await client.request(
                "PUT", with_query(path, query), definitions[step.name], if_match=tag
            )
        query["force"] = self._force
        return await client.request(
            "PATCH", with_query(path, query), definitions[step.name], if_match=tag
        )

    async def _sources(self, client: GatewayClient) -> list[Any]:
        """The registered sources; none for a key that may not see them, if the file has none."""
        if not self._declared.definitions.sources:
            if not self._prune:
                return []
            status, _ = await client.request("GET", "/v1/sources?limit=1")
            if status == 403:
                return []
        return await items_of(client, "/v1/sources")

    def _made(self) -> Plan:
        """The plan from what is known to be registered, without losses. Ends the command as
        :meth:`plan` does."""
        self._check_managers()
        removal = Removal(self._removed, self._removed, self._removed)
        return plan_of(self._of_their_owners(), self._registered, removal)

    async def _read_again(self, client: GatewayClient, plan: Plan) -> None:
        """Reads what the plan changes, one by one: with their entity tags, which lists do not have.
        So a step changes only what the plan was made from."""
        for step in plan.steps:
            registered = dict(_of_kind(self._registered, step.kind))
            if step.name not in registered:
                continue
            answer = await client.read_whole(_path(step))
            shown = msgspec.json.decode(answer.body)
            if answer.status == 404 or shown.get("state") == "renamed":
                del registered[step.name]
            else:
                registered[step.name] = content_or_fail(answer.status, shown)
                self._tags[step.kind, step.name] = answer.headers.get("etag")
            self._registered = self._registered._replace(**{f"{step.kind}s": registered})

    def _removed(self, shown: Shown) -> Literal["delete"] | None:
        own = shown["managed_by"] == self._declared.manager
        return "delete" if self._prune and own else None

    def _check_managers(self) -> None:
        """Ends the command if the gateway's own file has a definition that this file has."""
        lines = [
            str(self._declared.locations.problem(
                f"{section}.{name}", "comes from the gateway's own configuration file; change it "
                "there",
            ))
            for section, declared, registered in (
                ("webhooks", self._declared.definitions.webhooks, self._registered.webhooks),
                ("streams", self._declared.definitions.streams, self._registered.streams),
                ("sources", self._declared.definitions.sources, self._registered.sources),
            )
            for name in declared
            if name in registered and registered[name]["managed_by"] == "file"
        ]  # fmt: skip
        if lines:
            fail("\n".join(lines))

    def _of_their_owners(self) -> Definitions:
        """The declared definitions. A webhook that belongs to namespaces gets those, unless the
        file says which."""
        webhooks: dict[str, Shown] = {}
        for name, shown in self._declared.definitions.webhooks.items():
            existing: Shown = self._registered.webhooks.get(name, {})
            if existing.get("owner") and not shown["namespaces"]:
                shown = {**shown, "namespaces": existing["namespaces"]}
            webhooks[name] = shown
        return self._declared.definitions._replace(webhooks=webhooks)

    async def _losses(self, client: GatewayClient, plan: Plan) -> dict[tuple[Kind, str], StepLoss]:
        losses: dict[tuple[Kind, str], StepLoss | None] = {}
        for step in plan.steps:
            if (step.kind, step.action) == ("webhook", "delete"):
                path = f"/v1/webhooks/{quoted(step.name)}/stats"
                stats = await request_json(client, "GET", path)
                behind = stats["events_behind"]
                losses["webhook", step.name] = deleted_webhook_loss(
                    stats["queue_depth"] + (behind or 0), ordered=behind is not None
                )
            elif step.kind == "stream" and step.action != "create":
                former = self._registered.streams[step.name]
                contents = _contents(former["state"])
                if step.action == "delete":
                    loss = deleted_stream_loss(contents)
                else:
                    after = stream_from_json(_body(self._declared.definitions.streams[step.name]))
                    before = stream_from_json(_body(former))
                    loss = changed_stream_loss(after, before, contents, time.time())
                losses["stream", step.name] = loss
        return {key: loss for key, loss in losses.items() if loss is not None}


def _of_kind(definitions: Definitions, kind: Kind) -> Mapping[str, Shown]:
    match kind:
        case "webhook":
            return definitions.webhooks
        case "stream":
            return definitions.streams
        case "source":
            return definitions.sources


def _path(step: Step) -> str:
    return f"/v1/{step.kind}s/{quoted(step.name)}"


def _contents(state: Mapping[str, Any]) -> StreamContents:
    first = state["first_time"]
    return StreamContents(
        state["messages"], state["bytes"], state["first_seq"], state["last_seq"],
        None if first is None else parse_time(first),
    )  # fmt: skip


def _body(shown: Shown) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if key != "state" and value is not None}
