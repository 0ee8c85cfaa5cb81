"""Measures the calls about deliveries, dead letters and replays with a million pending deliveries.

    python bench/tracking.py [--pending 1000000] [--dead-letters 100000] [--events 1000000]
                             [--json FILE]

A paused webhook, ``deep``, has a million pending deliveries (a tenth of them after failed attempts)
and 100,000 dead letters; ``shallow``, in the same gateway, has a hundred pending deliveries, and
three dead letters for each hundred of ``deep``. Every call is made for both by turns: compare the
ratio, not milliseconds. ``blocked`` is the longest response time of a concurrent ``GET /healthz``,
which needs nothing but the event loop; ``valkey`` the longest command in Valkey, if it took 5 ms or
more.

The events are published, but the deliveries are written by this process, with the gateway's own
ledger. The data is in memory if there is a file system for that. It needs some 3 GB.
"""

import argparse
import hashlib
import json
import os
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import redis
from tracking_fill import ENDED, RUNNING, SHALLOW, fill, fill_dead_letters, fill_log, parallel
from tracking_gateway import SLOW, Api, Gateway, Pinger

from event_gateway.api.server.pages import cursor_of
from event_gateway.lookup.deliveries import DeliveryPosition
from event_gateway.state import scripts
from event_gateway.state.keys import DEAD_LETTER_USERS, DEAD_LETTERS_IN_USE, DELIVERY, QUEUE


@dataclass
class Row:
    """A call: its milliseconds for each webhook, of the concurrent caller, and of Valkey."""

    name: str
    deep: list[float] = field(default_factory=list)
    shallow: list[float] = field(default_factory=list)
    blocked: float = 0.0
    slowest: tuple[float, str] = (0.0, "")
    size: int = 0

    @property
    def ratio(self) -> float | None:
        if not (self.deep and self.shallow):
            return None
        return statistics.median(self.deep) / statistics.median(self.shallow)

    def line(self) -> str:
        def median_and_max(values: list[float]) -> str:
            if not values:
                return f"{'':>17}"
            return f"{statistics.median(values):8.1f} {max(values):8.1f}"

        ratio = "" if self.ratio is None else f"{self.ratio:.1f}"
        slowest = f"{self.slowest[0]:.0f} {self.slowest[1]}" if self.slowest[0] else ""
        return (f"{self.name:52} {len(self.deep):3} {median_and_max(self.deep)} "
                f"{median_and_max(self.shallow)} {ratio:>6} {self.blocked:7.1f}  "
                f"{self.size / 1024:7.1f}  {slowest}")  # fmt: skip


LONG_REPLAY = 100_000  # events: a replay of so many goes on for longer than five calls take
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
HEAD = (f"{'call':52} {'n':>3} {'deep med':>8} {'max':>8} {'shallow':>8} {'max':>8} {'ratio':>6}"
        f" {'blocked':>7}  {'KiB':>7}  valkey (all in ms)")  # fmt: skip

Call = Callable[[str, int], tuple[str, str, Any]]


