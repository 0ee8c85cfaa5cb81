"""The operations of the tag `compliance`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller
from event_gateway.client.requests import in_path

if TYPE_CHECKING:
    from event_gateway.client.models.compliance import (
        AnchorAnswer,
        ChainAnswer,
        Holds,
        OpenedEvent,
        PlaceHoldBody,
        RedactBody,
        Redaction,
        StampAnchorBody,
        StampAnswer,
        Stamps,
    )
    from event_gateway.client.models.shared import HoldAnswer, Page


class ComplianceOperations(Caller):
    """The operations of the tag `compliance`."""

    def export_stream(self, name: str) -> str:
        """The messages of a compliance stream, byte by byte, with their chain and its anchors,
        as lines of JSON (NDJSON): enough to verify them anywhere. An answer without a last
        line `end` is not complete. At a time a process makes 12 exports, 3 for a key; 429
        for further ones."""
        return cast("str", self._call("GET", f"/v1/streams/{in_path(name)}/export"))

    def list_anchors(
        self, name: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[AnchorAnswer]:
        """The anchors of a stream's chain, the oldest first. Keep them where nobody who can
        write to NATS can change them: they show later that the chain was not rewritten."""
        return cast(
            "Page[AnchorAnswer]",
            self._call(
                "GET",
                f"/v1/streams/{in_path(name)}/anchors",
                query={"limit": limit, "cursor": cursor},
            ),
        )

    def list_holds(self, name: str) -> Holds:
        """The legal holds on a compliance stream."""
        return cast("Holds", self._call("GET", f"/v1/streams/{in_path(name)}/holds"))

    def list_stamps(self, name: str, sequence: int) -> Stamps:
        """The stamps of an anchor."""
        return cast(
            "Stamps",
            self._call("GET", f"/v1/streams/{in_path(name)}/anchors/{in_path(sequence)}/stamps"),
        )

    def place_hold(self, name: str, body: PlaceHoldBody) -> HoldAnswer:
        """Places a legal hold: until it is released, no event leaves the stream, whatever its
        limits are. NATS must have room for that."""
        return cast("HoldAnswer", self._call("POST", f"/v1/streams/{in_path(name)}/holds", body))

    def redact(self, name: str, body: RedactBody) -> Redaction:
        """Erases the key of a person, whom `subject` names as the events do: the data of the
        events about that person, up to now, cannot be read any more. It cannot be undone;
        the chain stays valid. The audit log does not name the person."""
        return cast(
            "Redaction", self._call("POST", f"/v1/streams/{in_path(name)}/redactions", body)
        )

    def release_hold(self, name: str, hold_id: str) -> None:
        """Releases a legal hold. After the last one the events that are beyond the limits
        leave the stream at once, the oldest first."""
        self._call("DELETE", f"/v1/streams/{in_path(name)}/holds/{in_path(hold_id)}")

    def show_chain(self, name: str) -> ChainAnswer:
        """How far the hash chain of a compliance stream is, its last anchor, and whether the
        stream can only grow: the gateway tries what its own user may do, without changing
        anything."""
        return cast("ChainAnswer", self._call("GET", f"/v1/streams/{in_path(name)}/chain"))

    def show_record(self, name: str, seq: int) -> OpenedEvent:
        """An event of a compliance stream as it was published: its data opened, if it was
        sealed and not redacted."""
        return cast(
            "OpenedEvent", self._call("GET", f"/v1/streams/{in_path(name)}/records/{in_path(seq)}")
        )

    def stamp_anchor(self, name: str, sequence: int, body: StampAnchorBody) -> StampAnswer:
        """Stores what somebody outside confirms of an anchor, such as a time stamp of RFC 3161
        over its digest, with the chain. The gateway does not read it; exports contain it."""
        return cast(
            "StampAnswer",
            self._call(
                "POST", f"/v1/streams/{in_path(name)}/anchors/{in_path(sequence)}/stamps", body
            ),
        )


class AsyncComplianceOperations(AsyncCaller):
    """The operations of the tag `compliance` as coroutines."""

    async def export_stream(self, name: str) -> str:
        """The messages of a compliance stream, byte by byte, with their chain and its anchors,
        as lines of JSON (NDJSON): enough to verify them anywhere. An answer without a last
        line `end` is not complete. At a time a process makes 12 exports, 3 for a key; 429
        for further ones."""
        return cast("str", await self._call("GET", f"/v1/streams/{in_path(name)}/export"))

    async def list_anchors(
        self, name: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[AnchorAnswer]:
        """The anchors of a stream's chain, the oldest first. Keep them where nobody who can
        write to NATS can change them: they show later that the chain was not rewritten."""
        return cast(
            "Page[AnchorAnswer]",
            await self._call(
                "GET",
                f"/v1/streams/{in_path(name)}/anchors",
                query={"limit": limit, "cursor": cursor},
            ),
        )

    async def list_holds(self, name: str) -> Holds:
        """The legal holds on a compliance stream."""
        return cast("Holds", await self._call("GET", f"/v1/streams/{in_path(name)}/holds"))

    async def list_stamps(self, name: str, sequence: int) -> Stamps:
        """The stamps of an anchor."""
        return cast(
            "Stamps",
            await self._call(
                "GET", f"/v1/streams/{in_path(name)}/anchors/{in_path(sequence)}/stamps"
            ),
        )

    async def place_hold(self, name: str, body: PlaceHoldBody) -> HoldAnswer:
        """Places a legal hold: until it is released, no event leaves the stream, whatever its
        limits are. NATS must have room for that."""
        return cast(
            "HoldAnswer", await self._call("POST", f"/v1/streams/{in_path(name)}/holds", body)
        )

    async def redact(self, name: str, body: RedactBody) -> Redaction:
        """Erases the key of a person, whom `subject` names as the events do: the data of the
        events about that person, up to now, cannot be read any more. It cannot be undone;
        the chain stays valid. The audit log does not name the person."""
        return cast(
            "Redaction", await self._call("POST", f"/v1/streams/{in_path(name)}/redactions", body)
        )

    async def release_hold(self, name: str, hold_id: str) -> None:
        """Releases a legal hold. After the last one the events that are beyond the limits
        leave the stream at once, the oldest first."""
        await self._call("DELETE", f"/v1/streams/{in_path(name)}/holds/{in_path(hold_id)}")

    async def show_chain(self, name: str) -> ChainAnswer:
        """How far the hash chain of a compliance stream is, its last anchor, and whether the
        stream can only grow: the gateway tries what its own user may do, without changing
        anything."""
        return cast("ChainAnswer", await self._call("GET", f"/v1/streams/{in_path(name)}/chain"))

    async def show_record(self, name: str, seq: int) -> OpenedEvent:
        """An event of a compliance stream as it was published: its data opened, if it was
        sealed and not redacted."""
        return cast(
            "OpenedEvent",
            await self._call("GET", f"/v1/streams/{in_path(name)}/records/{in_path(seq)}"),
        )

    async def stamp_anchor(self, name: str, sequence: int, body: StampAnchorBody) -> StampAnswer:
        """Stores what somebody outside confirms of an anchor, such as a time stamp of RFC 3161
        over its digest, with the chain. The gateway does not read it; exports contain it."""
        return cast(
            "StampAnswer",
            await self._call(
                "POST", f"/v1/streams/{in_path(name)}/anchors/{in_path(sequence)}/stamps", body
            ),
        )
