"""Limits at the door: how often a client may fail to log in, and how much one caller may ask."""

import math
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.http.limits import counted_name
from event_gateway.api.server import problem_types
from event_gateway.api.server.problem_types import ProblemType
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.allowances import Allowances
from event_gateway.core.access.failed_logins import FailedLogins
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.request_rates import Quota, RequestLimit, RequestRates
from event_gateway.core.text.addresses import read_address

log = structlog.get_logger(__name__)

_LOGINS = problem_types.TOO_MANY_FAILED_LOGINS

# Calls that change something, of a caller that is no operator: a burst of CHANGES_AT_ONCE, and
# CHANGES_A_SECOND after that. Each leaves two records in the audit log, which drops its oldest
# when it is full.
CHANGES_AT_ONCE = 1000
CHANGES_A_SECOND = 2.0
MAX_KNOWN = 10_000  # credentials that are remembered, with the address that they came from


class Counters(Protocol):
    """What counts logins and requests that were refused."""

    def login_failed(self, reason: str) -> None:
        """``wrong``: a credential that is not valid; ``limited``: it was not looked at."""

    def request_limited(self) -> None:
        """A caller has sent more requests than it may."""


class CallerLimits:
    """Counts failed logins by client address and by key, and requests by caller; in this process.

    Requests from an address whose failures are used up are refused unseen, so that the client
    cannot go on guessing; but not those with a credential with which the address has logged in
    before, or with a valid key whose secret cannot be guessed: one client does not lock out others
    behind the same address. Failures with a key never lock out a client that sends the valid key.
    """

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._known: dict[tuple[str, int], None] = {}
        self._rates = RequestRates()
        self._changes = Allowances(CHANGES_AT_ONCE, CHANGES_A_SECOND)
        self._limit: RequestLimit | None = None
        self._count_failures(30, 60.0)

    def configure(
        self, *, failures: int, period: float, requests: int | None, window: float
    ) -> None:
        """Applies other limits: ``failures`` in ``period`` seconds, for an address and for a key;
        ``requests`` (None: any number) in ``window`` seconds for a caller without a limit of its
        own. Counts failures from zero again where they differ."""
        if (failures, period) != self._failures:
            self._count_failures(failures, period)
        self._limit = None if requests is None else RequestLimit(requests, window)

    def _count_failures(self, limit: int, period: float) -> None:
        """Begins to count failed logins, at none."""
        self._failures = limit, period
        self._addresses = FailedLogins(limit, period)
        self._keys = FailedLogins(limit, period)

    def wait(self, request: CallerRequest) -> float:
        """Seconds for which the client must wait, as it has failed too often; mostly 0."""
        if not self._addresses.subjects:  # no client has failed
            return 0.0
        client = request.client
        seconds = self._addresses.wait(_counted(client), self._clock())
        return 0.0 if (client, _credential(request)) in self._known else seconds

    def refused_unseen(self, seconds: float) -> Problem:
        """The 429 problem for a client that must wait."""
        self._counters.login_failed("limited")
        return _too_many("too many failed logins from this address", seconds, _LOGINS)

    def succeeded(self, request: CallerRequest) -> None:
        """The credential of the request is valid."""
        credential = _credential(request)
        if request.peer.credential == credential:  # as in the request before on the connection
            return
        client = request.client
        if client == request.peer.address:
            request.peer.credential = credential
        if (client, credential) not in self._known:
            if len(self._known) >= MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[client, credential] = None

    def failed(self, request: CallerRequest, key: str) -> None:
        """The credential of the request is not valid; ``key``: the id of the key that it names, or
        empty. Raises the 429 problem in place of the 401 if the key's failures are used up."""
        now = self._clock()
        address = _counted(request.client)
        self._counters.login_failed("wrong")
        if self._addresses.failed(address, now):
            log.warning("too many failed logins of a client", address=address)
        if key:
            seconds = self._keys.wait(key, now)
            if self._keys.failed(key, now):
                log.warning("too many failed logins with a key", key=key)
            if seconds:
                raise _too_many("too many failed logins with this key", seconds, _LOGINS)

    def is_limited(self, principal: Principal) -> bool:
        """Whether the requests of a caller are counted."""
        return (principal.limit or self._limit) is not None

    def spend(self, principal: Principal) -> Quota | None:
        """Counts a request of a caller; None if its requests are not limited."""
        limit = principal.limit or self._limit
        if limit is None:
            return None
        return self._rates.spend((principal.method, principal.id), limit, self._clock())

    def check_quota(self, quota: Quota | None) -> None:
        """Raises the 429 problem if the request was one too many."""
        if quota is not None and quota.remaining < 0:
            self._counters.request_limited()
            requests, window = quota.limit.requests, quota.limit.window
            raise _too_many(f"more than {requests} requests in {window:g} s", quota.reset)

    def check_change(self, principal: Principal) -> None:
        """Counts a call that the audit log records. Raises the 429 problem if it was one too many:
        only an operator can fill that log, and so have its oldest records dropped."""
        if principal.is_operator:
            return
        seconds = self._changes.take(principal.holder, self._clock())
        if seconds:
            self._counters.request_limited()
            raise _too_many("too many changes", seconds)


def _too_many(
    detail: str, seconds: float, kind: ProblemType = problem_types.TOO_MANY_REQUESTS
) -> Problem:
    wait = max(1, math.ceil(seconds))
    return Problem(kind, f"{detail}: try again in {wait} s", {"Retry-After": str(wait)})


def _counted(address: str) -> str:
    parsed = read_address(address)
    return address if parsed is None else counted_name(parsed)


def _credential(request: CallerRequest) -> int:
    """A number that stands for the credential, which is not kept. Python's hash of a text has a
    secret key of the process (SipHash), so nobody can find another text with the same number."""
    return hash(request.bearer or request.parameter("token") or "")
