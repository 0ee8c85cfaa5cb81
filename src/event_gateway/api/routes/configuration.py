"""``/v1/config``: the configuration in force."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from event_gateway.api.access.callers import Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.plans import ConfigurationAnswer
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.state import ApiState
from event_gateway.config.redacted_config import given_keys, settings_of
from event_gateway.core.text.times import rfc3339

router = APIRouter(prefix="/v1/config", tags=["configuration"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationParts:
    """What the route uses. ``version``: the gateway's."""

    state: ApiState
    version: str


Parts = Annotated[ConfigurationParts, Depends(provided(ConfigurationParts))]


@router.get("", responses=answers(ConfigurationAnswer))
async def show_configuration(parts: Parts, caller: Operator) -> dict[str, Any]:
    """The configuration that the process which answers works by: the file, and the environment.
    ``--host`` and ``--port`` of its command come before ``server.host`` and ``server.port``.

    ``settings`` has every key with its value, in the form of the file; what is, or contains, a
    password, a token or a key is ``(hidden)``. ``given`` names the keys that have been set, and all
    others have their defaults. ``webhooks`` and ``streams`` are the ids that the file names; their
    own lists have the definitions.
    """
    config = parts.state.config
    return {
        "version": parts.version,
        "in_force_since": rfc3339(parts.state.in_force_since),
        "settings": settings_of(config),
        "given": given_keys(config),
        "webhooks": sorted(config.webhooks),
        "streams": sorted(config.streams),
    }
