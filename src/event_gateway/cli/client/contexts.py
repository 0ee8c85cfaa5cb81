"""Contexts: gateways under names, each with its URL and where its key is.

They are in ``event-gateway/contexts.json`` of the user's configuration directory
(``XDG_CONFIG_HOME``, ``~/.config`` by default), which only the user can read:

    {"current": "prod", "contexts": {"prod": {"url": "https://…", "key": {"file": "/…"}}}}
"""

import errno
import json
import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_gateway.cli.client.key_file import key_in
from event_gateway.cli.client.output import fail
from event_gateway.private_file import write_private

COMMAND_TIMEOUT = 60.0  # seconds; a password manager may ask its user
WRITABLE_BY_OTHERS = 0o022
KINDS = ("file", "env", "command", "value")


@dataclass(frozen=True, slots=True)
class Context:
    """One gateway. ``key``: where its key is, such as ``{"env": "PROD_KEY"}``; empty for none.
    ``ca``: a file with the authority of its certificate."""

    name: str
    url: str
    key: dict[str, str] = field(default_factory=dict)
    ca: str | None = None

    def shown_key(self) -> str:
        """Where the key is, without the key itself."""
        for kind, value in self.key.items():
            return "in the file of contexts" if kind == "value" else f"{kind} {value}"
        return "-"

    def read_key(self) -> str:
        """The key; empty if the context has none. Ends the command if it cannot be read."""
        for kind, value in self.key.items():
            where = f"the key of the context {self.name}"
            if kind == "file":
                return key_in(where, Path(value).expanduser())
            if kind == "env":
                return os.environ.get(value) or fail(f"{where}: {value} is not set", 2)
            if kind == "command":
                return _output_of(value, where)
            return value
        return ""


@dataclass(frozen=True, slots=True)
class Contexts:
    """All contexts by name, and the name of the one in use."""

    by_name: dict[str, Context]
    current: str | None = None

    def named(self, name: str) -> Context:
        """The context of a name. Ends the command if there is none."""
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none; event-gateway context add makes one"
            fail(f"there is no context {name[:64]!r}: there is {known}", 2)
        return self.by_name[name]


def contexts_file() -> Path:
    """Where the contexts are. Raises FileNotFoundError for a user without a home directory, such as
    that of a container."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    try:
        return Path(home).expanduser() / "event-gateway" / "contexts.json"
    except RuntimeError:
        raise FileNotFoundError(
            errno.ENOENT, "this user has no home directory; set XDG_CONFIG_HOME"
        ) from None


def load_contexts() -> Contexts:
    """The contexts of this user. Ends the command if their file cannot be used: the commands in it
    are run."""
    try:
        file = contexts_file()
    except FileNotFoundError:
        return Contexts({})
    try:
        if file.stat().st_mode & WRITABLE_BY_OTHERS:
            fail(f"{file}: others can change it; chmod 600 {shlex.quote(str(file))}", 2)
        stored = json.loads(file.read_text())
        by_name = {name: _context(name, members) for name, members in stored["contexts"].items()}
        return Contexts(by_name, stored.get("current"))
    except FileNotFoundError:
        return Contexts({})
    except OSError as error:
        fail(f"{file}: {error.strerror}", 2)
    except (ValueError, KeyError, TypeError, AttributeError):
        fail(f"{file}: is not a file of contexts; move it away, and add them again", 2)


def store_contexts(contexts: Contexts) -> None:
    """Writes the contexts. Ends the command if that fails."""
    try:
        file = contexts_file()
    except FileNotFoundError as error:
        fail(str(error.strerror))
    members = {
        context.name: {
            "url": context.url,
            **({"key": context.key} if context.key else {}),
            **({"ca": context.ca} if context.ca else {}),
        }
        for context in contexts.by_name.values()
    }
    text = json.dumps({"current": contexts.current, "contexts": members}, indent=2) + "\n"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, text)
    except OSError as error:
        fail(f"{file}: {error.strerror}")


def _context(name: str, members: dict[str, Any]) -> Context:
    key = members.get("key", {})
    if not set(key) <= set(KINDS) or len(key) > 1:
        raise ValueError
    return Context(name, str(members["url"]), dict(key), members.get("ca"))


def _output_of(command: str, where: str) -> str:
    """The first line that a command prints; its errors go to the terminal."""
    try:
        done = subprocess.run(  # noqa: S603 (the user's own command)
            shlex.split(command), stdout=subprocess.PIPE, timeout=COMMAND_TIMEOUT, check=False
        )
    except (OSError, ValueError, IndexError) as error:
        fail(f"{where}: {command}: {getattr(error, 'strerror', None) or error}", 2)
    except subprocess.TimeoutExpired:
        fail(f"{where}: {command}: has not ended after {COMMAND_TIMEOUT:.0f} s", 2)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode or not lines or not lines[0].strip():
        fail(f"{where}: {command}: exit status {done.returncode}, and no key", 2)
    return lines[0].strip()
