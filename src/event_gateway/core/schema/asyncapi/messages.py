"""The messages of an AsyncAPI document, each once."""

from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.schema.asyncapi.bundle import CopyBudget
from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping, text
from event_gateway.core.schema.asyncapi.traits import with_traits
from event_gateway.core.schema.bounds import token

MAX_MERGED = 500_000  # members of messages and traits that are merged in one document


class Message(msgspec.Struct, frozen=True):
    """A message with its JSON Pointer; its traits are merged into it. ``names``: candidates for its
    event type, the likeliest first; ``problem``: why it cannot be read, or empty."""

    pointer: str
    content: dict[str, Any] = {}
    names: tuple[str, ...] = ()
    problem: str = ""


def messages(document: Document) -> Iterator[Message]:
    """All messages: first those of channels, then those that are only in the components."""
    seen: set[str] = set()
    budget = CopyBudget(MAX_MERGED)
    for at, value, names in _entries(document):
        try:
            if isinstance(value, Skip):
                raise value
            content, pointer = document.follow(value, at)
        except Skip as skip:
            yield Message(at, problem=str(skip))
            continue
        if pointer in seen:
            continue
        seen.add(pointer)
        if not isinstance(content, dict):
            yield Message(at, problem="is not an object")
            continue
        try:
            content = with_traits(document, content, budget)
        except Skip as skip:
            yield Message(pointer, problem=str(skip))
            continue
        key = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        own = (text(content.get("name")), text(content.get("messageId")), key)
        yield Message(pointer, content, (*own, *names))


def _entries(document: Document) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    content = document.content
    components = mapping(content.get("components"))
    of_version = _entries_in_v2 if document.major == "2" else _entries_in_v3
    for parent, channels in (
        ("/channels", content.get("channels")),
        ("/components/channels", components.get("channels")),
    ):
        for key, value in mapping(channels).items():
            at = f"{parent}/{token(key)}"
            try:
                channel, at = document.follow(value, at)
            except Skip as skip:
                yield at, skip, ()
                continue
            yield from of_version(str(key), mapping(channel), at)
    for key, value in mapping(components.get("messages")).items():
        yield f"/components/messages/{token(key)}", value, ()


def _entries_in_v2(
    key: str, channel: dict[str, Any], at: str
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for action in ("publish", "subscribe"):
        message = mapping(channel.get(action)).get("message")
        pointer = f"{at}/{action}/message"
        if isinstance(message, dict) and "oneOf" in message:
            for number, alternative in enumerate(items(message["oneOf"])):
                yield f"{pointer}/oneOf/{number}", alternative, ()
        elif message is not None:
            yield pointer, message, (key,)


def _entries_in_v3(
    key: str, channel: dict[str, Any], at: str
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    by_name = mapping(channel.get("messages"))
    names = (text(channel.get("address")), key) if len(by_name) == 1 else ()
    for name, message in by_name.items():
        yield f"{at}/messages/{token(name)}", message, names
