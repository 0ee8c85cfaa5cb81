"""What a gateway answers: content with its entity tag, or an error."""

import os
import ssl
from collections.abc import Mapping
from typing import Any, NoReturn

import httpx


class Answer(dict[str, Any]):
    """The members of an answer. ``etag``: the tag of the definition, for ``if_match``; None where
    the answer has none. ``replayed``: it is the answer that an earlier request with the same
    idempotency key got."""

    etag: str | None = None
    replayed: bool = False


class GatewayError(Exception):
    """The gateway refused a request. ``type`` is the stable type of the problem, such as
    ``/problems/not-found``; ``status`` that of the answer; ``retry_after`` the seconds after which
    to try again, if the gateway says so; ``problem`` the whole problem object (RFC 9457)."""

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after: float | None = None
    ) -> None:
        self.status = status
        self.problem = dict(problem)
        self.retry_after = retry_after
        super().__init__(self.detail)

    @property
    def type(self) -> str:
        """The stable type of the problem."""
        return str(self.problem.get("type", "about:blank"))

    @property
    def detail(self) -> str:
        """What is wrong, for people."""
        return str(self.problem.get("detail") or f"the gateway answered {self.status}")


class GatewayUnreachable(ConnectionError):
    """The gateway cannot be reached, or what answers is no gateway; the text says why."""


def etag_of(answer: Mapping[str, Any]) -> str | None:
    """The entity tag that came with an answer, for the parameter ``if_match`` of a change."""
    return getattr(answer, "etag", None)


def content_of(response: httpx.Response) -> Any:
    """The content of an answer: an :class:`Answer`, a text, or None without a body. Raises
    GatewayError, and GatewayUnreachable where no gateway answers so."""
    if response.is_error:
        raise error_of(response)
    if not response.content:
        return None
    if not response.headers.get("content-type", "").startswith("application/json"):
        return response.text
    answer = Answer(_object(response))
    answer.etag = response.headers.get("etag")
    answer.replayed = response.headers.get("idempotency-replayed") == "true"
    return answer


def error_of(response: httpx.Response) -> GatewayError:
    """The error of an answer whose body was read."""
    problem = _object(response)
    seconds = response.headers.get("retry-after", "")
    return GatewayError(
        response.status_code, problem, float(seconds) if seconds.isdecimal() else None
    )


def raise_unreachable(url: str, error: httpx.HTTPError | ssl.SSLError) -> NoReturn:
    """Raises GatewayUnreachable with the reason that is nearest to the cause."""
    cause: BaseException | None = error
    reason = str(error) or type(error).__name__
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted: {cause.verify_message}"
        elif isinstance(cause, ssl.SSLError):
            reason = f"TLS: {cause.reason or cause}"
        elif isinstance(cause, OSError) and cause.errno:
            # asyncio has words of its own; those of a name that is not found have a negative number
            known = cause.errno > 0
            reason = (os.strerror(cause.errno) if known else cause.strerror) or reason
        cause = cause.__cause__ or cause.__context__
    raise GatewayUnreachable(f"{url}: {reason}") from error


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        shown = str(response.url.copy_with(raw_path=b"/", userinfo=b""))
        raise GatewayUnreachable(
            f"{shown.rstrip('/')} answers {response.status_code}, and not as a gateway does"
        )
    return content
