"""The operations of the tag `secrets`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.secrets import (
        ChangeSecretBody,
        Resealed,
        RotateSecretBody,
        SetSecretBody,
    )
    from event_gateway.client.models.shared import Page, SecretAnswer


class SecretsOperations(Caller):
    """The operations of the tag `secrets`."""

    def change_secret(
        self,
        name: str,
        body: ChangeSecretBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> SecretAnswer:
        """Changes which namespaces may use a sealed secret, and keeps its value:
        `{"namespaces": ["…"]}`. Null or an empty list: only the operators' webhooks."""
        return cast(
            "SecretAnswer",
            self._call(
                "PATCH",
                f"/v1/secrets/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def delete_secret(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a secret. 409 if a webhook or a source names it."""
        self._call(
            "DELETE",
            f"/v1/secrets/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    def list_secrets(
        self, *, limit: int | None = None, cursor: str | None = None, search: str | None = None
    ) -> Page[SecretAnswer]:
        """The secrets in the sealed store, those that webhooks and sources name, and those
        outside the gateway that namespaces may use: where each comes from, and which
        webhooks and sources use it."""
        return cast(
            "Page[SecretAnswer]",
            self._call(
                "GET", "/v1/secrets", query={"limit": limit, "cursor": cursor, "search": search}
            ),
        )

    def reseal_secrets(self) -> Resealed:
        """Seals all secrets, and the keys of the people whose data compliance streams have
        sealed, with the first sealing key, so that the other sealing keys can be removed."""
        return cast("Resealed", self._call("POST", "/v1/secrets/reseal"))

    def rotate_secret(
        self,
        name: str,
        body: RotateSecretBody,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> SecretAnswer:
        """Replaces a secret's value: `{"value": "…", "overlap": "24h"}`."""
        return cast(
            "SecretAnswer",
            self._call(
                "POST",
                f"/v1/secrets/{in_path(name)}/rotate",
                body,
                headers={
                    "idempotency-key": idempotency_key,
                    "if-match": if_match,
                    "if-none-match": if_none_match,
                },
            ),
        )

    def set_secret(
        self,
        name: str,
        body: SetSecretBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> SecretAnswer:
        """Sets a secret: `{"value": "…", "namespaces": ["…"]}`. All processes use it once this
        is answered."""
        return cast(
            "SecretAnswer",
            self._call(
                "PUT",
                f"/v1/secrets/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def show_secret(self, name: str) -> SecretAnswer:
        """A secret without its value: where it comes from, who may use it, and which webhooks
        and sources do."""
        return cast("SecretAnswer", self._call("GET", f"/v1/secrets/{in_path(name)}"))


class AsyncSecretsOperations(AsyncCaller):
    """The operations of the tag `secrets` as coroutines."""

    async def change_secret(
        self,
        name: str,
        body: ChangeSecretBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> SecretAnswer:
        """Changes which namespaces may use a sealed secret, and keeps its value:
        `{"namespaces": ["…"]}`. Null or an empty list: only the operators' webhooks."""
        return cast(
            "SecretAnswer",
            await self._call(
                "PATCH",
                f"/v1/secrets/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def delete_secret(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a secret. 409 if a webhook or a source names it."""
        await self._call(
            "DELETE",
            f"/v1/secrets/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def list_secrets(
        self, *, limit: int | None = None, cursor: str | None = None, search: str | None = None
    ) -> Page[SecretAnswer]:
        """The secrets in the sealed store, those that webhooks and sources name, and those
        outside the gateway that namespaces may use: where each comes from, and which
        webhooks and sources use it."""
        return cast(
            "Page[SecretAnswer]",
            await self._call(
                "GET", "/v1/secrets", query={"limit": limit, "cursor": cursor, "search": search}
            ),
        )

    async def reseal_secrets(self) -> Resealed:
        """Seals all secrets, and the keys of the people whose data compliance streams have
        sealed, with the first sealing key, so that the other sealing keys can be removed."""
        return cast("Resealed", await self._call("POST", "/v1/secrets/reseal"))

    async def rotate_secret(
        self,
        name: str,
        body: RotateSecretBody,
        *,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> SecretAnswer:
        """Replaces a secret's value: `{"value": "…", "overlap": "24h"}`."""
        return cast(
            "SecretAnswer",
            await self._call(
                "POST",
                f"/v1/secrets/{in_path(name)}/rotate",
                body,
                headers={
                    "idempotency-key": idempotency_key,
                    "if-match": if_match,
                    "if-none-match": if_none_match,
                },
            ),
        )

    async def set_secret(
        self,
        name: str,
        body: SetSecretBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> SecretAnswer:
        """Sets a secret: `{"value": "…", "namespaces": ["…"]}`. All processes use it once this
        is answered."""
        return cast(
            "SecretAnswer",
            await self._call(
                "PUT",
                f"/v1/secrets/{in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def show_secret(self, name: str) -> SecretAnswer:
        """A secret without its value: where it comes from, who may use it, and which webhooks
        and sources do."""
        return cast("SecretAnswer", await self._call("GET", f"/v1/secrets/{in_path(name)}"))
