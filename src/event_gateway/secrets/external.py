"""Secrets outside the gateway: environment variables, and files in the secrets directory."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from event_gateway.core.webhook.security import SEALING_KEY, is_sealing_key
from event_gateway.secrets.private_files import NOTHING_PRIVATE, PrivateFiles

MAX_BYTES = 64 * 1024  # of a secret's value
# Variables of the gateway itself, which a short ``env_prefix`` would let be named.
OWN_VARIABLES = ("EVENT_GATEWAY__", "EVENT_GATEWAY_KEY")


@dataclass(frozen=True, slots=True, repr=False)
class ExternalSecrets:
    """Reads secrets from outside the gateway. Values are never logged.

    The secret ``siem_token`` is the environment variable ``env_prefix`` + ``SIEM_TOKEN``, else the
    content of the file ``siem_token`` in ``directory``.

    No name refers to the sealing key (in ``sealing_key_file`` if there is no secret of that name),
    or to one of the gateway's ``private`` files.
    """

    environ: Mapping[str, str]
    env_prefix: str
    directory: Path
    private: PrivateFiles = NOTHING_PRIVATE
    sealing_key_file: Path | None = None

    def variable(self, name: str) -> str:
        """The environment variable of a secret."""
        return self.env_prefix + name.upper().replace("-", "_").replace(".", "_")

    def find(self, name: str) -> tuple[str, str] | None:
        """The origin of a secret (``environment`` or ``file``) and its value, without white space
        around it; None if there is no such secret."""
        if self._is_refused(name):
            return None
        value = self.environ.get(self.variable(name), "").strip()
        path = self.directory / name
        if not value and not os.path.exists(path):
            return None  # most are in the sealed store
        if self.is_private(path):
            return None
        if value:
            return "environment", value
        content = _read(path)
        return None if content is None else ("file", content)

    def refuses(self, name: str) -> bool:
        """Whether a name is not valid, or refers to a file that no caller may name."""
        return self._is_refused(name) or self.is_private(self.directory / name)

    def _is_refused(self, name: str) -> bool:
        """Whether nothing may have a name, whatever is in the directory."""
        if "/" in name or "\0" in name or name in ("", ".", "..") or is_sealing_key(name):
            return True
        return self.variable(name).startswith(OWN_VARIABLES)

    def is_private(self, path: Path) -> bool:
        """Whether a path leads to a private file, or to the sealing key."""
        keys = [self.directory / SEALING_KEY]
        if self.sealing_key_file is not None:
            keys.append(self.sealing_key_file)
        return self.private.includes(path, self.directory, *keys)

    def sealing_key(self) -> str | None:
        """The keys of the sealed secrets: the variable or file of that name, else the content of
        ``sealing_key_file``."""
        value = self.environ.get(self.variable(SEALING_KEY), "").strip()
        content = value or _read(self.directory / SEALING_KEY)
        if not content and self.sealing_key_file is not None:
            content = _read(self.sealing_key_file)
        return content or None


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
