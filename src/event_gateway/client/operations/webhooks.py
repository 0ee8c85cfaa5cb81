"""The operations of the tag `webhooks`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.shared import Page, SecretAnswer
    from event_gateway.client.models.webhooks import (
        BulkWebhooks,
        ChangedWebhook,
        ChangeWebhookBody,
        ChangeWebhooksBody,
        CheckedWebhook,
        CheckWebhookBody,
        HandshakeAnswer,
        JsonWebKeys,
        ReplaceWebhookBody,
        RotateSigningKeyBody,
        TriedWebhook,
        TryWebhookBody,
        WebhookAnswer,
        WebhookBody,
        WebhookStats,
    )


class WebhooksOperations(Caller):
    """The operations of the tag `webhooks`."""

    def change_webhook(
        self,
        webhook_id: str,
        body: ChangeWebhookBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedWebhook:
        """Changes the fields that the body names (RFC 7396), keeps the others."""
        return cast(
            "ChangedWebhook",
            self._call(
                "PATCH",
                f"/v1/webhooks/{in_path(webhook_id)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def change_webhooks(
        self, body: ChangeWebhooksBody, *, idempotency_key: str | None = None
    ) -> BulkWebhooks:
        """Enables or disables webhooks: those in `ids`; or those that a filter names, by
        `state`, `event`, `owner`, `managed_by` and `metadata` as in the list; or with `all`
        all."""
        return cast(
            "BulkWebhooks",
            self._call(
                "POST", "/v1/webhooks/bulk", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    def check_webhook(self, body: CheckWebhookBody) -> CheckedWebhook:
        """Checks the definition of a webhook, new or changed, and changes nothing."""
        return cast("CheckedWebhook", self._call("POST", "/v1/webhooks/check", body))

    def create_webhook(
        self,
        body: WebhookBody,
        *,
        managed_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangedWebhook:
        """Registers a webhook. It gets every matching event that comes in after the answer."""
        return cast(
            "ChangedWebhook",
            self._call(
                "POST",
                "/v1/webhooks",
                body,
                query={"managed_by": managed_by},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def delete_webhook(
        self, webhook_id: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a webhook and cancels its pending deliveries. One from the configuration
        file can be deleted once the file does not name it any more."""
        self._call(
            "DELETE",
            f"/v1/webhooks/{in_path(webhook_id)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    def enable_webhook(
        self, webhook_id: str, *, discard: bool | None = None, idempotency_key: str | None = None
    ) -> ChangedWebhook:
        """Enables a webhook that was paused, or that the gateway has disabled."""
        return cast(
            "ChangedWebhook",
            self._call(
                "POST",
                f"/v1/webhooks/{in_path(webhook_id)}/enable",
                query={"discard": discard},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def list_signing_keys(self) -> JsonWebKeys:
        """The public keys of asymmetric signatures (RFC 7517)."""
        return cast("JsonWebKeys", self._call("GET", "/.well-known/webhook-keys.json"))

    def list_webhooks(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        queues: bool | None = None,
        state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
        | None = None,
        event: str | None = None,
        owner: str | None = None,
        managed_by: str | None = None,
        metadata: str | None = None,
        search: str | None = None,
    ) -> Page[WebhookAnswer]:
        """All webhooks, by id; with parameters those for which all of them hold."""
        return cast(
            "Page[WebhookAnswer]",
            self._call(
                "GET",
                "/v1/webhooks",
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "queues": queues,
                    "state": state,
                    "event": event,
                    "owner": owner,
                    "managed_by": managed_by,
                    "metadata": metadata,
                    "search": search,
                },
            ),
        )

    def replace_webhook(
        self,
        webhook_id: str,
        body: ReplaceWebhookBody,
        *,
        managed_by: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedWebhook:
        """Replaces the whole definition, also one that the registry holds and nobody can read."""
        return cast(
            "ChangedWebhook",
            self._call(
                "PUT",
                f"/v1/webhooks/{in_path(webhook_id)}",
                body,
                query={"managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def rotate_signing_key(
        self, webhook_id: str, body: RotateSigningKeyBody, *, idempotency_key: str | None = None
    ) -> SecretAnswer:
        """Replaces the key that signs the webhook's requests: `{"value": "whsec_…"}`."""
        return cast(
            "SecretAnswer",
            self._call(
                "POST",
                f"/v1/webhooks/{in_path(webhook_id)}/rotate-secret",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def show_webhook(self, webhook_id: str) -> WebhookAnswer:
        """One webhook; with an expression also how often its evaluation failed, in all
        processes."""
        return cast("WebhookAnswer", self._call("GET", f"/v1/webhooks/{in_path(webhook_id)}"))

    def show_webhook_stats(self, webhook_id: str) -> WebhookStats:
        """The state of a webhook's deliveries over all processes: circuit breaker, queue,
        counts."""
        return cast("WebhookStats", self._call("GET", f"/v1/webhooks/{in_path(webhook_id)}/stats"))

    def try_webhook(self, webhook_id: str, body: TryWebhookBody | None = None) -> TriedWebhook:
        """Sends one event to the receiver at once and returns the request and its answer."""
        return cast(
            "TriedWebhook", self._call("POST", f"/v1/webhooks/{in_path(webhook_id)}/test", body)
        )

    def verify_webhook(self, webhook_id: str) -> HandshakeAnswer:
        """Does the verification handshake with the receiver at once, and returns its answer."""
        return cast(
            "HandshakeAnswer", self._call("POST", f"/v1/webhooks/{in_path(webhook_id)}/verify")
        )


class AsyncWebhooksOperations(AsyncCaller):
    """The operations of the tag `webhooks` as coroutines."""

    async def change_webhook(
        self,
        webhook_id: str,
        body: ChangeWebhookBody,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedWebhook:
        """Changes the fields that the body names (RFC 7396), keeps the others."""
        return cast(
            "ChangedWebhook",
            await self._call(
                "PATCH",
                f"/v1/webhooks/{in_path(webhook_id)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def change_webhooks(
        self, body: ChangeWebhooksBody, *, idempotency_key: str | None = None
    ) -> BulkWebhooks:
        """Enables or disables webhooks: those in `ids`; or those that a filter names, by
        `state`, `event`, `owner`, `managed_by` and `metadata` as in the list; or with `all`
        all."""
        return cast(
            "BulkWebhooks",
            await self._call(
                "POST", "/v1/webhooks/bulk", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def check_webhook(self, body: CheckWebhookBody) -> CheckedWebhook:
        """Checks the definition of a webhook, new or changed, and changes nothing."""
        return cast("CheckedWebhook", await self._call("POST", "/v1/webhooks/check", body))

    async def create_webhook(
        self,
        body: WebhookBody,
        *,
        managed_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangedWebhook:
        """Registers a webhook. It gets every matching event that comes in after the answer."""
        return cast(
            "ChangedWebhook",
            await self._call(
                "POST",
                "/v1/webhooks",
                body,
                query={"managed_by": managed_by},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def delete_webhook(
        self, webhook_id: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a webhook and cancels its pending deliveries. One from the configuration
        file can be deleted once the file does not name it any more."""
        await self._call(
            "DELETE",
            f"/v1/webhooks/{in_path(webhook_id)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def enable_webhook(
        self, webhook_id: str, *, discard: bool | None = None, idempotency_key: str | None = None
    ) -> ChangedWebhook:
        """Enables a webhook that was paused, or that the gateway has disabled."""
        return cast(
            "ChangedWebhook",
            await self._call(
                "POST",
                f"/v1/webhooks/{in_path(webhook_id)}/enable",
                query={"discard": discard},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def list_signing_keys(self) -> JsonWebKeys:
        """The public keys of asymmetric signatures (RFC 7517)."""
        return cast("JsonWebKeys", await self._call("GET", "/.well-known/webhook-keys.json"))

    async def list_webhooks(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        queues: bool | None = None,
        state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
        | None = None,
        event: str | None = None,
        owner: str | None = None,
        managed_by: str | None = None,
        metadata: str | None = None,
        search: str | None = None,
    ) -> Page[WebhookAnswer]:
        """All webhooks, by id; with parameters those for which all of them hold."""
        return cast(
            "Page[WebhookAnswer]",
            await self._call(
                "GET",
                "/v1/webhooks",
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "queues": queues,
                    "state": state,
                    "event": event,
                    "owner": owner,
                    "managed_by": managed_by,
                    "metadata": metadata,
                    "search": search,
                },
            ),
        )

    async def replace_webhook(
        self,
        webhook_id: str,
        body: ReplaceWebhookBody,
        *,
        managed_by: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedWebhook:
        """Replaces the whole definition, also one that the registry holds and nobody can read."""
        return cast(
            "ChangedWebhook",
            await self._call(
                "PUT",
                f"/v1/webhooks/{in_path(webhook_id)}",
                body,
                query={"managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def rotate_signing_key(
        self, webhook_id: str, body: RotateSigningKeyBody, *, idempotency_key: str | None = None
    ) -> SecretAnswer:
        """Replaces the key that signs the webhook's requests: `{"value": "whsec_…"}`."""
        return cast(
            "SecretAnswer",
            await self._call(
                "POST",
                f"/v1/webhooks/{in_path(webhook_id)}/rotate-secret",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def show_webhook(self, webhook_id: str) -> WebhookAnswer:
        """One webhook; with an expression also how often its evaluation failed, in all
        processes."""
        return cast("WebhookAnswer", await self._call("GET", f"/v1/webhooks/{in_path(webhook_id)}"))

    async def show_webhook_stats(self, webhook_id: str) -> WebhookStats:
        """The state of a webhook's deliveries over all processes: circuit breaker, queue,
        counts."""
        return cast(
            "WebhookStats", await self._call("GET", f"/v1/webhooks/{in_path(webhook_id)}/stats")
        )

    async def try_webhook(
        self, webhook_id: str, body: TryWebhookBody | None = None
    ) -> TriedWebhook:
        """Sends one event to the receiver at once and returns the request and its answer."""
        return cast(
            "TriedWebhook",
            await self._call("POST", f"/v1/webhooks/{in_path(webhook_id)}/test", body),
        )

    async def verify_webhook(self, webhook_id: str) -> HandshakeAnswer:
        """Does the verification handshake with the receiver at once, and returns its answer."""
        return cast(
            "HandshakeAnswer",
            await self._call("POST", f"/v1/webhooks/{in_path(webhook_id)}/verify"),
        )
