"""How each program is told of a webhook, and given an event."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

# Sends a request to the program's API: method, path, JSON. Returns the JSON of the response.
Api = Callable[[str, str, Any], Awaitable[Any]]

NAME = "event-gateway-bench"


class Driver(Protocol):
    """One program. ``headers`` are those of each request to its API."""

    headers: Mapping[str, str]

    async def prepare(self, api: Api, urls: Mapping[str, str]) -> None:
        """Registers a signed webhook for each type of event, at its URL."""
        ...

    def publication(self, number: int, event_type: str, data: Mapping[str, str]) -> tuple[str, Any]:
        """The path and the JSON with which an event is published."""
        ...

    async def end(self, api: Api) -> None:
        """Removes the webhooks, so that what failed is not sent again in the next turn."""
        ...


class Gateway:
    """The gateway of this repository, which the bench starts with its webhooks in the file."""

    def __init__(self, key: str) -> None:
        self.headers: Mapping[str, str] = {
            "Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json",
        }  # fmt: skip

    async def prepare(self, api: Api, urls: Mapping[str, str]) -> None:
        """Nothing: the webhooks are in its file."""

    def publication(self, number: int, event_type: str, data: Mapping[str, str]) -> tuple[str, Any]:
        return "/v1/events", {
            "specversion": "1.0", "id": f"peer-{number}", "source": "/bench", "type": event_type,
            "datacontenttype": "application/json", "data": data,
        }  # fmt: skip

    async def end(self, api: Api) -> None:
        """Nothing: it ends with its turn."""


class Outpost:
    """Hookdeck Outpost. ``url`` ends in ``/api/v1``, ``key`` is its API_KEY. Its TOPICS must name
    the types of the events, or be empty."""

    def __init__(self, key: str) -> None:
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"}
        self._tenant = f"{NAME}-{time.monotonic_ns()}"

    async def prepare(self, api: Api, urls: Mapping[str, str]) -> None:
        await api("PUT", f"/tenants/{self._tenant}", {})
        for event_type, url in urls.items():
            await api("POST", f"/tenants/{self._tenant}/destinations", {
                "type": "webhook", "topics": [event_type], "config": {"url": url},
            })  # fmt: skip

    def publication(self, number: int, event_type: str, data: Mapping[str, str]) -> tuple[str, Any]:
        return "/publish", {
            "tenant_id": self._tenant, "topic": event_type, "eligible_for_retry": True,
            "data": data,
        }  # fmt: skip

    async def end(self, api: Api) -> None:
        await api("DELETE", f"/tenants/{self._tenant}", {})


class Svix:
    """The Svix server. ``url`` ends in ``/api/v1``, ``key`` is a token of ``svix-server jwt``. It
    must allow addresses that are not public."""

    def __init__(self, key: str) -> None:
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"}
        self._application = ""

    async def prepare(self, api: Api, urls: Mapping[str, str]) -> None:
        self._application = (await api("POST", "/app/", {"name": NAME}))["id"]
        for event_type, url in urls.items():
            await api("PUT", f"/event-type/{event_type}/", {"description": NAME})
            await api("POST", f"/app/{self._application}/endpoint/", {
                "url": url, "filterTypes": [event_type],
            })  # fmt: skip

    def publication(self, number: int, event_type: str, data: Mapping[str, str]) -> tuple[str, Any]:
        return f"/app/{self._application}/msg/", {"eventType": event_type, "payload": data}

    async def end(self, api: Api) -> None:
        await api("DELETE", f"/app/{self._application}/", {})


class Convoy:
    """Convoy. ``url`` ends in ``/api/v1/projects/PROJECT``, ``key`` is a key of the project."""

    def __init__(self, key: str) -> None:
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"}
        self._endpoints: dict[str, str] = {}

    async def prepare(self, api: Api, urls: Mapping[str, str]) -> None:
        for event_type, url in urls.items():
            made = await api("POST", "/endpoints", {
                "name": f"{NAME} {event_type}", "url": url, "secret": "bench-bench-bench-bench",
            })  # fmt: skip
            self._endpoints[event_type] = made["data"]["uid"]
            await api("POST", "/subscriptions", {
                "name": f"{NAME} {event_type}", "endpoint_id": self._endpoints[event_type],
                "filter_config": {"event_types": [event_type]},
            })  # fmt: skip

    def publication(self, number: int, event_type: str, data: Mapping[str, str]) -> tuple[str, Any]:
        return "/events", {
            "endpoint_id": self._endpoints[event_type], "event_type": event_type, "data": data,
        }  # fmt: skip

    async def end(self, api: Api) -> None:
        for endpoint in self._endpoints.values():
            await api("DELETE", f"/endpoints/{endpoint}", {})


DRIVERS: dict[str, Callable[[str], Driver]] = {"outpost": Outpost, "svix": Svix, "convoy": Convoy}
