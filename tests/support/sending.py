"""Sends one request with the gateway's HTTP client, without a gateway."""

import asyncio

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from support.patience import PATIENCE


async def post(
    sender: HttpClient, url: str, timeout: float = 2.0, body: bytes = b"body"
) -> Response | Failure:
    answered: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()
    head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    sender.post(parse_target(url), head, body, timeout, answered.set_result)
    result = await asyncio.wait_for(answered, timeout + PATIENCE)
    await asyncio.sleep(0)  # the task that dialed ends after it has given its result
    return result


def assert_refused(result: Response | Failure, message: str) -> None:
    assert isinstance(result, Failure), result
    assert (result.error_type, message in result.message) == (
        AttemptErrorType.EGRESS_REFUSED,
        True,
    ), result
