"""Calls a receiver: builds and authenticates the request, sends it, and returns the response.

Deliveries, sample requests and handshakes use it. Waiting for an access token, or for a function
that makes the body, is part of the call and of its timeout.

A call is one object (:class:`ReceiverCall`) that knows how its request is built and what its result
means, in place of two functions with what they need bound to them: a delivery is one call.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.request.access_tokens import ClientTokens, NoAccessToken, TokenPending
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
BuildRequest = Callable[[], Request]  # raises what RequestBuilder.build raises


class ReceiverCall:
    """A call of the receiver of ``builder``, within ``timeout`` seconds.

    Secrets are redacted in the response; in that of a success only if a user will see it
    (``shown``).
    """

    __slots__ = ("builder", "client", "renewed", "request", "started", "timeout")

    shown = False
    builder: RequestBuilder
    timeout: float
    # Set by the client when it starts.
    client: "ReceiverClient"
    started: float  # on the monotonic clock
    renewed: bool  # it is already using a second token
    request: Request  # that was sent last

    @property
    def left(self) -> float:
        """Seconds until its timeout."""
        return self.started + self.timeout - time.monotonic()

    def build(self) -> Request:
        """Builds the request, again after a wait. Raises what RequestBuilder.build raises."""
        raise NotImplementedError

    def done(self, result: Response | Failure) -> None:
        """Takes the result: called once, later, unless ``ReceiverClient.send`` has returned it."""
        raise NotImplementedError

    def answered(self, result: Response | Failure) -> None:
        """Takes the result of the request."""
        if isinstance(result, Response) and (self.shown or not 200 <= result.status < 300):
            authentication = self.builder.authentication
            if result.status == UNAUTHORIZED and not self.renewed:
                # The token may have been revoked: send the request once more with a new token.
                source = authentication.reject_token(self.request)
                if source is not None:
                    self.renewed = True
                    self.client.fetch(self, source)
                    return
            decode_body(result)  # first: a secret in a compressed body would not be found
            authentication.redact(self.request, result)
        self.done(result)


class _ShownCall(ReceiverCall):
    """A call whose response a user will see."""

    __slots__ = ("_build", "answer")

    shown = True

    def __init__(self, builder: RequestBuilder, timeout: float, build: BuildRequest) -> None:
        self.builder = builder
        self.timeout = timeout
        self._build = build
        self.answer: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

    def build(self) -> Request:
        return self._build()

    def done(self, result: Response | Failure) -> None:
        if not self.answer.done():
            self.answer.set_result(result)


class ReceiverClient:
    """Calls receivers over HTTP."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._fetching: set[asyncio.Task[None]] = set()

    def send(self, call: ReceiverCall) -> Failure | None:
        """Starts a call. If no request can be built, the reason is returned."""
        call.client = self
        call.started = time.monotonic()
        call.renewed = False
        try:
            request = call.build()
        except (TokenPending, BodyPending) as pending:
            self.fetch(call, pending.source)
        except Exception as error:
            return _not_built(call, error)
        else:
            self._post(call, request, call.timeout)
        return None

    async def request(
        self, builder: RequestBuilder, build: BuildRequest, timeout: float
    ) -> Response | Failure:
        """Calls a receiver, and returns its response, for the API to show."""
        call = _ShownCall(builder, timeout, build)
        return self.send(call) or await call.answer

    async def judge_addresses(self, target: Target, timeout: float) -> JudgedAddresses:
        """See :meth:`HttpClient.judge_addresses`."""
        return await self._http.judge_addresses(target, timeout)

    async def stop(self) -> None:
        """Cancels the calls that wait for tokens or bodies, without calling their ``done``."""
        await end(self._fetching)

    def fetch(self, call: ReceiverCall, source: ClientTokens | PendingBody) -> None:
        """Goes on with a call once there is a token or a body, within what is left of its
        timeout."""
        task = spawn(self._fetch_and_post(call, source), name="token")
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetch_and_post(self, call: ReceiverCall, source: ClientTokens | PendingBody) -> None:
        request: Request | Failure | None = None
        try:
            async with asyncio.timeout(call.left):
                for _ in range(MAX_WAITS):
                    await source.fetch()
                    try:
                        request = call.build()
                        break
                    except (TokenPending, BodyPending) as pending:
                        source = pending.source
                    except Exception as error:
                        request = _not_built(call, error)
                        break
        except NoAccessToken as error:
            request = Failure(AttemptErrorType.AUTH_ERROR, str(error))
        except TimeoutError:
            pass
        except Exception as error:  # a bug must not leave the attempt without a result
            log.error("a request could not be built", fault=error)
            request = Failure(AttemptErrorType.AUTH_ERROR, f"no token: {type(error).__name__}")
        if request is None and isinstance(source, PendingBody):
            request = Failure(AttemptErrorType.TRANSFORMATION_ERROR, "no body in time")
        elif request is None:
            request = Failure(AttemptErrorType.AUTH_ERROR, "no access token in time")
        if isinstance(request, Failure):
            call.done(request)
        else:
            self._post(call, request, max(call.left, 0.001))

    def _post(self, call: ReceiverCall, request: Request, timeout: float) -> None:
        call.request = request
        self._http.post(
            call.builder.target, request.head, request.body, timeout, call.answered,
            request.identity,
        )  # fmt: skip


def _not_built(call: ReceiverCall, error: Exception) -> Failure:
    """Why there is no request: what :meth:`ReceiverCall.build` raised."""
    if isinstance(error, Unsendable):
        return Failure(error.error_type, str(error), error.final)
    name = type(error).__name__  # its text may contain a secret
    log.error("request cannot be built", host=call.builder.target.host, error=name)
    return Failure(AttemptErrorType.AUTH_ERROR, f"the request cannot be built: {name}")
