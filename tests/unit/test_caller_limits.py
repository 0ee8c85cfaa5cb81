"""Failed logins, and the requests of a caller, counted on a clock that the test sets."""

import pytest
from msgspec.structs import replace

from event_gateway.api.access import caller_limits
from event_gateway.api.access.authenticator import Authenticator, Unauthenticated
from event_gateway.api.access.caller_limits import CallerLimits
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.allowances import MAX_CALLERS as MAX_REMEMBERED
from event_gateway.core.access.allowances import Allowances
from event_gateway.core.access.failed_logins import MAX_SUBJECTS, FailedLogins
from event_gateway.core.access.principal import OPERATOR, Principal
from event_gateway.core.access.request_rates import MAX_CALLERS, RequestLimit, RequestRates

RIGHT = "egk_RightRight00_secret"
RANDOM = "egk_RandomRandom_as a gateway makes it"
EXPIRED = "valid once"
PRINCIPAL = Principal(name="k", method="api_key", id="k", scopes=frozenset())


class _Counters:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def login_failed(self, reason: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1

    def request_limited(self) -> None:
        self.login_failed("requests")


class _Keys:
    def authenticate(self, request: CallerRequest) -> Principal | None:
        if request.bearer in (RIGHT, RANDOM):
            return PRINCIPAL
        if request.bearer:
            raise Unauthenticated("the key is not known", guess=request.bearer != EXPIRED)
        return None

    def still_valid(self, _principal: Principal) -> bool:
        return True


def _not_guessed(request: CallerRequest) -> Principal | None:
    return PRINCIPAL if request.bearer == RANDOM else None


class _Door:
    """A door with its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counters = _Counters()
        self.limits = CallerLimits(self.counters, lambda: self.now)
        self.limits.configure(failures=3, period=30.0, requests=None, window=1.0)
        self._authenticator = Authenticator({"api_key": _Keys()}, self.limits, _not_guessed)

    async def ask(self, key: str = "", address: str = "192.0.2.1") -> int | str:
        """The status of a request; for 429 with the seconds to wait."""
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        scope = {
            "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
            "headers": headers, PEER: Peer(address),
        }  # fmt: skip
        request = CallerRequest(scope, _no_body)
        try:
            self._authenticator.authenticate(request)
        except Unauthenticated:
            return 401
        except Problem as problem:
            return f"{problem.status} {(problem.headers or {})['Retry-After']}"
        return 200


async def _no_body() -> bytes:
    return b""


async def test_an_address_that_guesses_must_wait() -> None:
    door = _Door()
    assert [await door.ask(f"wrong{number}") for number in range(5)] == [401] * 3 + ["429 10"] * 2
    # Unseen: not even the right key, as a guess might be right.
    assert await door.ask(RIGHT) == "429 10"
    assert await door.ask(RIGHT, "192.0.2.2") == 200
    door.now += 9.5
    assert await door.ask("wrong") == "429 1"
    door.now += 0.6
    assert await door.ask(RIGHT) == 200
    assert [await door.ask("wrong"), await door.ask("wrong")] == [401, "429 10"]
    # Known from here, it is not locked out by others behind the address.
    assert await door.ask(RIGHT) == 200
    door.now += 30
    assert [await door.ask("wrong") for _ in range(4)] == [401] * 3 + ["429 10"]
    assert door.counters.counts == {"wrong": 7, "limited": 6}


async def test_requests_without_a_credential_are_no_failures() -> None:
    door = _Door()
    assert {await door.ask() for _ in range(50)} == {401}
    assert not door.counters.counts


async def test_what_was_valid_once_is_no_guess() -> None:
    """One client that goes on with an expired token locks out no others behind its address."""
    door = _Door()
    assert {await door.ask(EXPIRED) for _ in range(50)} == {401}
    assert await door.ask(RIGHT) == 200


async def test_a_key_is_guessed_from_many_addresses() -> None:
    door = _Door()
    answers = [await door.ask("egk_RightRight00_no", f"198.51.100.{host}") for host in range(6)]
    assert answers == [401] * 3 + ["429 10"] * 3
    # A client with the right key is never locked out.
    assert await door.ask(RIGHT, "203.0.113.9") == 200
    assert await door.ask("egk_OtherOther00_no", "203.0.113.9") == 401


async def test_a_valid_key_that_nobody_can_guess_is_not_locked_out() -> None:
    door = _Door()
    assert [await door.ask(f"wrong{number}") for number in range(4)] == [401] * 3 + ["429 10"]
    assert await door.ask(RANDOM) == 200
    assert await door.ask(RIGHT) == "429 10"
    door.now += 10
    assert [await door.ask("wrong"), await door.ask("wrong")] == [401, "429 10"]
    assert door.counters.counts == {"wrong": 4, "limited": 3}


def test_a_key_with_a_limit_of_its_own_has_that_one() -> None:
    door = _Door()
    own = replace(PRINCIPAL, limit=RequestLimit(2, 60.0))
    assert door.limits.spend(PRINCIPAL) is None
    door.limits.configure(failures=3, period=30.0, requests=9, window=1.0)
    quotas = [door.limits.spend(own) for _ in range(3)]
    assert [quota and (quota.remaining, quota.reset) for quota in quotas] == [
        (1, 60.0), (0, 60.0), (-1, 60.0),
    ]  # fmt: skip
    with pytest.raises(Problem, match="more than 2 requests in 60 s"):
        door.limits.check_quota(quotas[2])
    other = door.limits.spend(replace(PRINCIPAL, id="other"))
    assert other is not None
    assert (other.limit.requests, other.remaining) == (9, 8)


def test_only_an_operator_makes_any_number_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller_limits, "CHANGES_AT_ONCE", 3)
    door = _Door()
    for _ in range(3):
        door.limits.check_change(PRINCIPAL)
    with pytest.raises(Problem, match="too many changes") as refused:
        door.limits.check_change(PRINCIPAL)
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    door.limits.check_change(replace(PRINCIPAL, id="other"))
    for _ in range(9):
        door.limits.check_change(OPERATOR)
    door.now += 0.5
    door.limits.check_change(PRINCIPAL)
    assert door.counters.counts == {"requests": 1}
    allowances = Allowances(1, 1.0)
    for number in range(2 * MAX_REMEMBERED):
        allowances.take(str(number), 0.0)
    assert len(allowances) == MAX_REMEMBERED


async def test_an_ipv6_network_is_one_client() -> None:
    door = _Door()
    assert [await door.ask("wrong", f"2001:db8::{host}") for host in (1, 2, 3, 4)] == [
        401, 401, 401, "429 10",
    ]  # fmt: skip
    assert await door.ask("wrong", "2001:db8:0:1::1") == 401


def test_failures_and_windows_are_bounded() -> None:
    failed = FailedLogins(3, 30.0)
    for number in range(MAX_SUBJECTS + 10):
        failed.failed(str(number), 0.0)
    assert len(failed.subjects) == MAX_SUBJECTS
    rates = RequestRates()
    for number in range(MAX_CALLERS + 10):
        rates.spend(("api_key", str(number)), RequestLimit(1, 1.0), 0.0)
    assert len(rates) == MAX_CALLERS


async def test_credentials_that_were_valid_are_remembered_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caller_limits, "MAX_KNOWN", 2)
    door = _Door()
    addresses = [f"192.0.2.{host}" for host in (1, 2, 3)]
    assert [await door.ask(RIGHT, address) for address in addresses] == [200] * 3
    for address in addresses:
        assert [await door.ask("wrong", address) for _ in range(3)] == [401] * 3
    # The one that was remembered first is refused unseen, like any other credential.
    assert [await door.ask(RIGHT, address) for address in addresses] == ["429 10", 200, 200]


async def test_counting_goes_on_after_a_reload_with_the_same_limits() -> None:
    door = _Door()
    assert [await door.ask("wrong") for _ in range(3)] == [401] * 3
    door.limits.configure(failures=3, period=30.0, requests=5, window=1.0)
    assert await door.ask("wrong") == "429 10"
    door.limits.configure(failures=4, period=30.0, requests=5, window=1.0)
    assert await door.ask("wrong") == 401


def test_an_episode_is_reported_once() -> None:
    failed = FailedLogins(2, 20.0)
    assert [failed.failed("a", 0.0) for _ in range(4)] == [False, True, False, False]
    assert failed.wait("a", 5.0) == pytest.approx(5.0)
    assert not failed.failed("a", 12.0)
    assert failed.wait("a", 40.0) == 0.0
    assert [failed.failed("a", 40.0) for _ in range(2)] == [False, True]


def test_the_headers_of_a_quota() -> None:
    rates = RequestRates()
    limit = RequestLimit(2, 1.5)
    quotas = [rates.spend(("key", "a"), limit, now) for now in (0.0, 0.2, 0.4, 1.6)]
    assert [quota.remaining for quota in quotas] == [1, 0, -1, 1]
    assert quotas[2].headers == [
        (b"ratelimit-policy", b'"requests";q=2;w=2'), (b"ratelimit", b'"requests";r=0;t=2'),
    ]  # fmt: skip
    assert rates.spend(("key", "b"), limit, 0.4).remaining == 1
    # Not a second more where 3660.1 + 3600 - 3660.1 is more than 3600.
    fresh = [RequestRates().spend(("key", "c"), RequestLimit(1, 3600.0), 3660.1 + n / 7)
             for n in range(50)]  # fmt: skip
    assert {quota.headers[1][1] for quota in fresh} == {b'"requests";r=0;t=3600'}