class Bench:
    """``deep`` and ``shallow`` in one gateway."""

    def __init__(self, gateway: Gateway, given: Any) -> None:
        self.gateway, self.given = gateway, given
        self.api, self.pinger = gateway.api, Pinger(gateway, given.pause)
        self.valkey = redis.Redis.from_url(gateway.at["redis"])
        self.valkey.config_set("slowlog-log-slower-than", SLOW)
        self._scripts = _scripts()
        self.rows: list[Row] = []
        self.other: dict[str, Any] = {}

    def say(self, name: str, value: Any) -> None:
        self.other[name] = value
        print(f"  {name}: {value}", flush=True)

    def measure(
        self, name: str, times: int, call: Call, *, of: tuple[str, ...] = ("deep", "shallow"),
        until_done: bool = False, expect: int | None = None,
    ) -> list[Any]:  # fmt: skip
        """Makes a call for the webhooks by turns; returns the last response for each.

        With ``until_done`` a call lasts until the replay that it starts is done.
        """
        row, last = Row(name), [None] * len(of)
        self.valkey.slowlog_reset()
        for number in range(min(times, self.given.calls)):
            for which, webhook in enumerate(of):
                method, path, body = call(webhook, number)
                self.pinger.reset()
                status, content, took, size = self.api.request(method, path, body)
                succeeded = status == expect or (expect is None and status < 300)
                assert succeeded, (path, status, content)
                if until_done:
                    began = time.perf_counter()
                    while content["state"] == "running":
                        time.sleep(0.01)
                        content = self.api.result("GET", f"/v1/replays/{content['id']}")
                    took += (time.perf_counter() - began) * 1000
                    assert content["state"] == "done", content
                (row.deep if webhook == "deep" else row.shallow).append(took)
                if webhook == "deep":
                    row.blocked = max(row.blocked, self.pinger.longest())
                    row.size = max(row.size, size)
                last[which] = content
        row.slowest = self.slowest()
        self.rows.append(row)
        print(row.line(), flush=True)
        return last

    def slowest(self) -> tuple[float, str]:
        """The slowest command that Valkey has logged since the last reset: ms and name."""
        logged = [
            (entry["duration"] / 1000, self._name(entry["command"]))
            for entry in self.valkey.slowlog_get(128)
        ]
        return max(logged, default=(0.0, ""))

    def _name(self, command: bytes) -> str:
        words = command.decode(errors="replace").split(" ")
        return self._scripts.get(words[1], words[0]) if len(words) > 1 else words[0]

    # ---- the calls

    def deliveries(self) -> None:
        """Counts, lists and single deliveries. These calls change only a few deliveries."""
        pending = {"deep": self.given.pending, "shallow": SHALLOW}
        far = {}
        for webhook, number in pending.items():
            rank = int(number * 0.8)
            ranked: Any = self.valkey.zrange(QUEUE.key(webhook), rank, rank, withscores=True)
            member, score = ranked[0]
            far[webhook] = cursor_of(
                DeliveryPosition(True, f"{score:.0f}", webhook, member.decode())
            )

        def listing(query: str) -> Call:
            return lambda w, n: ("GET", f"/v1/webhooks/{w}/deliveries{query}", None)

        def single(begin: int, action: str = "", method: str = "GET") -> Call:
            return lambda w, n: (method, f"/v1/deliveries/{w}/e-{begin + n}{action}", None)

        self.measure("GET stats", 50, lambda w, n: ("GET", f"/v1/webhooks/{w}/stats", None))
        self.measure("GET webhooks", 20, lambda w, n: ("GET", "/v1/webhooks", None))
        self.measure("GET deliveries", 50, listing(""))
        self.measure("GET deliveries, limit 1000", 20, listing("?limit=1000"))
        self.measure("GET deliveries, pending", 50, listing("?status=pending"))
        self.measure("GET deliveries, pending, at 80%", 50, lambda w, n: (
            "GET", f"/v1/webhooks/{w}/deliveries?status=pending&cursor={quote(str(far[w]))}", None,
        ))  # fmt: skip
        for status in ("retrying", "in_progress", "succeeded"):
            self.measure(f"GET deliveries, {status}", 50, listing(f"?status={status}"))
        begin = ENDED + RUNNING
        self.measure("GET a pending delivery", 50, single(begin))
        self.measure("GET an ended delivery", 50, single(0))
        self.measure("POST retry, pending", 30, single(begin + 30, "/retry", "POST"))
        self.measure("POST cancel, pending", 30, single(begin + 60, "/cancel", "POST"))
        self.measure("POST retry, ended", 30, single(0, "/retry", "POST"))
        self.measure("POST cancel, ended", 30, single(100, "/cancel", "POST"),
                     expect=409)  # fmt: skip

    def dead_letters(self) -> None:
        """Reads, replays and deletes dead letters."""
        listed = {w: self._all_dead_letters(w) for w in ("deep", "shallow")}
        far = {w: self._far_in_dead_letters(f"webhook={w}", len(listed[w])) for w in listed}
        total = sum(len(each) for each in listed.values())
        far_of_all = self._far_in_dead_letters("", total)
        replayed = min(1000, self.given.dead_letters * 3 // 100 // 3)

        def listing(query: str) -> Call:
            def call(webhook: str, number: int) -> tuple[str, str, Any]:
                late = listed[webhook][int(len(listed[webhook]) * 0.9)]
                filled = query.format(w=webhook, time=quote(late[1]), cursor=far[webhook])
                return "GET", f"/v1/dead-letters?{filled}", None

            return call

        deep = ("deep",)
        self.measure("GET dead letters of all", 30, listing(""), of=deep)
        late = listing(f"cursor={far_of_all}")
        self.measure("GET dead letters of all, at 90%", 30, late, of=deep)
        self.measure("GET dead letters of all, by time", 30, listing("since={time}"), of=deep)
        self.measure("GET dead letters, webhook", 30, listing("webhook={w}"))
        self.measure("GET dead letters, at 90%", 30, listing("webhook={w}&cursor={cursor}"))
        self.measure("GET dead letters, by time", 30, listing("webhook={w}&since={time}"))
        self.measure("GET dead letters, type", 30, listing("webhook={w}&type=bench.>"))
        self.measure("GET dead letters, limit 1000", 5, listing("webhook={w}&limit=1000"))
        self.measure("GET dead letters, reason none has", 5, listing("webhook={w}&reason=None"))
        self.measure("GET dead letters, type none has", 5, listing("webhook={w}&type=other"))
        self.measure("GET one dead letter", 50, lambda w, n: (
            "GET", f"/v1/dead-letters/{listed[w][n % len(listed[w])][0]}", None,
        ))  # fmt: skip

        self.measure("DELETE one dead letter", 30, lambda w, n: (
            "DELETE", f"/v1/dead-letters/{listed[w][-n - 1][0]}", None,
        ))  # fmt: skip

        def replay(dry: bool, **conditions: Any) -> Call:
            def call(webhook: str, number: int) -> tuple[str, str, Any]:
                body: dict[str, Any] = {"dry_run": dry, "webhook": webhook} | conditions
                if not conditions:
                    part = listed[webhook][number * replayed : (number + 1) * replayed]
                    body = {"dry_run": dry, "ids": [position for position, _ in part]}
                return "POST", "/v1/dead-letters/replay", body

            return call

        self.measure(f"POST replay of {replayed} ids, dry run", 3, replay(True), until_done=True)
        self.measure(f"POST replay of {replayed} ids", 3, replay(False), until_done=True)
        expired = {"reason": "Expired"}
        self.measure("POST replay by reason, dry run (to its end)", 2,
                     replay(True, **expired), until_done=True)  # fmt: skip
        self.measure("POST replay by reason (to its end)", 1, replay(False, **expired),
                     until_done=True)  # fmt: skip
        self.measure("GET replays", 20, lambda w, n: ("GET", "/v1/replays", None), of=deep)

        def delete(query: str) -> Call:
            def call(webhook: str, number: int) -> tuple[str, str, Any]:
                until = listed[webhook][int(len(listed[webhook]) * 0.1 * (number % 5 + 1))][1]
                filled = query.format(w=webhook, time=quote(until))
                return "DELETE", f"/v1/dead-letters?{filled}", None

            return call

        # Dead letters in use cannot be deleted; here, the runs from them stay pending for ever.
        self.valkey.delete(
            DEAD_LETTER_USERS.key(),
            DEAD_LETTERS_IN_USE.key("deep"),
            DEAD_LETTERS_IN_USE.key("shallow"),
        )
        self.measure("DELETE dead letters until, dry run", 10,
                     delete("webhook={w}&until={time}&dry_run=true"))  # fmt: skip
        self.measure("DELETE dead letters until (a tenth each)", 5,
                     delete("webhook={w}&until={time}"))  # fmt: skip
        responses = self.measure("DELETE dead letters by type (at most 5,000)", 1,
                                 delete("webhook={w}&type=bench.>"))  # fmt: skip
        self.say("deleted by type", [response["purged"] for response in responses])
        self.measure("DELETE dead letters of the webhook", 1, delete("webhook={w}"))

    def replays(self) -> None:
        """A replay of the whole log as a dry run."""
        started: dict[str, list[str]] = {"deep": [], "shallow": []}

        def begin(webhook: str, number: int) -> tuple[str, str, Any]:
            return "POST", "/v1/replays", {"webhook": webhook, "from_seq": 1, "dry_run": True}

        def change(action: str) -> Call:
            return lambda w, n: ("POST", f"/v1/replays/{started[w][n]}/{action}", None)

        for number in range(5):
            for webhook, ids in started.items():
                ids.append(self.api.result(*begin(webhook, number))["id"])
                self.api.request("POST", f"/v1/replays/{ids[-1]}/pause")
        if self.given.events >= LONG_REPLAY:  # others end before or between these calls
            self.measure("POST resume", 5, change("resume"))
            self.measure("POST pause", 5, change("pause"))
            self.measure("POST cancel of a replay", 5, change("cancel"))
        self.pinger.reset()
        self.valkey.slowlog_reset()
        began = time.monotonic()
        replay = self.api.result(*begin("deep", 0))
        while replay["state"] == "running" and time.monotonic() - began < 10:
            time.sleep(0.02)
            replay = self.api.result("GET", f"/v1/replays/{replay['id']}")
        took = time.monotonic() - began
        self.api.request("POST", f"/v1/replays/{replay['id']}/cancel")
        self.say("dry run over the log, events/s", round(replay["looked_at"] / took))
        self.say("another caller blocked meanwhile, ms", round(self.pinger.longest(), 1))

    def idle(self, seconds: float) -> None:
        """No calls; only the background tasks run."""
        self.valkey.slowlog_reset()
        self.valkey.config_resetstat()
        self.pinger.reset()
        cpu = self.valkey.info("cpu")
        time.sleep(seconds)
        after = self.valkey.info("cpu")
        used = sum(after[k] - cpu[k] for k in ("used_cpu_user", "used_cpu_sys"))
        self.say("idle: Valkey's CPU, percent", round(used / seconds * 100, 1))
        self.say("idle: slowest command in Valkey, ms", self.slowest())
        self.say("idle: another caller blocked, ms", round(self.pinger.longest(), 1))

    def during(self, name: str, work: Callable[[], None]) -> None:
        """Runs a long task, and requests the stats of `shallow` meanwhile."""
        took: list[float] = []
        ended = threading.Event()

        def request_stats() -> None:
            api = Api(self.gateway.at["http"], self.gateway.key)
            while not ended.is_set():
                took.append(api.request("GET", "/v1/webhooks/shallow/stats")[2])
                time.sleep(0.02)

        other = threading.Thread(target=request_stats)
        self.pinger.reset()
        self.valkey.slowlog_reset()
        other.start()
        began = time.monotonic()
        work()
        seconds = time.monotonic() - began
        ended.set()
        other.join()
        self.say(f"{name}: seconds", round(seconds, 2))
        self.say(f"{name}: GET stats of the other meanwhile, ms (median, max)",
                 [round(statistics.median(took), 1), round(max(took), 1)])  # fmt: skip
        self.say(f"{name}: another caller blocked, ms", round(self.pinger.longest(), 1))
        self.say(f"{name}: slowest command in Valkey, ms", self.slowest())

    def _far_in_dead_letters(self, query: str, count: int) -> str:
        """The cursor after 90% of ``count`` dead letters."""
        left, cursor = int(count * 0.9), ""
        while left:
            taken = min(left, 1000)
            page = self.api.result("GET", f"/v1/dead-letters?{query}&limit={taken}{cursor}")
            left -= taken
            cursor = f"&cursor={quote(page['next'])}"
        return cursor.removeprefix("&cursor=")

    def _all_dead_letters(self, webhook: str) -> list[tuple[int, str]]:
        """Ids and times of all dead letters of a webhook."""
        dead_letters: list[tuple[int, str]] = []
        cursor = ""
        while True:
            path = f"/v1/dead-letters?webhook={webhook}&limit=1000{cursor}"
            page = self.api.result("GET", path)
            dead_letters += [(item["id"], item["time"]) for item in page["items"]]
            if page["next"] is None:
                return dead_letters
            cursor = f"&cursor={quote(page['next'])}"


def _scripts() -> dict[str, str]:
    """The names of the gateway's scripts by their SHA-1, which Valkey logs."""
    return {hashlib.sha1(scripts.source(name).encode()).hexdigest(): name
            for name in scripts.names()}  # fmt: skip


def _bench(directory: Path, given: Any) -> dict[str, Any]:
    gateway = Gateway(directory)
    gateway.start()
    try:
        return _measured(gateway, given)
    finally:
        gateway.kill()


def _measured(gateway: Gateway, given: Any) -> dict[str, Any]:
    api, url = gateway.api, gateway.at["redis"]
    began = time.monotonic()
    shallow = given.dead_letters * 3 // 100
    parallel(fill_log, gateway.at["nats"], given.events)
    print(f"log filled in {time.monotonic() - began:.0f} s", flush=True)
    while _routed(gateway) < given.events:
        time.sleep(0.2)
    print(f"routed after {time.monotonic() - began:.0f} s", flush=True)
    hook = {"url": "http://127.0.0.1:18009/x", "events": ["bench.>"], "enabled": False}
    for name in ("deep", "shallow"):
        api.result("POST", "/v1/webhooks", hook | {"id": name})
    began = time.monotonic()
    parallel(fill_dead_letters, gateway.at["nats"], given.dead_letters, shallow)
    print(f"dead letters filled in {time.monotonic() - began:.0f} s", flush=True)
    valkey = redis.Redis.from_url(url)
    empty, began = valkey.info("memory")["used_memory"], time.monotonic()
    parallel(fill, url, "deep", given.pending)
    each = (valkey.info("memory")["used_memory"] - empty) / given.pending
    print(f"deliveries filled in {time.monotonic() - began:.0f} s", flush=True)
    parallel(fill, url, "shallow", SHALLOW)
    bench = Bench(gateway, given)
    bench.say("Valkey, MiB", round(valkey.info("memory")["used_memory"] / 2**20))
    bench.say("Valkey, bytes per pending delivery", round(each))
    for name, number in (("pending", ENDED + RUNNING), ("retrying", given.pending + ENDED)):
        key = DELIVERY.key("deep", f"e-{number}")
        bench.say(f"Valkey, bytes of a {name} record", valkey.memory_usage(key, samples=0))
    before = gateway.memory()
    bench.say("gateway before, MiB", round(before, 1))
    bench.idle(given.idle)
    print(HEAD)
    bench.deliveries()
    bench.say("gateway after calls on deliveries, MiB", round(gateway.memory(), 1))
    bench.dead_letters()
    bench.say("gateway after calls on dead letters, MiB", round(gateway.memory(), 1))
    bench.replays()
    bench.say("gateway after all calls, MiB", round(gateway.memory(), 1))
    bench.pinger.stop()
    bench.say("stopped in seconds", round(gateway.stop(), 2))
    bench.say("ready after a restart in seconds", round(gateway.start(), 2))
    log = (gateway.data / "logs" / "valkey.log").read_text()
    bench.say(
        "of these, Valkey loaded its data for", re.findall(r"append only file: (.*)", log)[-1:]
    )
    bench.say("gateway after the restart, MiB", round(gateway.memory(), 1))
    bench.api, bench.pinger = gateway.api, Pinger(gateway, given.pause)
    bench.valkey.config_set("slowlog-log-slower-than", SLOW)
    bench.during(
        "discard", lambda: gateway.api.result("POST", "/v1/webhooks/deep/enable?discard=true")
    )
    gateway.api.result("PATCH", "/v1/webhooks/deep", {"enabled": False})
    parallel(fill, url, "deep", given.pending, "f")

    def delete() -> None:
        gateway.api.result("DELETE", "/v1/webhooks/deep")
        while gateway.api.request("GET", "/v1/webhooks/deep")[0] != 404:
            time.sleep(0.05)

    bench.during("delete", delete)
    bench.say("gateway at the end, MiB", round(gateway.memory(), 1))
    bench.pinger.stop()
    rows = [msgspec.to_builtins(row) | {"ratio": row.ratio} for row in bench.rows]
    return {"given": vars(given) | {"json": None}, "rows": rows, "other": bench.other}


def _routed(gateway: Gateway) -> float:
    """The number of events that the router has read."""
    text = gateway.api.result("GET", "/metrics").decode()
    return sum(
        float(line.split()[-1]) for line in text.splitlines()
        if line.startswith("event_gateway_events_received_total")
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pending", type=int, default=1_000_000, help="pending deliveries")
    parser.add_argument("--dead-letters", type=int, default=100_000, help="at least 3,000")
    parser.add_argument("--events", type=int, help="events in the log (default: as --pending)")
    parser.add_argument("--idle", type=float, default=20, help="seconds without calls")
    parser.add_argument("--calls", type=int, default=100, help="at most, of each kind")
    parser.add_argument("--pause", type=float, default=0.004,
                        help="seconds between two calls of the concurrent caller")  # fmt: skip
    parser.add_argument("--json", type=Path, help="a file for the results")
    given = parser.parse_args()
    given.events = max(given.events or given.pending, ENDED + RUNNING)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        results = _bench(Path(name), given)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
