"""The operations of the tag `sources`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.shared import Page
    from event_gateway.client.models.sources import (
        ChangedSource,
        ChangeSourceBody,
        CreateSourceBody,
        ReplaceSourceBody,
        SourceAnswer,
        SourceTaken,
        SourceTrial,
        SourceTypes,
        TrySourceBody,
    )


class SourcesOperations(Caller):
    """The operations of the tag `sources`."""

    def change_source(
        self,
        name: str,
        body: ChangeSourceBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedSource:
        """Changes the members that the body names (RFC 7396; null removes one), keeps the
        others."""
        return cast(
            "ChangedSource",
            self._call(
                "PATCH",
                f"/v1/sources/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def create_source(
        self,
        body: CreateSourceBody,
        *,
        managed_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangedSource:
        """Registers a source. Requests to `POST /v1/sources/{name}` are taken from then on."""
        return cast(
            "ChangedSource",
            self._call(
                "POST",
                "/v1/sources",
                body,
                query={"managed_by": managed_by},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def delete_source(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a source. Its provider gets 404 from then on."""
        self._call(
            "DELETE",
            f"/v1/sources/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    def list_source_types(self) -> SourceTypes:
        """The providers whose requests sources can take, with the settings and templates of
        each."""
        return cast("SourceTypes", self._call("GET", "/v1/source-types"))

    def list_sources(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        type: str | None = None,
        managed_by: str | None = None,
        search: str | None = None,
        requests: bool | None = None,
    ) -> Page[SourceAnswer]:
        """All sources, by name; with parameters those for which all of them hold."""
        return cast(
            "Page[SourceAnswer]",
            self._call(
                "GET",
                "/v1/sources",
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "type": type,
                    "managed_by": managed_by,
                    "search": search,
                    "requests": requests,
                },
            ),
        )

    def receive_delivery(self, name: str, body: Any | None = None) -> SourceTaken:
        """Takes in a request of a third party, which the source verifies in place of a key of
        the gateway. Answered once the log has confirmed its events; a challenge or a
        confirmation gets the answer that its provider expects."""
        return cast("SourceTaken", self._call("POST", f"/v1/sources/{in_path(name)}", body))

    def replace_source(
        self,
        name: str,
        body: ReplaceSourceBody,
        *,
        managed_by: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedSource:
        """Replaces the whole definition."""
        return cast(
            "ChangedSource",
            self._call(
                "PUT",
                f"/v1/sources/{in_path(name)}",
                body,
                query={"managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def show_source(self, name: str) -> SourceAnswer:
        """One source. A request without any credential is answered with 200 and no body:
        providers look so whether the URL answers."""
        return cast("SourceAnswer", self._call("GET", f"/v1/sources/{in_path(name)}"))

    def show_source_options(self, name: str, *, webhook_request_origin: str | None = None) -> None:
        """The handshake of CloudEvents' webhook specification (4), for sources whose provider
        asks so."""
        self._call(
            "OPTIONS",
            f"/v1/sources/{in_path(name)}",
            headers={"WebHook-Request-Origin": webhook_request_origin},
        )

    def try_source(self, name: str, body: TrySourceBody | None = None) -> SourceTrial:
        """Says what would come of a request, and publishes nothing. Without a request it tries
        an example of the provider, which is not signed."""
        return cast("SourceTrial", self._call("POST", f"/v1/sources/{in_path(name)}/test", body))


class AsyncSourcesOperations(AsyncCaller):
    """The operations of the tag `sources` as coroutines."""

    async def change_source(
        self,
        name: str,
        body: ChangeSourceBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedSource:
        """Changes the members that the body names (RFC 7396; null removes one), keeps the
        others."""
        return cast(
            "ChangedSource",
            await self._call(
                "PATCH",
                f"/v1/sources/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def create_source(
        self,
        body: CreateSourceBody,
        *,
        managed_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangedSource:
        """Registers a source. Requests to `POST /v1/sources/{name}` are taken from then on."""
        return cast(
            "ChangedSource",
            await self._call(
                "POST",
                "/v1/sources",
                body,
                query={"managed_by": managed_by},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def delete_source(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a source. Its provider gets 404 from then on."""
        await self._call(
            "DELETE",
            f"/v1/sources/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def list_source_types(self) -> SourceTypes:
        """The providers whose requests sources can take, with the settings and templates of
        each."""
        return cast("SourceTypes", await self._call("GET", "/v1/source-types"))

    async def list_sources(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        type: str | None = None,
        managed_by: str | None = None,
        search: str | None = None,
        requests: bool | None = None,
    ) -> Page[SourceAnswer]:
        """All sources, by name; with parameters those for which all of them hold."""
        return cast(
            "Page[SourceAnswer]",
            await self._call(
                "GET",
                "/v1/sources",
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "type": type,
                    "managed_by": managed_by,
                    "search": search,
                    "requests": requests,
                },
            ),
        )

    async def receive_delivery(self, name: str, body: Any | None = None) -> SourceTaken:
        """Takes in a request of a third party, which the source verifies in place of a key of
        the gateway. Answered once the log has confirmed its events; a challenge or a
        confirmation gets the answer that its provider expects."""
        return cast("SourceTaken", await self._call("POST", f"/v1/sources/{in_path(name)}", body))

    async def replace_source(
        self,
        name: str,
        body: ReplaceSourceBody,
        *,
        managed_by: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedSource:
        """Replaces the whole definition."""
        return cast(
            "ChangedSource",
            await self._call(
                "PUT",
                f"/v1/sources/{in_path(name)}",
                body,
                query={"managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def show_source(self, name: str) -> SourceAnswer:
        """One source. A request without any credential is answered with 200 and no body:
        providers look so whether the URL answers."""
        return cast("SourceAnswer", await self._call("GET", f"/v1/sources/{in_path(name)}"))

    async def show_source_options(
        self, name: str, *, webhook_request_origin: str | None = None
    ) -> None:
        """The handshake of CloudEvents' webhook specification (4), for sources whose provider
        asks so."""
        await self._call(
            "OPTIONS",
            f"/v1/sources/{in_path(name)}",
            headers={"WebHook-Request-Origin": webhook_request_origin},
        )

    async def try_source(self, name: str, body: TrySourceBody | None = None) -> SourceTrial:
        """Says what would come of a request, and publishes nothing. Without a request it tries
        an example of the provider, which is not signed."""
        return cast(
            "SourceTrial", await self._call("POST", f"/v1/sources/{in_path(name)}/test", body)
        )
