"""Progress of a backup where there is no terminal."""

import pytest

from event_gateway.cli.client.copy_progress import LINE_INTERVAL, CopyProgress


def test_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with CopyProgress(lambda: now) as progress:
        for done in range(0, 101, 10):
            progress.show("keys in Redis", done, 100)
            now += LINE_INTERVAL / 3
        progress.show("bytes of GATEWAY_EVENTS", 0, 2_000_000)
        now += LINE_INTERVAL
        progress.show("bytes of GATEWAY_EVENTS", 1_000_000, 2_000_000)
        progress.show("bytes of GATEWAY_EVENTS", 2_000_000, 2_000_000)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "keys in Redis: 30 of 100 (30%)",
        "keys in Redis: 60 of 100 (60%)",
        "keys in Redis: 90 of 100 (90%)",
        "bytes of GATEWAY_EVENTS: 1,000,000 of 2,000,000 (50%)",
    ]


def test_a_quick_copy_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with CopyProgress(lambda: 0.0) as progress:
        for done in range(100):
            progress.show("keys in Redis", done, 100)
    assert capsys.readouterr().err == ""
