"""The list of streams, and the page of one, with its messages and its subscribers."""

import asyncio
from collections import Counter
from typing import Any

from starlette.responses import Response

from event_gateway.console.page_request import PAGE, PageRequest

MANY = 1000  # subscriptions that the list counts
LATEST = 10  # messages on the page of a stream


async def list_streams(request: PageRequest) -> Response:
    """A page of streams, each with its rate and with what its subscribers lag behind."""
    filters = request.filters("search")
    found, subscriptions = await asyncio.gather(
        request.gateway.list_streams(
            limit=PAGE, cursor=request.query("cursor"), rates=True, **filters
        ),
        request.gateway.list_subscriptions(limit=MANY),
    )
    subscribers = Counter(each["stream"] for each in subscriptions["items"])
    lags: dict[str | None, int] = {}
    for each in subscriptions["items"]:
        lags[each["stream"]] = max(lags.get(each["stream"], 0), each["lag"] or 0)
    return await request.render(
        "streams/list.html",
        page=found,
        filters=filters,
        subscribers=subscribers,
        lags=lags,
        complete=subscriptions["complete"] and subscriptions["next"] is None,
    )


async def show_stream(request: PageRequest) -> Response:
    """One stream: its definition, what it holds, its subscribers and its latest messages."""
    name = request.path("name")
    stream: Any = await request.gateway.show_stream(name)
    whole = "state" in stream
    last = stream["state"]["last_seq"] if whole else 0
    subscriptions, latest = await asyncio.gather(
        request.gateway.list_subscriptions(stream=name, limit=PAGE),
        request.gateway.list_stream_messages(
            name, from_seq=max(last - LATEST + 1, 1) if whole else None, limit=LATEST
        ),
    )
    return await request.render(
        "streams/show.html",
        stream=stream,
        whole=whole,
        subscriptions=subscriptions,
        latest=list(reversed(latest["items"])),
    )


async def disconnect(request: PageRequest) -> Response:
    """Ends a subscription; its client may come again."""
    await request.gateway.close_subscription(request.field("subscription"))
    text = "The subscription has ended. Its client may subscribe again."
    return request.redirect(request.acted_on, text)
