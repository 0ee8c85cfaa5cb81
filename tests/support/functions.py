"""Functions that tests use as transformations."""

import time
from pathlib import Path
from typing import Any

not_a_function = 1


def counting(event: dict[str, Any]) -> dict[str, Any]:
    """Writes a line for each call to the file that the event names."""
    with Path(event["data"]["trace"]).open("a") as file:
        file.write(event["id"] + "\n")
    return {"id": event["id"], "sum": sum(event["data"]["numbers"])}


def on_request(event: dict[str, Any]) -> Any:
    """Returns, or does, what the event requests."""
    action = event["data"]["do"]
    if action == "hang":
        time.sleep(30)
    if action == "exit":
        raise SystemExit(3)
    return {
        "dict": {"a": 1}, "list": [1], "text": "hé", "bytes": b"\xff", "none": None,
        "pair": ("text/csv", "a,b"), "bad pair": ("text/csv\r\nx: y", b""), "odd pair": ("a/b", 1),
        "set": {"a": {1j}}, "big": "x" * (1024 * 1024 + 1),
        "count": len(event), "enriched": ["enrichment" in event["data"]],
    }[action]  # fmt: skip


async def coroutine_function(event: dict[str, Any]) -> None:
    """A coroutine function, which cannot be a transformation."""
