"""The operations of the API as coroutines.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from event_gateway.client import requests

if TYPE_CHECKING:
    from event_gateway.client.models import (
        AlertAnswer,
        Alive,
        AsyncApi,
        AuditedCall,
        BulkDeliveries,
        BulkWebhooks,
        ChangeDeliveriesBody,
        ChangedKey,
        ChangedStream,
        ChangedWebhook,
        ChangeEventTypeBody,
        ChangeKeyBody,
        ChangeStreamBody,
        ChangeWebhookBody,
        ChangeWebhooksBody,
        CloudEvent,
        CreateEventTypeBody,
        CreateKeyBody,
        CreateReplayBody,
        CreateSilenceBody,
        CreateStreamBody,
        CreateTokenBody,
        DeadLetterAnswer,
        DecideRepairBody,
        DeliveryAnswer,
        DeliveryStatus,
        EpisodeAnswer,
        EvaluateExpressionBody,
        EventAnswer,
        EventToMatch,
        EventTypeAnswer,
        ExpressionValue,
        GatewayHealth,
        HandshakeAnswer,
        Imported,
        JsonWebKeys,
        KeyAnswer,
        ListedDeadLetter,
        ListedDelivery,
        ListedEvent,
        Matches,
        NewKey,
        NewToken,
        OverviewAnswer,
        Page,
        PreviewedRequest,
        PreviewTransformationBody,
        Purged,
        PutEventTypeBody,
        Readiness,
        RejectedAnswer,
        ReloadConfigurationBody,
        Reloaded,
        ReplaceWebhookBody,
        ReplayAnswer,
        ReplayDeadLettersBody,
        Reread,
        Resealed,
        ResendEventBody,
        ResentEvent,
        RotateKeyBody,
        RotateSecretBody,
        RotateSigningKeyBody,
        SecretAnswer,
        SetSecretBody,
        SilenceAnswer,
        StreamAnswer,
        StreamMessages,
        StreamOutline,
        SubscriptionPage,
        Taken,
        TokenAnswer,
        TriedWebhook,
        TryWebhookBody,
        WebhookAnswer,
        WebhookBody,
        WebhookStats,
        WholeStream,
    )


class AsyncOperations:
    """A method for each operation, named after its id. A client has the method that sends
    the requests."""

    async def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Any:
        raise NotImplementedError

    async def cancel_delivery(
        self, webhook_id: str, event_id: str, *, source: str | None = None
    ) -> DeliveryAnswer:
        """Cancels a pending delivery. 409 if an attempt is in progress or the delivery has
        ended."""
        return cast(
            "DeliveryAnswer",
            await self._call(
                "POST",
                f"/v1/deliveries/{requests.in_path(webhook_id)}/{requests.in_path(event_id)}/cancel",
                query={"source": source},
            ),
        )

    async def cancel_replay(self, replay_id: str) -> ReplayAnswer:
        """Cancels a replay. Deliveries that it has queued are attempted all the same."""
        return cast(
            "ReplayAnswer",
            await self._call("POST", f"/v1/replays/{requests.in_path(replay_id)}/cancel"),
        )

    async def change_deliveries(
        self, body: ChangeDeliveriesBody, *, idempotency_key: str | None = None
    ) -> BulkDeliveries:
        """Retries or cancels deliveries of a webhook, by `status` (`pending` and `retrying` if
        none is given), `since` and `until`, as the list of deliveries has them."""
        return cast(
            "BulkDeliveries",
            await self._call(
                "POST", "/v1/deliveries/bulk", body, headers={"idempotency-key": idempotency_key}
            ),
        )

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
                f"/v1/event-types/{requests.in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

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
                f"/v1/keys/{requests.in_path(key_id)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def change_stream(
        self,
        name: str,
        body: ChangeStreamBody,
        *,
        force: bool | None = None,
        managed_by: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ChangedStream:
        """Changes the fields that the body names (RFC 7396; null removes a limit), keeps the
        others."""
        return cast(
            "ChangedStream",
            await self._call(
                "PATCH",
                f"/v1/streams/{requests.in_path(name)}",
                body,
                query={"force": force, "managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

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
                f"/v1/webhooks/{requests.in_path(webhook_id)}",
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

    async def close_subscription(self, subscription_id: str) -> None:
        """Ends a subscription, whichever process has it, and tells its client."""
        await self._call("DELETE", f"/v1/subscriptions/{requests.in_path(subscription_id)}")

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

    async def create_replay(
        self, body: CreateReplayBody, *, idempotency_key: str | None = None
    ) -> ReplayAnswer:
        """Starts a replay: delivers the events in the log that match the webhook as it is now."""
        return cast(
            "ReplayAnswer",
            await self._call(
                "POST", "/v1/replays", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def create_silence(
        self, body: CreateSilenceBody, *, idempotency_key: str | None = None
    ) -> SilenceAnswer:
        """Silences alerts for a while: they are listed, and not announced nor part of the
        health."""
        return cast(
            "SilenceAnswer",
            await self._call(
                "POST", "/v1/alerts/silences", body, headers={"idempotency-key": idempotency_key}
            ),
        )

    async def create_stream(
        self,
        body: CreateStreamBody,
        *,
        managed_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangedStream:
        """Creates a stream. It starts with the events that the log already holds for it."""
        return cast(
            "ChangedStream",
            await self._call(
                "POST",
                "/v1/streams",
                body,
                query={"managed_by": managed_by},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def create_token(
        self, body: CreateTokenBody, *, idempotency_key: str | None = None
    ) -> NewToken:
        """Issues a token that opens the given streams or subjects for a short time, and no
        more than the caller may read. It ends with the caller's key."""
        return cast(
            "NewToken",
            await self._call(
                "POST", "/v1/tokens", body, headers={"idempotency-key": idempotency_key}
            ),
        )

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

    async def decide_repair(self, body: DecideRepairBody) -> Reread:
        """`{"reread": true}`: delivers all events in the log again, except those past their
        deadline. `{"reread": false}`: delivers none; deliveries that were pending are lost."""
        return cast("Reread", await self._call("POST", "/v1/repair", body))

    async def delete_dead_letter(self, letter_id: int) -> None:
        """Deletes one dead letter. 409 while it is being replayed, as a delivery may still
        need it."""
        await self._call("DELETE", f"/v1/dead-letters/{requests.in_path(letter_id)}")

    async def delete_event_type(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes an event type. Its events are accepted from now on, unless the catalog is
        strict."""
        await self._call(
            "DELETE",
            f"/v1/event-types/{requests.in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def delete_secret(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a secret. 409 if a webhook names it."""
        await self._call(
            "DELETE",
            f"/v1/secrets/{requests.in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def delete_silence(self, silence_id: str) -> None:
        """Ends a silence. Alerts that fire still are announced now."""
        await self._call("DELETE", f"/v1/alerts/silences/{requests.in_path(silence_id)}")

    async def delete_stream(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a stream and its events, and ends its subscriptions."""
        await self._call(
            "DELETE",
            f"/v1/streams/{requests.in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def delete_webhook(
        self, webhook_id: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a webhook and cancels its pending deliveries. One from the configuration
        file can be deleted once the file does not name it any more."""
        await self._call(
            "DELETE",
            f"/v1/webhooks/{requests.in_path(webhook_id)}",
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
                f"/v1/webhooks/{requests.in_path(webhook_id)}/enable",
                query={"discard": discard},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def evaluate_expression(self, body: EvaluateExpressionBody) -> ExpressionValue:
        """An expression's value for an event: `{"dialect": "cel", "expression": …, "event":
        {…}}`."""
        return cast("ExpressionValue", await self._call("POST", "/v1/expressions/evaluate", body))

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

    async def list_alerts(
        self,
        *,
        state: Literal["pending", "firing", "resolved"] | None = None,
        webhook: str | None = None,
        name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
        | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[AlertAnswer]:
        """The alerts: those that fire first, then those that are pending, then those that were
        resolved within the last 7 days; of each the newest first."""
        return cast(
            "Page[AlertAnswer]",
            await self._call(
                "GET",
                "/v1/alerts",
                query={
                    "state": state,
                    "webhook": webhook,
                    "name": name,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def list_audit_log(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        since: str | None = None,
        until: str | None = None,
        principal: str | None = None,
        operation: str | None = None,
        resource: str | None = None,
        outcome: str | None = None,
    ) -> Page[AuditedCall]:
        """Calls that changed something, or were refused, the newest first. A page may hold
        fewer than `limit` items and have a next page."""
        return cast(
            "Page[AuditedCall]",
            await self._call(
                "GET",
                "/v1/audit-log",
                query={
                    "limit": limit,
                    "cursor": cursor,
                    "since": since,
                    "until": until,
                    "principal": principal,
                    "operation": operation,
                    "resource": resource,
                    "outcome": outcome,
                },
            ),
        )

    async def list_dead_letters(
        self,
        *,
        webhook: str | None = None,
        type: str | None = None,
        reason: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDeadLetter]:
        """Dead letters, the oldest first. A page may hold fewer than `limit` items and have a
        next page."""
        return cast(
            "Page[ListedDeadLetter]",
            await self._call(
                "GET",
                "/v1/dead-letters",
                query={
                    "webhook": webhook,
                    "type": type,
                    "reason": reason,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def list_deliveries(
        self,
        webhook_id: str,
        *,
        status: DeliveryStatus | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedDelivery]:
        """The last 1,000 deliveries of a webhook that changed, the latest first."""
        return cast(
            "Page[ListedDelivery]",
            await self._call(
                "GET",
                f"/v1/webhooks/{requests.in_path(webhook_id)}/deliveries",
                query={
                    "status": status,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def list_episodes(
        self,
        *,
        webhook: str | None = None,
        name: Literal["high_error_rate", "delivery_lag", "webhook_down", "circuit_breaker_open"]
        | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[EpisodeAnswer]:
        """Each time that an alert has fired within the last 7 days, at most the last 21 of
        each alert; the latest first."""
        return cast(
            "Page[EpisodeAnswer]",
            await self._call(
                "GET",
                "/v1/alerts/history",
                query={"webhook": webhook, "name": name, "limit": limit, "cursor": cursor},
            ),
        )

    async def list_event_types(
        self, *, owner: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[EventTypeAnswer]:
        """All event types by name, also the gateway's own. A page of large types may hold
        fewer than `limit` items and have a next page."""
        return cast(
            "Page[EventTypeAnswer]",
            await self._call(
                "GET", "/v1/event-types", query={"owner": owner, "limit": limit, "cursor": cursor}
            ),
        )

    async def list_events(
        self,
        *,
        type: str | None = None,
        source: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ListedEvent]:
        """The events in the log, the newest first. New events do not move the pages that
        follow."""
        return cast(
            "Page[ListedEvent]",
            await self._call(
                "GET",
                "/v1/events",
                query={
                    "type": type,
                    "source": source,
                    "subject": subject,
                    "since": since,
                    "until": until,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def list_keys(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[KeyAnswer]:
        """The keys by id, the admin key included, without their values."""
        return cast(
            "Page[KeyAnswer]",
            await self._call("GET", "/v1/keys", query={"limit": limit, "cursor": cursor}),
        )

    async def list_rejected(
        self, *, limit: int | None = None, cursor: int | None = None
    ) -> Page[RejectedAnswer]:
        """Rejected input, the oldest first, with its original bytes."""
        return cast(
            "Page[RejectedAnswer]",
            await self._call("GET", "/v1/rejected", query={"limit": limit, "cursor": cursor}),
        )

    async def list_replays(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[ReplayAnswer]:
        """All replays, also those of dead letters, the newest first."""
        return cast(
            "Page[ReplayAnswer]",
            await self._call("GET", "/v1/replays", query={"limit": limit, "cursor": cursor}),
        )

    async def list_secrets(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[SecretAnswer]:
        """The secrets in the sealed store, those that webhooks name, and those outside the
        gateway that namespaces may use: where each comes from, and which webhooks use it."""
        return cast(
            "Page[SecretAnswer]",
            await self._call("GET", "/v1/secrets", query={"limit": limit, "cursor": cursor}),
        )

    async def list_signing_keys(self) -> JsonWebKeys:
        """The public keys of asymmetric signatures (RFC 7517)."""
        return cast("JsonWebKeys", await self._call("GET", "/.well-known/webhook-keys.json"))

    async def list_silences(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[SilenceAnswer]:
        """The silences that have not ended, those that end first first."""
        return cast(
            "Page[SilenceAnswer]",
            await self._call(
                "GET", "/v1/alerts/silences", query={"limit": limit, "cursor": cursor}
            ),
        )

    async def list_stream_messages(
        self,
        name: str,
        *,
        from_seq: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> StreamMessages:
        """The events that a stream holds, in order, as subscribers receive them."""
        return cast(
            "StreamMessages",
            await self._call(
                "GET",
                f"/v1/streams/{requests.in_path(name)}/messages",
                query={"from_seq": from_seq, "limit": limit, "cursor": cursor},
            ),
        )

    async def list_streams(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[StreamAnswer | StreamOutline]:
        """All streams, by name; for a confined caller those that it may read, without their
        state."""
        return cast(
            "Page[StreamAnswer | StreamOutline]",
            await self._call("GET", "/v1/streams", query={"limit": limit, "cursor": cursor}),
        )

    async def list_subscriptions(
        self, *, stream: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> SubscriptionPage:
        """The live subscriptions of all processes, by id. `complete` is false if a process did
        not answer."""
        return cast(
            "SubscriptionPage",
            await self._call(
                "GET",
                "/v1/subscriptions",
                query={"stream": stream, "limit": limit, "cursor": cursor},
            ),
        )

    async def list_tokens(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[TokenAnswer]:
        """The valid tokens, those that expire first first; to all but an operator only those
        that the caller's own key has issued."""
        return cast(
            "Page[TokenAnswer]",
            await self._call("GET", "/v1/tokens", query={"limit": limit, "cursor": cursor}),
        )

    async def list_webhooks(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        state: Literal["active", "disabled", "paused", "unverified", "orphaned", "renamed"]
        | None = None,
        event: str | None = None,
        owner: str | None = None,
        managed_by: str | None = None,
        metadata: str | None = None,
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
                    "state": state,
                    "event": event,
                    "owner": owner,
                    "managed_by": managed_by,
                    "metadata": metadata,
                },
            ),
        )

    async def match_webhooks(
        self,
        body: EventToMatch | CloudEvent,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        webhook: list[str] | None = None,
    ) -> Matches:
        """Which webhooks an event would reach; for each other webhook the first condition that
        fails."""
        return cast(
            "Matches",
            await self._call(
                "POST",
                "/v1/webhooks/match",
                body,
                query={"limit": limit, "cursor": cursor, "webhook": webhook},
            ),
        )

    async def pause_replay(self, replay_id: str) -> ReplayAnswer:
        """Pauses a replay: it queues no more deliveries. Those that it has queued are
        attempted."""
        return cast(
            "ReplayAnswer",
            await self._call("POST", f"/v1/replays/{requests.in_path(replay_id)}/pause"),
        )

    async def preview_transformation(self, body: PreviewTransformationBody) -> PreviewedRequest:
        """The request that the gateway would send for an event. Nothing is sent or stored."""
        return cast(
            "PreviewedRequest", await self._call("POST", "/v1/transformations/preview", body)
        )

    async def purge_dead_letters(
        self,
        *,
        webhook: str | None = None,
        type: str | None = None,
        reason: str | None = None,
        since: str | None = None,
        until: str | None = None,
        all: bool | None = None,
        dry_run: bool | None = None,
        cursor: str | None = None,
    ) -> Purged:
        """Deletes dead letters by a filter. If `next` is not null, repeat the request with it
        as `cursor` to go on."""
        return cast(
            "Purged",
            await self._call(
                "DELETE",
                "/v1/dead-letters",
                query={
                    "webhook": webhook,
                    "type": type,
                    "reason": reason,
                    "since": since,
                    "until": until,
                    "all": all,
                    "dry_run": dry_run,
                    "cursor": cursor,
                },
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
                f"/v1/event-types/{requests.in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def reload_configuration(self, body: ReloadConfigurationBody | None = None) -> Reloaded:
        """Loads the configuration file again, all or nothing, as SIGHUP does."""
        return cast("Reloaded", await self._call("POST", "/v1/reload", body))

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
                f"/v1/webhooks/{requests.in_path(webhook_id)}",
                body,
                query={"managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def replay_dead_letters(
        self, body: ReplayDeadLettersBody, *, idempotency_key: str | None = None
    ) -> ReplayAnswer:
        """Starts a replay of dead letters; its progress is at `/v1/replays`."""
        return cast(
            "ReplayAnswer",
            await self._call(
                "POST",
                "/v1/dead-letters/replay",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def reseal_secrets(self) -> Resealed:
        """Seals all secrets with the first sealing key, so that the other keys can be removed."""
        return cast("Resealed", await self._call("POST", "/v1/secrets/reseal"))

    async def resend_event(
        self, event_id: str, body: ResendEventBody, *, idempotency_key: str | None = None
    ) -> ResentEvent:
        """Sends an event once more: a new run for each of `webhooks`, by default for all that
        it matches, also those that were registered later and had no delivery of it."""
        return cast(
            "ResentEvent",
            await self._call(
                "POST",
                f"/v1/events/{requests.in_path(event_id)}/resend",
                body,
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def resume_replay(self, replay_id: str) -> ReplayAnswer:
        """Resumes a paused replay where it stopped."""
        return cast(
            "ReplayAnswer",
            await self._call("POST", f"/v1/replays/{requests.in_path(replay_id)}/resume"),
        )

    async def retry_delivery(
        self,
        webhook_id: str,
        event_id: str,
        *,
        source: str | None = None,
        idempotency_key: str | None = None,
    ) -> DeliveryAnswer:
        """Attempts a pending delivery at once; starts a new run of one that has ended."""
        return cast(
            "DeliveryAnswer",
            await self._call(
                "POST",
                f"/v1/deliveries/{requests.in_path(webhook_id)}/{requests.in_path(event_id)}/retry",
                query={"source": source},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    async def retry_rejected(self, seq: int) -> Taken:
        """Takes the input in again. If it is still not a valid event: 422 with the reason, and
        the input stays here."""
        return cast(
            "Taken", await self._call("POST", f"/v1/rejected/{requests.in_path(seq)}/retry")
        )

    async def revoke_key(
        self, key_id: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Revokes a key: every process refuses it once this is answered, and its connections
        and tokens end within seconds. 409 for the admin key."""
        await self._call(
            "DELETE",
            f"/v1/keys/{requests.in_path(key_id)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    async def revoke_token(self, token_id: str) -> None:
        """Revokes a token: every process refuses it once this is answered, and its connections
        end within seconds. All but an operator revoke only tokens of their own key."""
        await self._call("DELETE", f"/v1/tokens/{requests.in_path(token_id)}")

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
                f"/v1/keys/{requests.in_path(key_id)}/rotate",
                body,
                headers={
                    "idempotency-key": idempotency_key,
                    "if-match": if_match,
                    "if-none-match": if_none_match,
                },
            ),
        )

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
                f"/v1/secrets/{requests.in_path(name)}/rotate",
                body,
                headers={
                    "idempotency-key": idempotency_key,
                    "if-match": if_match,
                    "if-none-match": if_none_match,
                },
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
                f"/v1/webhooks/{requests.in_path(webhook_id)}/rotate-secret",
                body,
                headers={"idempotency-key": idempotency_key},
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
                f"/v1/secrets/{requests.in_path(name)}",
                body,
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def show_dead_letter(self, letter_id: int) -> DeadLetterAnswer:
        """One dead letter: its event, all attempts, and the webhook as it was then."""
        return cast(
            "DeadLetterAnswer",
            await self._call("GET", f"/v1/dead-letters/{requests.in_path(letter_id)}"),
        )

    async def show_delivery(
        self, webhook_id: str, event_id: str, *, source: str | None = None
    ) -> DeliveryAnswer:
        """A delivery's status, its attempts and the time of the next one."""
        return cast(
            "DeliveryAnswer",
            await self._call(
                "GET",
                f"/v1/deliveries/{requests.in_path(webhook_id)}/{requests.in_path(event_id)}",
                query={"source": source},
            ),
        )

    async def show_event(
        self,
        event_id: str,
        *,
        source: str | None = None,
        type: str | None = None,
        webhook: list[str] | None = None,
        body: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> EventAnswer:
        """An event: as it came in, where in the log, whether it is routed; each webhook with
        its delivery and why that waits, or with the first condition that does not hold; the
        named streams that have it, its causes and effects, and in `unknown` what cannot be
        said."""
        return cast(
            "EventAnswer",
            await self._call(
                "GET",
                f"/v1/events/{requests.in_path(event_id)}",
                query={
                    "source": source,
                    "type": type,
                    "webhook": webhook,
                    "body": body,
                    "limit": limit,
                    "cursor": cursor,
                },
            ),
        )

    async def show_event_type(self, name: str) -> EventTypeAnswer:
        """One event type."""
        return cast(
            "EventTypeAnswer", await self._call("GET", f"/v1/event-types/{requests.in_path(name)}")
        )

    async def show_health(self) -> GatewayHealth:
        """The health of the gateway over all its processes, for people."""
        return cast("GatewayHealth", await self._call("GET", "/v1/health"))

    async def show_key(self, key_id: str) -> KeyAnswer:
        """A key without its value."""
        return cast("KeyAnswer", await self._call("GET", f"/v1/keys/{requests.in_path(key_id)}"))

    async def show_liveness(self) -> Alive:
        """Answers as long as the process runs."""
        return cast("Alive", await self._call("GET", "/healthz"))

    async def show_metrics(self) -> str:
        """The metrics of all processes of this gateway's `serve`, for Prometheus: in
        OpenMetrics, with exemplars, where `Accept` prefers `application/openmetrics-text`."""
        return cast("str", await self._call("GET", "/metrics"))

    async def show_overview(self) -> OverviewAnswer:
        """What the gateway holds and what waits, over all processes."""
        return cast("OverviewAnswer", await self._call("GET", "/v1/overview"))

    async def show_readiness(self) -> Readiness:
        """Whether the process can do its work: 503 only without NATS or while draining."""
        return cast("Readiness", await self._call("GET", "/readyz"))

    async def show_replay(self, replay_id: str) -> ReplayAnswer:
        """A replay and its progress."""
        return cast(
            "ReplayAnswer", await self._call("GET", f"/v1/replays/{requests.in_path(replay_id)}")
        )

    async def show_secret(self, name: str) -> SecretAnswer:
        """A secret without its value: where it comes from, who may use it, and which webhooks
        do."""
        return cast(
            "SecretAnswer", await self._call("GET", f"/v1/secrets/{requests.in_path(name)}")
        )

    async def show_silence(self, silence_id: str) -> SilenceAnswer:
        """A silence that has not ended."""
        return cast(
            "SilenceAnswer",
            await self._call("GET", f"/v1/alerts/silences/{requests.in_path(silence_id)}"),
        )

    async def show_stream(self, name: str) -> WholeStream | StreamOutline:
        """One stream, what it holds, its `rate` in events a second over the last minute, and
        its first hundred subscribers; for a confined caller nothing but its name and
        subjects."""
        return cast(
            "WholeStream | StreamOutline",
            await self._call("GET", f"/v1/streams/{requests.in_path(name)}"),
        )

    async def show_webhook(self, webhook_id: str) -> WebhookAnswer:
        """One webhook; with an expression also how often its evaluation failed, in all
        processes."""
        return cast(
            "WebhookAnswer", await self._call("GET", f"/v1/webhooks/{requests.in_path(webhook_id)}")
        )

    async def show_webhook_stats(self, webhook_id: str) -> WebhookStats:
        """The state of a webhook's deliveries over all processes: circuit breaker, queue,
        counts."""
        return cast(
            "WebhookStats",
            await self._call("GET", f"/v1/webhooks/{requests.in_path(webhook_id)}/stats"),
        )

    async def try_webhook(
        self, webhook_id: str, body: TryWebhookBody | None = None
    ) -> TriedWebhook:
        """Sends one event to the receiver at once and returns the request and its answer."""
        return cast(
            "TriedWebhook",
            await self._call("POST", f"/v1/webhooks/{requests.in_path(webhook_id)}/test", body),
        )

    async def verify_webhook(self, webhook_id: str) -> HandshakeAnswer:
        """Does the verification handshake with the receiver at once, and returns its answer."""
        return cast(
            "HandshakeAnswer",
            await self._call("POST", f"/v1/webhooks/{requests.in_path(webhook_id)}/verify"),
        )
