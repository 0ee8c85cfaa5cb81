"""The scripts that run in Redis, so that what belongs together is written together."""

from importlib.resources import files
from typing import Any

from redis.asyncio import Redis


def script(client: Redis, *names: str) -> Any:
    """A server-side script, made of files of this package that share their locals.

    It is called with keys and args.
    """
    package = files("event_gateway.state")
    return client.register_script("\n".join(package.joinpath(one).read_text() for one in names))
