"""Reads the few instructions of a Dockerfile that ours has."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One ``FROM`` with what follows: its instructions in their order."""

    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """The argument of the last such instruction; raises IndexError if there is none."""
        return [argument for name, argument in self.instructions if name == instruction][-1]

    def command(self) -> list[str]:
        """What a container runs: ``ENTRYPOINT`` and ``CMD`` in the exec form, or ValueError."""
        return [*json.loads(self.last("ENTRYPOINT")), *json.loads(self.last("CMD"))]

    def health_check(self) -> list[str]:
        """The command of ``HEALTHCHECK``, in the exec form."""
        return list(json.loads(self.last("HEALTHCHECK").partition("CMD ")[2]))


def stages(path: Path) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, argument = line.split(None, 1)
        if name == "FROM":
            found.append(Stage(argument.partition(" AS ")[2]))
        elif found:
            found[-1].instructions.append((name, argument))
    return found


def variables(argument: str, known: dict[str, str]) -> dict[str, str]:
    """What an ``ENV`` sets; ``$NAME`` is taken from what is known."""
    pairs = (word.split("=", 1) for word in shlex.split(argument))
    return {
        name: re.sub(r"\$(\w+)", lambda found: known.get(found[1], ""), value)
        for name, value in pairs
    }
