"""A transport without a network, for protocols that are tested with bytes alone."""

import asyncio
from typing import Any


class RecordingTransport(asyncio.Transport):
    """Keeps what was written; ``closing``: the protocol has ended the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data: Any) -> None:
        """Keeps the bytes."""
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be written."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def is_closing(self) -> bool:
        """Whether the protocol has ended the connection."""
        return self.closing

    def close(self) -> None:
        """Notes that the connection has ended."""
        self.closing = True

    def abort(self) -> None:
        """Notes that the connection has ended."""
        self.closing = True

    def pause_reading(self) -> None:
        """There is nothing to read."""

    def resume_reading(self) -> None:
        """There is nothing to read."""
