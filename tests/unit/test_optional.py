"""Tests that need a program which a machine does not have are left out, or end the run."""

from pathlib import Path

import pytest

from support.optional import NEEDED, REQUIRED, check_required, leave_out, left_out, missing_programs


def test_where_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_programs().keys() == NEEDED.keys()
    monkeypatch.delenv(REQUIRED, raising=False)
    check_required()
    monkeypatch.setenv(REQUIRED, "yes")
    browsers = "chromium-headless-shell or chromium or chromium-browser"
    with pytest.raises(pytest.UsageError, match=f"there is no {browsers}, curl"):
        check_required()
    item = pytest.Function.from_parent(request.node.parent, name="page", callobj=lambda: None)
    item.add_marker("browser")
    leave_out([item])
    (skip,) = item.iter_markers("skip")
    assert skip.kwargs == {"reason": f"browser: there is no {browsers}"}


def test_where_all_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for groups in NEEDED.values():
        for group in groups:
            program = tmp_path / group[-1]
            program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(REQUIRED, "yes")
    assert missing_programs() == {}
    check_required()


def test_the_summary_names_each_reason_once() -> None:
    reports = [
        pytest.TestReport("t", ("", 0, "t"), {}, "skipped", ("t", 1, f"Skipped: {reason}"), "setup")
        for reason in ("no curl", "no prometheus", "no curl")
    ]
    assert left_out(reports) == ["left out (2): no curl", "left out (1): no prometheus"]


def test_each_mark_is_declared(pytestconfig: pytest.Config) -> None:
    declared = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert declared >= NEEDED.keys()
