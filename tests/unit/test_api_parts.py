"""The parts that a route module declares, and the settings that a reload changes."""

from dataclasses import dataclass
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from event_gateway.api.server.dependencies import check_provided, provide, provided
from event_gateway.api.server.state import ApiState
from event_gateway.config.model import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class NameParts:
    name: str


Parts = Annotated[NameParts, Depends(provided(NameParts))]
router = APIRouter()


@router.get("/name")
async def show_name(parts: Parts) -> dict[str, str]:
    return {"name": parts.name}


async def test_a_route_gets_the_parts_of_its_own_application() -> None:
    """Two applications share a router, and each gives it its own parts."""
    for name in ("first", "second"):
        app = FastAPI()
        provide(app, NameParts(name=name))
        app.include_router(router)
        check_provided(app, router)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            assert (await client.get("/name")).json() == {"name": name}
        assert app.openapi()["paths"]["/name"]["get"].get("parameters", []) == []


def test_an_application_without_the_parts_of_a_route_is_not_built() -> None:
    app = FastAPI()
    provide(app, "something else")
    with pytest.raises(LookupError, match="/name needs NameParts"):
        check_provided(app, router)


def test_a_reload_changes_three_settings_and_ends_no_drain() -> None:
    state = ApiState(Config())
    assert (state.max_body, state.draining) == (1024 * 1024, False)
    state.drain()
    state.configure(
        Config.model_validate({
            "server": {"max_body": "2MiB"},
            "ingest": {"retention": "1h", "allowed_origins": ["a.test"]},
        })
    )  # fmt: skip
    assert state.max_body == 2 * 1024 * 1024
    assert state.retention == 3600
    assert state.allowed_origins == frozenset({"a.test"})
    assert state.draining
