"""Calls a receiver: builds and authenticates the request, sends it, and returns the response.

Deliveries, sample requests and handshakes use it. Waiting for an access token, or for a function
that makes the body, is part of the call and of its timeout.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from event_gateway.core.webhook.error_type import ErrorType
from event_gateway.request.access_tokens import TokenPending, TokenRefused, TokenSource
from event_gateway.request.builder import RequestBuilder
from event_gateway.request.request import Request, Unsendable
from event_gateway.request.transformations import BodyPending, PendingBody
from event_gateway.tasks import end, spawn
from event_gateway.transport.client import (
    Failure,
    HttpClient,
    JudgedAddresses,
    Response,
    Target,
)
from event_gateway.transport.response_text import decode_body

log = structlog.get_logger(__name__)

UNAUTHORIZED = 401
MAX_WAITS = 16  # in one call: for the bodies of a batch, then for the token
Done = Callable[[Response | Failure], None]
BuildRequest = Callable[[], Request]  # raises what RequestBuilder.build raises


class _Call(msgspec.Struct):
    """``deadline`` is in the event loop's time; ``renewed``: the call is already using a second
    token; ``shown``: a user will see the response, even if it is a success."""

    builder: RequestBuilder
    build: BuildRequest
    deadline: float
    done: Done
    shown: bool = False
    renewed: bool = False


class ReceiverClient:
    """Calls receivers over HTTP."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._fetching: set[asyncio.Task[None]] = set()

    def send(
        self, builder: RequestBuilder, build: BuildRequest, timeout: float, done: Done,
        *, shown: bool = False,
    ) -> Failure | None:  # fmt: skip
        """Starts a call of the builder's receiver with the request that ``build`` returns.

        ``done`` is called once, later, within ``timeout`` seconds. If no request can be built, the
        reason is returned and ``done`` is not called. Secrets are redacted in the response; in that
        of a success only if it will be ``shown``.
        """
        call = _Call(builder, build, asyncio.get_running_loop().time() + timeout, done, shown)
        try:
            request = _build(call)
        except (TokenPending, BodyPending) as pending:
            self._fetch(call, pending.source)
            return None
        if isinstance(request, Failure):
            return request
        self._post(call, request, timeout)
        return None

    async def request(
        self, builder: RequestBuilder, build: BuildRequest, timeout: float
    ) -> Response | Failure:
        """Calls a receiver, and returns its response for somebody to see."""
        done: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

        def answered(result: Response | Failure) -> None:
            if not done.done():
                done.set_result(result)

        return self.send(builder, build, timeout, answered, shown=True) or await done

    async def judge_addresses(self, target: Target, timeout: float) -> JudgedAddresses:
        """See :meth:`HttpClient.judge_addresses`."""
        return await self._http.judge_addresses(target, timeout)

    async def stop(self) -> None:
        """Cancels the calls that wait for tokens or bodies, without calling their ``done``."""
        await end(self._fetching)

    def _post(self, call: _Call, request: Request, timeout: float) -> None:
        self._http.post(
            call.builder.target, request.head, request.body, timeout,
            lambda result: self._answered(call, request, result), request.identity,
        )  # fmt: skip

    def _answered(self, call: _Call, request: Request, result: Response | Failure) -> None:
        if isinstance(result, Response) and (call.shown or not 200 <= result.status < 300):
            if result.status == UNAUTHORIZED and not call.renewed:
                # The token may have been revoked: send the request once more with a new token.
                source = call.builder.authentication.reject_token(request)
                if source is not None:
                    call.renewed = True
                    self._fetch(call, source)
                    return
            decode_body(result)  # first: a secret in a compressed body would not be found
            call.builder.authentication.redact(request, result)
        call.done(result)

    def _fetch(self, call: _Call, source: TokenSource | PendingBody) -> None:
        task = spawn(self._fetch_and_post(call, source), name="token")
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetch_and_post(self, call: _Call, source: TokenSource | PendingBody) -> None:
        request: Request | Failure | None = None
        try:
            async with asyncio.timeout_at(call.deadline):
                for _ in range(MAX_WAITS):
                    await source.fetch()
                    try:
                        request = _build(call)
                        break
                    except (TokenPending, BodyPending) as pending:
                        source = pending.source
        except TokenRefused as error:
            request = Failure(ErrorType.AUTH_ERROR, str(error))
        except TimeoutError:
            pass
        except Exception as error:  # a bug must not leave the attempt without a result
            log.error("a request could not be built", fault=error)
            request = Failure(ErrorType.AUTH_ERROR, f"no token: {type(error).__name__}")
        if request is None and isinstance(source, PendingBody):
            request = Failure(ErrorType.TRANSFORMATION_ERROR, "no body in time")
        elif request is None:
            request = Failure(ErrorType.AUTH_ERROR, "no access token in time")
        if isinstance(request, Failure):
            call.done(request)
        else:
            left = call.deadline - asyncio.get_running_loop().time()
            self._post(call, request, max(left, 0.001))


def _build(call: _Call) -> Request | Failure:
    """Raises TokenPending and BodyPending."""
    try:
        return call.build()
    except (TokenPending, BodyPending):
        raise
    except Unsendable as error:
        return Failure(error.error_type, str(error), error.final)
    except Exception as error:  # its text may contain a secret
        name = type(error).__name__
        log.error("request cannot be built", host=call.builder.target.host, error=name)
        return Failure(ErrorType.AUTH_ERROR, f"the request cannot be built: {name}")
