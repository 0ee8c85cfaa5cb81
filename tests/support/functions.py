"""Transformations by function, as their owners write them, for tests."""

import time
from pathlib import Path
from typing import Any

not_one = 1


def counting(event: dict[str, Any]) -> dict[str, Any]:
    """Leaves a trace of each call in the file that the event names."""
    with Path(event["data"]["trace"]).open("a") as file:
        file.write(event["id"] + "\n")
    return {"id": event["id"], "sum": sum(event["data"]["numbers"])}


def as_told(event: dict[str, Any]) -> Any:
    """Gives, or does, what the event says."""
    what = event["data"]["do"]
    if what == "hang":
        time.sleep(30)
    if what == "exit":
        raise SystemExit(3)
    return {
        "dict": {"a": 1}, "list": [1], "text": "hé", "bytes": b"\xff", "none": None,
        "pair": ("text/csv", "a,b"), "bad pair": ("text/csv\r\nx: y", b""), "odd pair": ("a/b", 1),
        "set": {"a": {1j}}, "big": "x" * (1024 * 1024 + 1),
        "count": len(event), "enriched": ["enrichment" in event["data"]],
    }[what]  # fmt: skip


async def later(event: dict[str, Any]) -> None:
    """What is no plain function."""
