"""The scripts that run in Redis, where each script is atomic.

A script is a file in a folder that is named after its subject. It includes code from ``shared/``
with a line ``-- include shared/FILE``. A generated part comes first, with those of the following
definitions that the script uses:

- ``queue_key(webhook)``, ``DUE_KEY``: the keys of :mod:`event_gateway.state.keys`, and
  ``STATS_TTL``: a family's time to live in ms;
- ``forget_webhook(webhook)``, ``forget_webhook_history(webhook)``: delete the keys that that module
  assigns to them;
- ``CHANGE_TOKEN``: the index of a field of :mod:`event_gateway.state.script_arguments`, and
  ``LEASED_FIELDS``: the names of all its fields;
- ``FINAL``: the final statuses of a delivery, and ``WEBHOOK_DELETED``: why it was cancelled;
- ``READING_KEEP``: the values of :class:`~event_gateway.state.script_arguments.EventReading`.
"""

import functools
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from event_gateway.core.webhook.delivery import FINAL, WEBHOOK_DELETED
from event_gateway.state.key_family import PREFIX, Deletion, KeyFamily
from event_gateway.state.keys import FAMILIES
from event_gateway.state.script_arguments import LAYOUTS, EventReading

_INCLUDE = re.compile(r"^-- include (\S+)$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_REMOVE = {"hash": "HDEL", "set": "SREM", "zset": "ZREM"}

Run = Callable[..., Awaitable[Any]]
RunAll = Callable[[Sequence[tuple[Any, ...]]], Awaitable[list[Any]]]


def script(client: Redis, name: str) -> Run:
    """A function that runs the script in a file, such as ``queues/take.lua``.

    The function gets the script's ARGV, and ``key=`` if the script works on a single key of the
    caller's choice.
    """
    text = source(name)
    digest = client.register_script(text).sha
    call: Any = client.execute_command

    async def run(*args: Any, key: str = PREFIX) -> Any:
        try:
            return await call("EVALSHA", digest, 1, key, *args)
        except NoScriptError:  # of a server that was restarted, or has taken over
            await call("SCRIPT LOAD", text)
            return await call("EVALSHA", digest, 1, key, *args)

    return run


def script_calls(client: Redis, name: str) -> RunAll:
    """A function that runs the script in a file many times in one round trip.

    The function gets the ARGV of each call. Where a server lacks the script, the calls that it has
    run are run again: the script must recognise them.
    """
    text = source(name)
    digest = client.register_script(text).sha
    server: Any = client  # the gateway's own client

    async def run_all(arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        calls = [("EVALSHA", digest, 1, PREFIX, *args) for args in arguments]
        try:
            return cast(list[Any], await server.call_scripts(calls))
        except NoScriptError:  # of a server that was restarted, or has taken over
            await server.execute_command("SCRIPT LOAD", text)
            return cast(list[Any], await server.call_scripts(calls))

    return run_all


def names() -> list[str]:
    """The names of all scripts."""
    return sorted(
        f"{folder.name}/{file.name}"
        for folder in _package().iterdir()
        if folder.is_dir() and folder.name not in ("shared", "__pycache__")
        for file in folder.iterdir()
    )


@functools.cache
def source(name: str) -> str:
    """The complete text of a script, as Redis gets it."""
    return "\n".join(text for _, text in parts(name))


def parts(name: str) -> list[tuple[str, str]]:
    """The parts of a script's text, each with its file ('': generated)."""
    included: dict[str, str] = {}
    _include(name, included)
    words = {word for text in included.values() for word in _WORD.findall(_uncommented(text))}
    return [("", _preamble(words)), *included.items()]


def _include(name: str, included: dict[str, str]) -> None:
    text = _package().joinpath(name).read_text()
    for other in _INCLUDE.findall(text):
        if other not in included:
            _include(other, included)
    included[name] = text


def _package() -> Traversable:
    return files(__name__)


def _uncommented(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))


def _preamble(words: set[str]) -> str:
    lines = []
    functions = {
        "forget_webhook": (Deletion.FORGET, Deletion.FORGET_HISTORY),
        "forget_webhook_history": (Deletion.FORGET_HISTORY,),
    }
    for function, when in functions.items():
        if function in words:
            lines += _forget(
                function, [family for family in FAMILIES if family.at_deletion in when]
            )
    words = words | set(_WORD.findall("\n".join(lines)))
    keys = [line for family in FAMILIES for line in _names(family, words)]
    for layout, fields in LAYOUTS.items():
        for index, field in enumerate(fields, 1):
            name = f"{layout}_{field.upper()}"
            if name in words:
                keys.append(f"local {name} = {index}")
        if f"{layout}_FIELDS" in words:
            quoted = ", ".join(f"'{field}'" for field in fields)
            keys.append(f"local {layout}_FIELDS = {{ {quoted} }}")
    if "FINAL" in words:
        statuses = ", ".join(f"{status.value} = true" for status in sorted(FINAL))
        keys.append(f"local FINAL = {{ {statuses} }}")
    if "WEBHOOK_DELETED" in words:
        keys.append(f"local WEBHOOK_DELETED = '{WEBHOOK_DELETED}'")
    keys += [
        f"local READING_{reading.name} = {reading.value}"
        for reading in EventReading
        if f"READING_{reading.name}" in words
    ]
    lines = keys + lines
    if any("prefix" in line for line in lines):
        lines.insert(0, "local prefix = KEYS[1]")
    return "\n".join(lines)


def _names(family: KeyFamily, words: Iterable[str]) -> list[str]:
    """The definitions for a family: its key, or the function that returns it, and its TTL."""
    constant, function, ttl = f"{family.name.upper()}_KEY", f"{family.name}_key", (
        f"{family.name.upper()}_TTL"
    )  # fmt: skip
    definitions = []
    if constant in words and not family.placeholders:
        definitions.append(f"local {constant} = prefix .. '{family.pattern}'")
    if function in words and family.placeholders:
        key = ["prefix"]
        for literal, placeholder in zip(family.literals, [*family.placeholders, ""], strict=True):
            key += [f"'{literal}'"] * bool(literal) + [placeholder] * bool(placeholder)
        parameters = ", ".join(family.placeholders)
        definitions.append(f"local function {function}({parameters}) return {' .. '.join(key)} end")
    if ttl in words:
        definitions.append(f"local {ttl} = {family.ttl_ms}")
    return definitions


def _forget(function: str, families: list[KeyFamily]) -> list[str]:
    """A function that deletes a webhook's own keys, and its members in the keys of all webhooks."""
    own = ", ".join(f"{family.name}_key(webhook)" for family in families if family.placeholders)
    shared = [
        f"  redis.call('{_REMOVE[family.type]}', {family.name.upper()}_KEY, webhook)"
        for family in families
        if not family.placeholders
    ]
    head = f"local function {function}(webhook)"
    return [head, f"  redis.call('DEL', {own})", *shared, "end"]
