"""The messages of an AsyncAPI document, each once, wherever it stands."""

from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping, text
from event_gateway.core.schema.bounds import token


class Message(msgspec.Struct, frozen=True):
    """A message and where it stands. ``names``: what may be its type, the likeliest first;
    ``trouble``: why it cannot be read."""

    place: str
    content: dict[str, Any] = {}
    names: tuple[str, ...] = ()
    trouble: str = ""


def messages(document: Document) -> Iterator[Message]:
    """All messages: those of channels first, then those that only the components hold."""
    seen: set[str] = set()
    for place, value, names in _entries(document):
        try:
            if isinstance(value, Skip):
                raise value
            content, pointer = document.follow(value, place)
        except Skip as skip:
            yield Message(place, trouble=str(skip))
            continue
        if pointer in seen:
            continue
        seen.add(pointer)
        if not isinstance(content, dict):
            yield Message(place, trouble="is no object")
            continue
        key = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        own = (text(content.get("name")), text(content.get("messageId")), key)
        yield Message(pointer, content, (*own, *names))


def _entries(document: Document) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    content = document.content
    components = mapping(content.get("components"))
    of_version = _of_two if document.major == "2" else _of_three
    for place, channels in (
        ("/channels", content.get("channels")),
        ("/components/channels", components.get("channels")),
    ):
        for key, value in mapping(channels).items():
            at = f"{place}/{token(key)}"
            try:
                channel, at = document.follow(value, at)
            except Skip as skip:
                yield at, skip, ()
                continue
            yield from of_version(document, str(key), mapping(channel), at)
    for key, value in mapping(components.get("messages")).items():
        yield f"/components/messages/{token(key)}", value, ()


def _of_two(
    document: Document, key: str, channel: dict[str, Any], at: str
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for action in ("publish", "subscribe"):
        message = mapping(channel.get(action)).get("message")
        place = f"{at}/{action}/message"
        if isinstance(message, dict) and "oneOf" in message:
            for number, one in enumerate(items(message["oneOf"])):
                yield f"{place}/oneOf/{number}", one, ()
        elif message is not None:
            yield place, message, (key,)


def _of_three(
    document: Document, key: str, channel: dict[str, Any], at: str
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    known = mapping(channel.get("messages"))
    names = (text(channel.get("address")), key) if len(known) == 1 else ()
    for name, message in known.items():
        yield f"{at}/messages/{token(name)}", message, names
