"""Which sealing keys the sealed secrets in the registry need, without opening any of them."""

import contextlib

import msgspec
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker
from event_gateway.broker.registry_bucket import BUCKET, BUCKET_STREAM
from event_gateway.broker.registry_entries import StoredSecret
from event_gateway.broker.stream_page import read_page

PAGE = 500  # entries that are read at a time


async def sealing_keys_in(broker: Broker) -> list[str]:
    """The ids of these keys, sorted; none where there is no registry.

    Raises the exceptions in BrokerError.
    """
    ids: set[str] = set()
    position = 1
    while True:
        try:
            page = await read_page(
                broker, BUCKET_STREAM, from_seq=position, subject=f"$KV.{BUCKET}.secret.>",
                limit=PAGE,
            )  # fmt: skip
        except NotFoundError:
            return []
        for message in page.messages:
            with contextlib.suppress(msgspec.DecodeError):  # the marker of a deletion
                ids.add(msgspec.json.decode(message.data, type=StoredSecret).sealed.key_id)
        if not page.remaining:
            return sorted(ids)
        position = page.messages[-1].seq + 1
