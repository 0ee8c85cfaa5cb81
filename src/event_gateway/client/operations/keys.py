"""The operations of the tag `keys`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.keys import (
        CallerAnswer,
        ChangedKey,
        ChangeKeyBody,
        CreateKeyBody,
        KeyAnswer,
        NewKey,
        RotateKeyBody,
    )
    from event_gateway.client.models.shared import Page


class KeysOperations(Caller):
    """The operations of the tag `keys`."""

    def change_key(
        self,
        key_id: str,
        body: ChangeKeyBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedKey:
        """Changes the name of a key, its scopes, what narrows them, how many requests it may
        send, or when it expires."""
        return cast(
            "ChangedKey",
            self._call(
                "PATCH",
                f"/v1/keys/{in_path(key_id)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def create_key(self, body: CreateKeyBody, *, idempotency_key: str | None = None) -> NewKey:
        """Creates a key. Every process knows it once this is answered; only this answer shows
        it."""
        return cast(
            "NewKey",
            self._call("POST", "/v1/keys", body, headers={"idempotency-key": idempotency_key}),
        )

    def list_keys(
        self, *, limit: int | None = None, cursor: str | None = None, search: str | None = None
    ) -> Page[KeyAnswer]:
        """The keys by id, the admin key included, without their values."""
        return cast(
            "Page[KeyAnswer]",
            self._call(
                "GET", "/v1/keys", query={"limit": limit, "cursor": cursor, "search": search}
            ),
        )

    def revoke_key(
        self, key_id: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Revokes a key: every process refuses it once this is answered, and its connections
        and tokens end within seconds. 409 for the admin key."""
        self._call(
            "DELETE",
            f"/v1/keys/{in_path(key_id)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    def rotate_key(
        self,
        key_id: str,
        body: RotateKeyBody | None = None,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> NewKey:
        """Gives a key another value: `{"overlap": "24h"}` says how long the former one stays
        valid, 0 refuses it at once. Only this answer shows the new one."""
        return cast(
            "NewKey",
            self._call(
                "POST",
                f"/v1/keys/{in_path(key_id)}/rotate",
                body,
                headers={
                    "idempotency-key": idempotency_key,
                    "if-match": if_match,
                    "if-none-match": if_none_match,
                },
            ),
        )

    def show_caller(self) -> CallerAnswer:
        """Who the caller is, what its credential allows, and until when."""
        return cast("CallerAnswer", self._call("GET", "/v1/caller"))

    def show_key(self, key_id: str) -> KeyAnswer:
        """A key without its value."""
        return cast("KeyAnswer", self._call("GET", f"/v1/keys/{in_path(key_id)}"))


class AsyncKeysOperations(AsyncCaller):
    """The operations of the tag `keys` as coroutines."""

    async def change_key(
        self,
        key_id: str,
        body: ChangeKeyBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedKey:
        """Changes the name of a key, its scopes, what narrows them, how many requests it may
        send, or when it expires."""
        return cast(
            "ChangedKey",
            await self._call(
                "PATCH",
                f"/v1/keys/{in_path(key_id)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def create_key(
        self, body: CreateKeyBody, *, idempotency_key: str | None = None
    ) -> NewKey:
        """Creates a key. Every process knows it once this is answered; only this answer shows
        it."""
        return cast(
            "NewKey",
            await self._call(
                "POST", "/v1/keys", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def list_keys(
        self, *, limit: int | None = None, cursor: str | None = None, search: str | None = None
    ) -> Page[KeyAnswer]:
        """The keys by id, the admin key included, without their values."""
        return cast(
            "Page[KeyAnswer]",
            await self._call(
                "GET", "/v1/keys", query={"limit": limit, "cursor": cursor, "search": search}
            ),
        )

    async def revoke_key(
        self, key_id: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Revokes a key: every process refuses it once this is answered, and its connections
        and tokens end within seconds. 409 for the admin key."""
        await self._call(
            "DELETE",
            f"/v1/keys/{in_path(key_id)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def rotate_key(
        self,
        key_id: str,
        body: RotateKeyBody | None = None,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> NewKey:
        """Gives a key another value: `{"overlap": "24h"}` says how long the former one stays
        valid, 0 refuses it at once. Only this answer shows the new one."""
        return cast(
            "NewKey",
            await self._call(
                "POST",
                f"/v1/keys/{in_path(key_id)}/rotate",
                body,
                headers={
                    "idempotency-key": idempotency_key,
                    "if-match": if_match,
                    "if-none-match": if_none_match,
                },
            ),
        )

    async def show_caller(self) -> CallerAnswer:
        """Who the caller is, what its credential allows, and until when."""
        return cast("CallerAnswer", await self._call("GET", "/v1/caller"))

    async def show_key(self, key_id: str) -> KeyAnswer:
        """A key without its value."""
        return cast("KeyAnswer", await self._call("GET", f"/v1/keys/{in_path(key_id)}"))
