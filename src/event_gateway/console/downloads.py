"""Files that the gateway makes while they are downloaded."""

from collections.abc import AsyncIterator, Callable

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from event_gateway.client import GatewayError, GatewayUnreachable
from event_gateway.console.failures import in_a_line

log = structlog.get_logger(__name__)


class Download(StreamingResponse):
    """A file, whose content is read on. Where the gateway breaks off, the answer has no end: so the
    browser says that the download failed, and keeps no part of it as a whole file."""

    def __init__(
        self, content: AsyncIterator[bytes], name: str, media_type: str,
        ended: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """``ended``, if there is one, is called when the browser has it, or it broke off."""
        self._ended = ended
        super().__init__(
            content, media_type=media_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request (ASGI)."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._ended is not None:
                self._ended()

    async def stream_response(self, send: Send) -> None:
        """Sends the answer, and its end only if all of it was there."""
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        )  # fmt: skip
        try:
            async for chunk in self.body_iterator:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except (GatewayError, GatewayUnreachable) as error:
            log.warning("a download broke off", error=in_a_line(error))
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
