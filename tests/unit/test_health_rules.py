"""When the health is degraded and when it is ok again; whose reasons they are; clock and memory."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from event_gateway.core.observability.clock_watch import ClockWatch
from event_gateway.core.observability.health_state import (
    QUIET,
    HealthState,
    HealthTracker,
    following,
)
from event_gateway.core.observability.reason import (
    MAX_REASONS,
    MAX_TEXT,
    MAX_UNITED,
    OwnReasons,
    Reason,
    UnitedReason,
    shortened,
    unite,
)
from event_gateway.core.observability.reason_codes import CODES, COMPONENTS
from event_gateway.observability import memory

START = 1_700_000_000.0


class _Tracked:
    """A tracker with a clock of its own: 5 seconds until it is degraded, 10 until it is ok."""

    def __init__(self) -> None:
        self.tracker = HealthTracker(degraded_after=5.0, recovered_after=10.0)
        self.at = 0.0
        self.episodes: list[tuple[str, float]] = []

    def pass_(self, seconds: int, *codes: str) -> str:
        """Lets seconds pass with these reasons; gives the status at their end."""
        began = START + self.at
        reasons = [UnitedReason(code, code, "", began, ("a/1",)) for code in codes]
        for _ in range(seconds):
            before = self.tracker.state.status
            self.tracker.observe(reasons, now=START + self.at, tick=self.at)
            state = self.tracker.state
            if state.status != before:
                self.episodes.append((state.status, state.since - START))
                self.tracker.adopt(_announced(state))
            self.at += 1
        return self.tracker.state.status


def _announced(state: HealthState) -> HealthState:
    assert not state.announced
    return HealthState(
        status=state.status, since=state.since, decided_at=state.decided_at,
        began=state.began, reasons=state.reasons, flaps=state.flaps,
    )  # fmt: skip


def test_only_what_lasts_counts() -> None:
    tracked = _Tracked()
    assert tracked.pass_(60) == "ok"
    for _ in range(5):
        assert tracked.pass_(5, "a") == "ok"
        assert tracked.pass_(3) == "ok"
    assert tracked.episodes == []
    assert tracked.pass_(6, "a") == "degraded"
    assert tracked.episodes == [("degraded", 100.0)]  # since the reason began
    # Other reasons are the same episode, and so is a pause that is too short.
    assert tracked.pass_(20, "b", "c") == "degraded"
    assert {reason.code for reason in tracked.tracker.state.reasons} == {"b", "c"}
    assert tracked.pass_(10) == "degraded"
    assert tracked.pass_(2, "a") == "degraded"
    assert tracked.pass_(10) == "degraded"
    assert tracked.pass_(1) == "ok"
    assert tracked.episodes == [("degraded", 100.0), ("ok", 138.0)]
    assert tracked.tracker.state.episode == "health-1700000100000"
    assert [reason.code for reason in tracked.tracker.state.reasons] == ["a"]  # the last there were


def test_one_reason_after_the_other_is_one_trouble() -> None:
    tracked = _Tracked()
    for code in "abc":
        tracked.pass_(2, code)
    assert tracked.tracker.state.status == "degraded"


def test_a_flapping_health_takes_longer_to_recover() -> None:
    tracked = _Tracked()
    lasted = []
    for _ in range(9):
        assert tracked.pass_(10, "a") == "degraded"
        ended = tracked.at
        while tracked.pass_(1) == "degraded":
            pass
        lasted.append(tracked.at - ended - 1)
    assert lasted == [10, 10, 20, 40, 80, 160, 160, 160, 160]
    assert tracked.pass_(int(QUIET) + 1) == "ok"
    assert tracked.pass_(10, "a") == "degraded"
    assert tracked.pass_(11) == "ok"


def test_an_adopted_state_is_kept_until_the_reasons_contradict_it_for_long_enough() -> None:
    tracked = _Tracked()
    stored = HealthState(status="degraded", since=START - 500, decided_at=START - 495, began=7.0)
    tracked.tracker.adopt(stored)
    assert tracked.pass_(10) == "degraded"
    assert tracked.pass_(1) == "ok"
    assert tracked.tracker.state.began == 7.0
    # A reason that began before the end of the former episode begins another one after it.
    old = [UnitedReason("a", "a", "", START - 400, ("a/1",))]
    for _ in range(7):
        tracked.tracker.observe(old, now=START + tracked.at, tick=tracked.at)
        tracked.at += 1
    assert (tracked.tracker.state.status, tracked.tracker.state.since) == ("degraded", START)


def test_reasons_are_kept_until_they_are_announced() -> None:
    """NATS was away: when it is back, that is not a reason any more."""
    tracker = HealthTracker(degraded_after=0.0, recovered_after=10.0)
    away, behind = (UnitedReason(code, code, "", START, ("a/1",)) for code in ("away", "behind"))
    tracker.observe([away], now=START, tick=0.0)
    tracker.observe([behind], now=START, tick=1.0)
    assert [reason.code for reason in tracker.state.reasons] == ["behind", "away"]
    tracker.announced()
    tracker.observe([behind], now=START, tick=2.0)
    assert [reason.code for reason in tracker.state.reasons] == ["behind"]


def test_a_clock_that_is_set_changes_no_waiting_time() -> None:
    tracker = HealthTracker(degraded_after=5.0, recovered_after=10.0)
    reasons = [UnitedReason("a", "a", "", START, ("a/1",))]
    for second, shift in enumerate([0, 0, 3600, 3600, -3600]):
        tracker.observe(reasons, now=START + second + shift, tick=float(second))
    assert tracker.state.began == 0
    tracker.observe(reasons, now=START - 3595, tick=5.0)
    assert tracker.state.status == "degraded"


def test_reasons_of_processes_are_united() -> None:
    first, second = OwnReasons(), OwnReasons()
    assert first.noted([Reason("a", "1 behind", "s")], 10.0) == [Reason("a", "1 behind", "s", 10.0)]
    (kept,) = first.noted([Reason("a", "2 behind", "s")], 12.0)
    assert kept == Reason("a", "2 behind", "s", 10.0)  # another text, the same reason
    assert first.noted([], 13.0) == []
    assert first.noted([Reason("a", "3 behind", "s")], 14.0)[0].since == 14.0
    others = second.noted([Reason("b", "b"), Reason("a", "1 behind", "s")], 11.0)
    assert unite({"h/1": [kept], "h/2": others}) == [
        UnitedReason("a", "2 behind", "s", 10.0, ("h/1", "h/2")),
        UnitedReason("b", "b", "", 11.0, ("h/2",)),
    ]
    assert unite({}) == []


def test_reasons_are_bounded() -> None:
    many = [Reason("a", "x" * 1000, f"{n}" * 500) for n in range(100)]
    short = shortened(many)
    assert len(short) == MAX_REASONS
    assert {len(reason.text) for reason in short} == {MAX_TEXT}
    assert max(len(reason.about) for reason in short) <= MAX_TEXT
    everywhere = {f"h/{n}": [Reason("a", "a"), Reason("a", "a", f"{n}")] for n in range(100)}
    united = unite(everywhere)
    assert len(united) == MAX_UNITED
    assert len(united[0].processes) == 20


def test_every_code_has_a_component_and_a_remedy() -> None:
    for code in CODES.values():
        assert code.component in COMPONENTS
        assert code.meaning.endswith(".")
        assert code.remedy.endswith(".")
    assert {code.component for code in CODES.values()} == set(COMPONENTS)


def test_a_clock_that_was_set_is_told_for_a_minute() -> None:
    watch = ClockWatch()
    assert watch.look(START, 0.0) is None
    assert watch.look(START + 3.9, 1.0) is None  # slewed, or the process was late
    assert watch.look(START + 3603.0, 2.0) == "the clock of the machine was set forward by 3598 s"
    assert watch.look(START + 3650.0, 49.0) is not None
    assert watch.look(START + 3664.0, 63.0) is None
    back = watch.look(START - 10.0, 64.0)
    assert back == "the clock of the machine was set back by 3675 s"


@pytest.mark.parametrize(
    ("line", "directory", "limit_file", "stat"),
    [
        ("0::/kube/pod", "kube/pod", "memory.max", "anon {used}\nfile 999\nshmem 0\n"),
        ("0::/kube/pod", "kube", "memory.max", "anon {used}\nfile 999\nslab_unreclaimable 0\n"),
        ("4:memory:/docker/x", "memory/docker/x", "memory.limit_in_bytes",
         "rss 1\ntotal_rss {used}\ntotal_cache 999\n"),
        ("4:memory:/docker/x", "memory", "memory.limit_in_bytes", "total_rss {used}\n"),
    ],
)  # fmt: skip
def test_memory_near_the_limit_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, directory: str, limit_file: str,
    stat: str,
) -> None:  # fmt: skip
    own = tmp_path / "own"
    own.write_text(f"9:cpu:/other\n{line}\n")
    monkeypatch.setattr(memory, "OWN_CGROUP", own)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "groups")
    group = tmp_path / "groups" / directory
    group.mkdir(parents=True)
    mib = 1024**2
    (group / limit_file).write_text(f"{512 * mib}\n")
    for used in (400 * mib, 470 * mib):
        (group / "memory.stat").write_text(stat.format(used=used))
        result = memory.measured()
        assert result is not None
        assert (result.used, result.limit) == (used, 512 * mib)
        assert (result.shortage is None) == (used == 400 * mib)
    assert result is not None
    assert result.shortage == "the container uses 470 MiB of the 512 MiB of memory that it may use"
    (group / limit_file).write_text("max\n" if limit_file == "memory.max" else f"{2**63 - 4096}\n")
    result = memory.measured()
    assert result is not None
    assert result.limit is None


def test_memory_without_a_limit() -> None:
    gib = 1024**3
    assert memory.Memory(4 * gib, 16 * gib).shortage is None
    shortage = memory.Memory(9 * gib, 16 * gib).shortage
    assert shortage == "the process uses 9.0 GiB of the machine's 16.0 GiB of memory"


def test_the_end_of_an_episode_names_its_beginning_whoever_writes_it() -> None:
    """A process that becomes the leader has watched for itself, and a little later."""
    stored = HealthState(status="degraded", since=START, decided_at=START + 5, began=START, flaps=2)
    own = HealthState(
        status="ok", since=START + 60, decided_at=START + 70, began=START + 1, announced=False
    )
    ended = following(stored, own)
    assert (ended.episode, ended.flaps, ended.since) == (stored.episode, 2, START + 60)
    # The next one begins after that, also for a process that has not seen it.
    again = HealthState(
        status="degraded", since=START + 50, decided_at=START + 90, began=START + 50,
        announced=False,
    )  # fmt: skip
    begun = following(ended, again)
    assert (begun.since, begun.began, begun.flaps) == (START + 60, START + 60, 3)
    later = following(ended, replace(again, since=START + 60 + QUIET, began=START + 60 + QUIET))
    assert (later.since, later.flaps) == (START + 60 + QUIET, 0)
    assert following(HealthState(), again).flaps == 0
