"""The program and the commands that docs/guides/compliance.md prints verify an export."""

import random
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from event_gateway.core.compliance.export import encode
from support.exports import DAY, lines_of, message
from support.patience import PATIENCE

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "compliance.md"


def _block(pattern: str) -> str:
    (found,) = re.findall(pattern, GUIDE.read_text(), re.DOTALL)
    return str(found)


def _verified(directory: Path, lines: list[bytes]) -> subprocess.CompletedProcess[str]:
    program, file = directory / "verify.py", directory / "audit.ndjson"
    program.write_text(_block(r"```python\n(.*?)```"))
    file.write_bytes(b"\n".join(lines) + b"\n")
    return subprocess.run([sys.executable, "-I", "-S", str(program), str(file)], text=True,
                          capture_output=True, check=False, timeout=PATIENCE)  # fmt: skip


def test_the_program_verifies_an_export_and_finds_changes(tmp_path: Path) -> None:
    rng = random.Random(3)
    messages = [message(seq, rng) for seq in range(1, 41)]
    for left in (1, 9, 25):
        result = _verified(tmp_path, lines_of(messages, left=left, retention=2 * DAY))
        assert result.returncode == 0, result.stdout + result.stderr
    lines = lines_of(messages)
    at = [n for n, line in enumerate(lines) if msgspec.json.decode(line)["type"] == "message"]
    altered = msgspec.json.decode(lines[at[7]]) | {"headers": "NATS/1.0\r\nX: y\r\n\r\n"}
    for changed in (
        [*lines[: at[7]], encode(altered), *lines[at[7] + 1 :]],
        [*lines[: at[7]], *lines[at[7] + 1 :]],
        [*lines[: at[7]], lines[at[8]], lines[at[7]], *lines[at[8] + 1 :]],
        [*lines[: at[7]], lines[at[7]], *lines[at[7] :]],
        lines[:-1],
    ):
        result = _verified(tmp_path, changed)
        assert result.returncode == 1, result.stdout
        assert not result.stderr
    rewritten = lines_of([message(seq, rng) for seq in range(1, 41)])
    anchors = [line for line in lines if b'"type":"anchor"' in line]
    mixed = [anchors.pop(0) if b'"type":"anchor"' in line else line for line in rewritten]
    assert "the chain was rewritten" in _verified(tmp_path, mixed).stdout


def test_openssl_checks_the_signature_of_an_anchor(tmp_path: Path) -> None:
    rng = random.Random(4)
    lines = lines_of([message(seq, rng) for seq in range(1, 41)])
    commands = _block(r"```\n(python3 - <<'END'.*?)```")
    for right in (True, False):
        if not right:
            lines = [line.replace(b"retention: 3", b"retention: 4") for line in lines]
        (tmp_path / "audit.ndjson").write_bytes(b"\n".join(lines) + b"\n")
        result = subprocess.run(["bash", "-c", commands], cwd=tmp_path, text=True,
                                capture_output=True, check=False, timeout=PATIENCE)  # fmt: skip
        assert (result.returncode == 0) is right, result.stdout + result.stderr
