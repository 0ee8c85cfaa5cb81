"""Fetches a document with one GET request, as far as the egress guard allows."""

import asyncio
import re
from collections.abc import Mapping

from event_gateway.transport.client import Failure, HttpClient, Response
from event_gateway.transport.target import parse_target

TIMEOUT = 10.0  # seconds for an answer, from the resolution of the name to the end of the body
MAX_BODY = 256 * 1024  # bytes of an answer
# Seconds for which a document counts as current: as the server says (Cache-Control), within these
# bounds.
LIFETIME, SHORTEST, LONGEST = 3600.0, 300.0, 86400.0
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)


class NotFetched(Exception):
    """There is no document now; the text says why."""


async def fetch_document(
    http: HttpClient, url: str, accept: str = "application/json"
) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an answer with status 200. Raises NotFetched."""
    try:
        target = parse_target(url)
    except ValueError as error:
        raise NotFetched(f"its URL {error}") from None
    head = (
        b"GET %b HTTP/1.1\r\nhost: %b\r\naccept: %b\r\n"
        b"accept-encoding: identity\r\nuser-agent: event-gateway\r\n\r\n"
    ) % (target.path.encode(), target.host_header, accept.encode())
    result: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

    def done(answer: Response | Failure) -> None:
        if not result.done():
            result.set_result(answer)

    http.post(target, head, b"", TIMEOUT, done)
    answer = await result
    if isinstance(answer, Failure):
        hint = "; auth.allow_networks can allow it" if answer.error_type == "EgressRefused" else ""
        raise NotFetched(f"{target.host}: {answer.error_type}, {answer.message}{hint}")
    if 300 <= answer.status < 400:
        raise NotFetched(f"{target.host} redirects, which is not followed: name the final URL")
    if answer.status != 200:
        raise NotFetched(f"{target.host} answered {answer.status}")
    if answer.truncated:
        raise NotFetched(f"{target.host} sent more than {MAX_BODY} bytes, or not all of them")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotFetched(
            f"{target.host} sent a compressed answer, which the gateway has not asked for"
        )
    return answer.body, answer.headers


def lifetime_of(headers: Mapping[str, str]) -> float:
    """For how many seconds an answer with these headers is fresh (RFC 9111, 4.2), within bounds."""
    control = headers.get("cache-control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return SHORTEST
    match = _MAX_AGE.search(control)
    if match is None:
        return LIFETIME
    age = headers.get("age", "0").strip()
    spent = float(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0.0
    return min(max(float(match[1]) - spent, SHORTEST), LONGEST)
