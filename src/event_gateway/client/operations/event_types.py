"""The operations of the tag `event types`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.event_types import (
        AsyncApi,
        ChangeEventTypeBody,
        CreateEventTypeBody,
        EventTypeAnswer,
        Imported,
        PutEventTypeBody,
    )
    from event_gateway.client.models.shared import Page


class EventTypesOperations(Caller):
    """The operations of the tag `event types`."""

    def change_event_type(
        self,
        name: str,
        body: ChangeEventTypeBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> EventTypeAnswer:
        """Changes the members that the body names (RFC 7396), keeps the others. Within the
        schema and the examples nothing is merged: what the body names is replaced as a
        whole."""
        return cast(
            "EventTypeAnswer",
            self._call(
                "PATCH",
                f"/v1/event-types/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def create_event_type(
        self, body: CreateEventTypeBody, *, idempotency_key: str | None = None
    ) -> EventTypeAnswer:
        """Registers an event type. All processes apply its rule once this is answered."""
        return cast(
            "EventTypeAnswer",
            self._call(
                "POST", "/v1/event-types", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    def delete_event_type(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes an event type. Its events are accepted from now on, unless the catalog is
        strict."""
        self._call(
            "DELETE",
            f"/v1/event-types/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    def export_event_types(self) -> AsyncApi:
        """The gateway as an AsyncAPI 3.0 document: the catalog with the gateway's own types,
        and the ways in and out. It names the streams that the caller may read."""
        return cast("AsyncApi", self._call("GET", "/asyncapi.json"))

    def import_event_types(
        self, body: dict[str, Any] | str, *, dry_run: bool | None = None
    ) -> Imported:
        """Registers the event types of an AsyncAPI document (2 or 3; JSON or YAML)."""
        return cast(
            "Imported",
            self._call("POST", "/v1/event-types/import", body, query={"dry_run": dry_run}),
        )

    def list_event_types(
        self,
        *,
        owner: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        search: str | None = None,
    ) -> Page[EventTypeAnswer]:
        """All event types by name, also the gateway's own. A page of large types may hold
        fewer than `limit` items and have a next page."""
        return cast(
            "Page[EventTypeAnswer]",
            self._call(
                "GET",
                "/v1/event-types",
                query={"owner": owner, "limit": limit, "cursor": cursor, "search": search},
            ),
        )

    def put_event_type(
        self,
        name: str,
        body: PutEventTypeBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> EventTypeAnswer:
        """Replaces the event type of this name, or registers it: then the answer is 201."""
        return cast(
            "EventTypeAnswer",
            self._call(
                "PUT",
                f"/v1/event-types/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def show_event_type(self, name: str) -> EventTypeAnswer:
        """One event type."""
        return cast("EventTypeAnswer", self._call("GET", f"/v1/event-types/{in_path(name)}"))


class AsyncEventTypesOperations(AsyncCaller):
    """The operations of the tag `event types` as coroutines."""

    async def change_event_type(
        self,
        name: str,
        body: ChangeEventTypeBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> EventTypeAnswer:
        """Changes the members that the body names (RFC 7396), keeps the others. Within the
        schema and the examples nothing is merged: what the body names is replaced as a
        whole."""
        return cast(
            "EventTypeAnswer",
            await self._call(
                "PATCH",
                f"/v1/event-types/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def create_event_type(
        self, body: CreateEventTypeBody, *, idempotency_key: str | None = None
    ) -> EventTypeAnswer:
        """Registers an event type. All processes apply its rule once this is answered."""
        return cast(
            "EventTypeAnswer",
            await self._call(
                "POST", "/v1/event-types", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def delete_event_type(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes an event type. Its events are accepted from now on, unless the catalog is
        strict."""
        await self._call(
            "DELETE",
            f"/v1/event-types/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def export_event_types(self) -> AsyncApi:
        """The gateway as an AsyncAPI 3.0 document: the catalog with the gateway's own types,
        and the ways in and out. It names the streams that the caller may read."""
        return cast("AsyncApi", await self._call("GET", "/asyncapi.json"))

    async def import_event_types(
        self, body: dict[str, Any] | str, *, dry_run: bool | None = None
    ) -> Imported:
        """Registers the event types of an AsyncAPI document (2 or 3; JSON or YAML)."""
        return cast(
            "Imported",
            await self._call("POST", "/v1/event-types/import", body, query={"dry_run": dry_run}),
        )

    async def list_event_types(
        self,
        *,
        owner: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        search: str | None = None,
    ) -> Page[EventTypeAnswer]:
        """All event types by name, also the gateway's own. A page of large types may hold
        fewer than `limit` items and have a next page."""
        return cast(
            "Page[EventTypeAnswer]",
            await self._call(
                "GET",
                "/v1/event-types",
                query={"owner": owner, "limit": limit, "cursor": cursor, "search": search},
            ),
        )

    async def put_event_type(
        self,
        name: str,
        body: PutEventTypeBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> EventTypeAnswer:
        """Replaces the event type of this name, or registers it: then the answer is 201."""
        return cast(
            "EventTypeAnswer",
            await self._call(
                "PUT",
                f"/v1/event-types/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def show_event_type(self, name: str) -> EventTypeAnswer:
        """One event type."""
        return cast("EventTypeAnswer", await self._call("GET", f"/v1/event-types/{in_path(name)}"))
