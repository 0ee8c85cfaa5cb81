"""The log of refusals: each once a minute, and not without bound."""

import pytest
from structlog.testing import capture_logs

from event_gateway.observability.refusals import LOG_AGAIN, MAX_REMEMBERED, Refusals


def test_many_different_refusals_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("event_gateway.observability.refusals.time.monotonic", lambda: now)
    known = Refusals("a token")
    with capture_logs() as lines:
        for number in range(MAX_REMEMBERED + 50):
            known.log(f"client {number}", "it is wrong")
            known.log(f"client {number}", "it is wrong")
    assert [line["caller"] for line in lines if "caller" in line] == [
        f"client {number}" for number in range(MAX_REMEMBERED)
    ]
    assert [line["count"] for line in lines if "count" in line] == [1]
    now += LOG_AGAIN
    with capture_logs() as lines:
        known.log("client 7", "it is wrong")  # again, as a minute has passed
        known.log("new", "it is wrong")
    assert [line.get("caller", line.get("count")) for line in lines] == ["client 7", 99, "new"]
