"""Downloads of the console: one that breaks off has no end, so that browsers say that it failed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from event_gateway.client import GatewayUnreachable
from event_gateway.console.downloads import Download


@pytest.mark.parametrize("breaks_off", [False, True])
async def test_only_a_whole_download_has_an_end(breaks_off: bool) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"first\n"
        if breaks_off:
            raise GatewayUnreachable("the gateway does not answer")
        yield b"last\n"

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Download(content(), "a.jsonl", "application/jsonl").stream_response(send)
    assert sent[0]["status"] == 200
    bodies = b"".join(each.get("body", b"") for each in sent)
    assert bodies == (b"first\n" if breaks_off else b"first\nlast\n")
    assert [each["more_body"] for each in sent[1:]].count(False) == (0 if breaks_off else 1)
