"""``/v1/reload``: loads the configuration file again."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.plans import Reloaded
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server import problem_types
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.config.plan import Plan
from event_gateway.registration.reloads import CannotReload, NotReloaded, Reloads

router = APIRouter(prefix="/v1/reload", tags=["configuration"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadParts:
    """What the route uses."""

    reloads: Reloads


Parts = Annotated[ReloadParts, Depends(provided(ReloadParts))]


class ReloadRequest(msgspec.Struct, forbid_unknown_fields=True):
    """``force``: reload even if deliveries that wait, or messages of a stream, are lost.
    ``dry_run``: only say what would change and be lost."""

    force: bool = False
    dry_run: bool = False


ReloadBody = Annotated[Annotated[dict[str, Any], SchemaOf(ReloadRequest)] | None, Body()]


@router.post("", responses=answers(Reloaded, 200, 409))
async def reload_configuration(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("configuration.reload", "configuration")],
    body: ReloadBody = None,
) -> dict[str, Any]:
    """Loads the configuration file again, all or nothing, as SIGHUP does.

    409, with the ``plan``, if deliveries that wait or messages of a stream would be lost: ``force``
    loses them. 422, with each mistake, if the file cannot be used. The other processes of this
    ``serve`` follow at once; a gateway on several machines is told on each.
    """
    wanted = body_as(ReloadRequest, body or {})
    call.about(after={"force": wanted.force, "dry_run": wanted.dry_run})
    try:
        plan = await parts.reloads.request(force=wanted.force, dry_run=wanted.dry_run)
    except CannotReload as error:
        raise Problem(409, str(error)) from None
    except TimeoutError:
        raise Problem(503, "the reload takes long, and goes on", {"Retry-After": "5"}) from None
    except NotReloaded as error:
        raise _problem(error) from None
    return {"reloaded": not wanted.dry_run, "plan": shown(plan)}


def shown(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    steps: dict[str, Any] = msgspec.to_builtins(plan)
    return steps


def _problem(error: NotReloaded) -> Problem:
    errors = [
        {"file": problem.file, "line": problem.line, "key": problem.key, "detail": problem.reason}
        for problem in error.problems
    ]
    if error.plan is not None:
        detail = f"not reloaded, force is needed: {error}"
        return Problem(problem_types.WOULD_LOSE, detail, errors=errors, plan=shown(error.plan))
    return Problem(422, f"not reloaded: {error}", errors=errors)
