"""The operations of the tag `streams`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.shared import Page
    from event_gateway.client.models.streams import (
        ChangedStream,
        ChangeStreamBody,
        CreateStreamBody,
        CreateTokenBody,
        NewToken,
        StreamAnswer,
        StreamMessages,
        StreamOutline,
        SubscriptionPage,
        TokenAnswer,
        WholeStream,
    )


class StreamsOperations(Caller):
    """The operations of the tag `streams`."""

    def change_stream(
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
            self._call(
                "PATCH",
                f"/v1/streams/{in_path(name)}",
                body,
                query={"force": force, "managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    def close_subscription(self, subscription_id: str) -> None:
        """Ends a subscription, whichever process has it, and tells its client."""
        self._call("DELETE", f"/v1/subscriptions/{in_path(subscription_id)}")

    def create_stream(
        self,
        body: CreateStreamBody,
        *,
        managed_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangedStream:
        """Creates a stream. It starts with the events that the log already holds for it."""
        return cast(
            "ChangedStream",
            self._call(
                "POST",
                "/v1/streams",
                body,
                query={"managed_by": managed_by},
                headers={"idempotency-key": idempotency_key},
            ),
        )

    def create_token(
        self, body: CreateTokenBody, *, idempotency_key: str | None = None
    ) -> NewToken:
        """Issues a token that opens the given streams or subjects for a short time, and no
        more than the caller may read. It ends with the caller's key."""
        return cast(
            "NewToken",
            self._call("POST", "/v1/tokens", body, headers={"idempotency-key": idempotency_key}),
        )

    def delete_stream(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a stream and its events, and ends its subscriptions."""
        self._call(
            "DELETE",
            f"/v1/streams/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
        )

    def list_stream_messages(
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
            self._call(
                "GET",
                f"/v1/streams/{in_path(name)}/messages",
                query={"from_seq": from_seq, "limit": limit, "cursor": cursor},
            ),
        )

    def list_streams(
        self,
        *,
        rates: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        search: str | None = None,
    ) -> Page[StreamAnswer | StreamOutline]:
        """All streams, by name; for a confined caller those that it may read, without their
        state."""
        return cast(
            "Page[StreamAnswer | StreamOutline]",
            self._call(
                "GET",
                "/v1/streams",
                query={"rates": rates, "limit": limit, "cursor": cursor, "search": search},
            ),
        )

    def list_subscriptions(
        self, *, stream: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> SubscriptionPage:
        """The live subscriptions of all processes, by id. `complete` is false if a process did
        not answer."""
        return cast(
            "SubscriptionPage",
            self._call(
                "GET",
                "/v1/subscriptions",
                query={"stream": stream, "limit": limit, "cursor": cursor},
            ),
        )

    def list_tokens(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[TokenAnswer]:
        """The valid tokens, the last to expire first; to all but an operator only those that
        the caller's own key has issued."""
        return cast(
            "Page[TokenAnswer]",
            self._call("GET", "/v1/tokens", query={"limit": limit, "cursor": cursor}),
        )

    def revoke_token(self, token_id: str) -> None:
        """Revokes a token: every process refuses it once this is answered, and its connections
        end within seconds. All but an operator revoke only tokens of their own key."""
        self._call("DELETE", f"/v1/tokens/{in_path(token_id)}")

    def show_stream(self, name: str) -> WholeStream | StreamOutline:
        """One stream, what it holds, its `rate` in events a second over the last minute, and
        its first hundred subscribers; for a confined caller nothing but its name and
        subjects."""
        return cast(
            "WholeStream | StreamOutline", self._call("GET", f"/v1/streams/{in_path(name)}")
        )


class AsyncStreamsOperations(AsyncCaller):
    """The operations of the tag `streams` as coroutines."""

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
                f"/v1/streams/{in_path(name)}",
                body,
                query={"force": force, "managed_by": managed_by},
                headers={"if-match": if_match, "if-none-match": if_none_match},
            ),
        )

    async def close_subscription(self, subscription_id: str) -> None:
        """Ends a subscription, whichever process has it, and tells its client."""
        await self._call("DELETE", f"/v1/subscriptions/{in_path(subscription_id)}")

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

    async def delete_stream(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> None:
        """Deletes a stream and its events, and ends its subscriptions."""
        await self._call(
            "DELETE",
            f"/v1/streams/{in_path(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
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
                f"/v1/streams/{in_path(name)}/messages",
                query={"from_seq": from_seq, "limit": limit, "cursor": cursor},
            ),
        )

    async def list_streams(
        self,
        *,
        rates: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        search: str | None = None,
    ) -> Page[StreamAnswer | StreamOutline]:
        """All streams, by name; for a confined caller those that it may read, without their
        state."""
        return cast(
            "Page[StreamAnswer | StreamOutline]",
            await self._call(
                "GET",
                "/v1/streams",
                query={"rates": rates, "limit": limit, "cursor": cursor, "search": search},
            ),
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
        """The valid tokens, the last to expire first; to all but an operator only those that
        the caller's own key has issued."""
        return cast(
            "Page[TokenAnswer]",
            await self._call("GET", "/v1/tokens", query={"limit": limit, "cursor": cursor}),
        )

    async def revoke_token(self, token_id: str) -> None:
        """Revokes a token: every process refuses it once this is answered, and its connections
        end within seconds. All but an operator revoke only tokens of their own key."""
        await self._call("DELETE", f"/v1/tokens/{in_path(token_id)}")

    async def show_stream(self, name: str) -> WholeStream | StreamOutline:
        """One stream, what it holds, its `rate` in events a second over the last minute, and
        its first hundred subscribers; for a confined caller nothing but its name and
        subjects."""
        return cast(
            "WholeStream | StreamOutline", await self._call("GET", f"/v1/streams/{in_path(name)}")
        )
