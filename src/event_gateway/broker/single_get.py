"""Reads one message of a stream."""

import base64
import json

from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError

from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker
from event_gateway.broker.headers import parse_headers


async def get_message(
    broker: Broker, stream: str, seq: int, *, direct: bool = True
) -> RawStreamMsg:
    """Reads one message of a stream.

    With ``direct``, any replica of the stream may respond. A replica can be behind the stream's
    leader, so the leader is asked before NotFoundError is raised. Raises NotFoundError, APIError,
    and the exceptions in BrokerError.
    """
    if direct:
        try:
            return await broker.js.get_msg(stream, seq=seq, direct=True)
        except NotFoundError:
            pass
    response = await broker.nc.request(
        f"$JS.API.STREAM.MSG.GET.{stream}", b'{"seq":%d}' % seq, timeout=REQUEST_TIMEOUT
    )
    body = json.loads(response.data)
    if "error" in body:
        raise APIError.from_error(body["error"])
    message: RawStreamMsg = RawStreamMsg.from_response(body["message"])
    message.data = base64.b64decode(message.data or b"")
    # The client would parse the headers by the rules of e-mail.
    message.headers = parse_headers(base64.b64decode(message.hdrs or b""))
    return message
