"""The gateway whose router takes no events: the cost of taking them in alone.

    python -m bench.unrouted serve …

Accepts the gateway's own arguments. The gateway has no such option; only this process lacks it.
"""

from bench.programs import READER, STREAM
from event_gateway.broker.pull import Puller
from event_gateway.cli.main import main

_request = Puller.request


async def _none_for_the_router(self: Puller, room: int) -> None:
    """Requests no messages of the router's consumer."""
    if not self._next.endswith(f".{STREAM}.{READER}"):
        await _request(self, room)


Puller.request = _none_for_the_router  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
