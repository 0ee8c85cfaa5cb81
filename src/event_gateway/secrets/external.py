"""Secrets outside the gateway: environment variables, and files in the secrets directory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from event_gateway.core.webhook.security import SEALING_KEY

MAX_BYTES = 64 * 1024  # of a secret's value


@dataclass(frozen=True, slots=True, repr=False)
class ExternalSecrets:
    """Reads secrets from outside the gateway. Values are never logged.

    The secret ``siem_token`` is the environment variable ``env_prefix`` + ``SIEM_TOKEN``, else the
    content of the file ``siem_token`` in ``directory``.
    """

    environ: Mapping[str, str]
    env_prefix: str
    directory: Path

    def variable(self, name: str) -> str:
        """The environment variable of a secret."""
        return self.env_prefix + name.upper().replace("-", "_").replace(".", "_")

    def find(self, name: str) -> tuple[str, str] | None:
        """The origin of a secret (``environment`` or ``file``) and its value, without white space
        around it; None if there is no such secret."""
        value = self.environ.get(self.variable(name), "").strip()
        if value:
            return "environment", value
        if "/" in name or name in ("", ".", ".."):
            return None
        content = _read(self.directory / name)
        return None if content is None else ("file", content)

    def sealing_key(self, file: Path | None) -> str | None:
        """The keys that seal secrets: the secret SEALING_KEY, else the content of ``file``."""
        external = self.find(SEALING_KEY)
        if external is not None:
            return external[1]
        return None if file is None else _read(file)


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
