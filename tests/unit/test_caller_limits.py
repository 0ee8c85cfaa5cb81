"""Failed logins, and the requests of a caller, counted on a clock that the test sets."""

import pytest

from event_gateway.api.access import caller_limits
from event_gateway.api.access.authenticator import Authenticator, Unauthenticated
from event_gateway.api.access.caller_limits import CallerLimits
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.http.peer import Peer
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.failed_logins import MAX_SUBJECTS, FailedLogins
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.request_rates import MAX_CALLERS, RequestRates

RIGHT = "egk_RightRight00_secret"
EXPIRED = "valid once"


class _Counters:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def login_failed(self, reason: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1

    def request_limited(self) -> None:
        self.login_failed("requests")


class _Keys:
    async def authenticate(self, request: CallerRequest) -> Principal | None:
        if request.bearer == RIGHT:
            return Principal(name="k", method="api_key", id="k", scopes=frozenset())
        if request.bearer:
            raise Unauthenticated("the key is not known", guess=request.bearer != EXPIRED)
        return None

    def still_valid(self, _principal: Principal) -> bool:
        return True


class _Door:
    """A door with its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counters = _Counters()
        self.limits = CallerLimits(self.counters, lambda: self.now)
        self.limits.configure(failures=3, period=30.0, requests=None, window=1.0)
        self._authenticator = Authenticator({"api_key": _Keys()}, self.limits)

    async def ask(self, key: str = "", address: str = "192.0.2.1") -> int | str:
        """The status of a request; for 429 with the seconds to wait."""
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        request = CallerRequest(
            method="GET",
            path="/",
            raw_path=b"/",
            headers=headers,
            query=b"",
            peer=Peer(address),
            body=_no_body,
        )
        try:
            await self._authenticator.authenticate(request)
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
    # Who has it is never locked out.
    assert await door.ask(RIGHT, "203.0.113.9") == 200
    assert await door.ask("egk_OtherOther00_no", "203.0.113.9") == 401


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
    assert len(failed) == MAX_SUBJECTS
    rates = RequestRates()
    for number in range(MAX_CALLERS + 10):
        rates.spend(str(number), 1, 1.0, 0.0)
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
    quotas = [rates.spend("key:a", 2, 1.5, now) for now in (0.0, 0.2, 0.4, 1.6)]
    assert [quota.remaining for quota in quotas] == [1, 0, -1, 1]
    assert quotas[2].headers == [
        (b"ratelimit-policy", b'"requests";q=2;w=2'), (b"ratelimit", b'"requests";r=0;t=2'),
    ]  # fmt: skip
    assert rates.spend("key:b", 2, 1.5, 0.4).remaining == 1
