"""What the calls about deliveries, dead letters and replays take when very much waits.

    python bench/tracking.py [--waiting 1000000] [--letters 100000] [--events 1000000] [--json FILE]

A paused webhook, ``deep``, has a million deliveries waiting (a tenth of them after failed attempts)
and 100,000 dead letters; ``shallow``, in the same gateway, has a hundred waiting, and three dead
letters for each hundred of the other. Every call is made for both by turns: compare the ratio, not
milliseconds. ``held`` is the longest that another caller's ``GET /healthz`` took meanwhile, which
needs nothing but the event loop; ``valkey`` the longest that Valkey was busy with one command,
where that was 5 ms or more.

The events are published, but the deliveries are written by this process, with the same ledger as
the gateway's. Data is in memory where there is a file system for that. All of it takes some 3 GB.
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
from tracking_fill import ENDED, RUNNING, SHALLOW, fill, fill_letters, fill_log, parallel
from tracking_gateway import SLOW, Api, Gateway, Pinger

from event_gateway.api.server.pages import cursor_of
from event_gateway.state import scripts
from event_gateway.state.keys import DEAD_LETTER_USERS, DEAD_LETTERS_IN_USE, DELIVERY, QUEUE
from event_gateway.state.tracking import ListPosition


@dataclass
class Row:
    """One call: milliseconds of each webhook's, of the other caller, and of Valkey."""

    name: str
    deep: list[float] = field(default_factory=list)
    shallow: list[float] = field(default_factory=list)
    held: float = 0.0
    slowest: tuple[float, str] = (0.0, "")
    size: int = 0

    @property
    def ratio(self) -> float | None:
        if not (self.deep and self.shallow):
            return None
        return statistics.median(self.deep) / statistics.median(self.shallow)

    def told(self) -> str:
        def two(values: list[float]) -> str:
            if not values:
                return f"{'':>17}"
            return f"{statistics.median(values):8.1f} {max(values):8.1f}"

        ratio = "" if self.ratio is None else f"{self.ratio:.1f}"
        slowest = f"{self.slowest[0]:.0f} {self.slowest[1]}" if self.slowest[0] else ""
        return (f"{self.name:52} {len(self.deep):3} {two(self.deep)} {two(self.shallow)} {ratio:>6}"
                f" {self.held:7.1f}  {self.size / 1024:7.1f}  {slowest}")  # fmt: skip


MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
HEAD = (f"{'call':52} {'n':>3} {'deep med':>8} {'max':>8} {'shallow':>8} {'max':>8} {'ratio':>6}"
        f" {'held':>7}  {'KiB':>7}  valkey (all in ms)")  # fmt: skip

Call = Callable[[str, int], tuple[str, str, Any]]


class Bench:
    """``deep`` and ``shallow`` in one gateway."""

    def __init__(self, gateway: Gateway, given: Any) -> None:
        self.gateway, self.given = gateway, given
        self.api, self.pinger = gateway.api, Pinger(gateway)
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
        """Makes a call by turns; with ``until_done`` it ends when the replay that it begins does.

        Gives the last answers.
        """
        row, said = Row(name), [None] * len(of)
        self.valkey.slowlog_reset()
        for number in range(times):
            for which, webhook in enumerate(of):
                method, path, body = call(webhook, number)
                self.pinger.reset()
                status, answer, took, size = self.api.ask(method, path, body)
                assert status == expect or (expect is None and status < 300), (path, status, answer)
                if until_done:
                    began = time.perf_counter()
                    while answer["state"] == "running":
                        time.sleep(0.01)
                        answer = self.api.done("GET", f"/v1/replays/{answer['id']}")
                    took += (time.perf_counter() - began) * 1000
                    assert answer["state"] == "done", answer
                (row.deep if webhook == "deep" else row.shallow).append(took)
                if webhook == "deep":
                    row.held, row.size = max(row.held, self.pinger.held()), max(row.size, size)
                said[which] = answer
        row.slowest = self.slowest()
        self.rows.append(row)
        print(row.told(), flush=True)
        return said

    def slowest(self) -> tuple[float, str]:
        """Of what Valkey has noted since the last reset."""
        noted = [
            (one["duration"] / 1000, self._name(one["command"]))
            for one in self.valkey.slowlog_get(128)
        ]
        return max(noted, default=(0.0, ""))

    def _name(self, command: bytes) -> str:
        words = command.decode(errors="replace").split(" ")
        return self._scripts.get(words[1], words[0]) if len(words) > 1 else words[0]

    # ---- the calls

    def deliveries(self) -> None:
        """Counts, lists, single ones; nothing of it changes more than a few of them."""
        waiting = {"deep": self.given.waiting, "shallow": SHALLOW}
        far = {}
        for webhook, number in waiting.items():
            rank = int(number * 0.8)
            ranked: Any = self.valkey.zrange(QUEUE.key(webhook), rank, rank, withscores=True)
            member, score = ranked[0]
            far[webhook] = cursor_of(ListPosition(repr(score), member.decode()))

        def listing(query: str) -> Call:
            return lambda w, n: ("GET", f"/v1/webhooks/{w}/deliveries{query}", None)

        def one(begin: int, action: str = "", method: str = "GET") -> Call:
            return lambda w, n: (method, f"/v1/deliveries/{w}/e-{begin + n}{action}", None)

        self.measure("GET stats", 50, lambda w, n: ("GET", f"/v1/webhooks/{w}/stats", None))
        self.measure("GET webhooks", 20, lambda w, n: ("GET", "/v1/webhooks", None))
        self.measure("GET deliveries", 50, listing(""))
        self.measure("GET deliveries, limit 1000", 20, listing("?limit=1000"))
        self.measure("GET deliveries, pending", 50, listing("?status=pending"))
        self.measure("GET deliveries, pending, far behind", 50, lambda w, n: (
            "GET", f"/v1/webhooks/{w}/deliveries?status=pending&cursor={quote(str(far[w]))}", None,
        ))  # fmt: skip
        for status in ("retrying", "in_progress", "succeeded"):
            self.measure(f"GET deliveries, {status}", 50, listing(f"?status={status}"))
        begin = ENDED + RUNNING
        self.measure("GET one that waits", 50, one(begin))
        self.measure("GET one that has ended", 50, one(0))
        self.measure("POST retry of one that waits", 30, one(begin + 30, "/retry", "POST"))
        self.measure("POST cancel of one that waits", 30, one(begin + 60, "/cancel", "POST"))
        self.measure("POST retry of one that has ended", 30, one(0, "/retry", "POST"))
        self.measure("POST cancel of one that has ended", 30, one(100, "/cancel", "POST"),
                     expect=409)  # fmt: skip

    def letters(self) -> None:
        """Dead letters: looked at, delivered again, deleted."""
        places = {w: self._places(w) for w in ("deep", "shallow")}
        some = min(1000, self.given.letters * 3 // 100 // 3)

        def listing(query: str) -> Call:
            def call(webhook: str, number: int) -> tuple[str, str, Any]:
                late = places[webhook][int(len(places[webhook]) * 0.9)]
                filled = query.format(w=webhook, time=quote(late[1]), cursor=cursor_of(late[0]))
                return "GET", f"/v1/dead-letters?{filled}", None

            return call

        deep = ("deep",)
        self.measure("GET dead letters of all", 30, listing(""), of=deep)
        self.measure("GET dead letters of all, far behind", 30, listing("cursor={cursor}"), of=deep)
        self.measure("GET dead letters of all, since late", 30, listing("since={time}"), of=deep)
        self.measure("GET dead letters, webhook", 30, listing("webhook={w}"))
        self.measure("GET dead letters, far behind", 30, listing("webhook={w}&cursor={cursor}"))
        self.measure("GET dead letters, since late", 30, listing("webhook={w}&since={time}"))
        self.measure("GET dead letters, type", 30, listing("webhook={w}&type=bench.>"))
        self.measure("GET dead letters, limit 1000", 5, listing("webhook={w}&limit=1000"))
        self.measure("GET dead letters, reason none has", 5, listing("webhook={w}&reason=None"))
        self.measure("GET dead letters, type none has", 5, listing("webhook={w}&type=other"))
        self.measure("GET one dead letter", 50, lambda w, n: (
            "GET", f"/v1/dead-letters/{places[w][n % len(places[w])][0]}", None,
        ))  # fmt: skip

        self.measure("DELETE one dead letter", 30, lambda w, n: (
            "DELETE", f"/v1/dead-letters/{places[w][-n - 1][0]}", None,
        ))  # fmt: skip

        def replay(dry: bool, **wanted: Any) -> Call:
            def call(webhook: str, number: int) -> tuple[str, str, Any]:
                body: dict[str, Any] = {"dry_run": dry, "webhook": webhook} | wanted
                if not wanted:
                    part = places[webhook][number * some : (number + 1) * some]
                    body = {"dry_run": dry, "ids": [place for place, _ in part]}
                return "POST", "/v1/dead-letters/replay", body

            return call

        self.measure(f"POST replay of {some} ids, dry run", 3, replay(True), until_done=True)
        self.measure(f"POST replay of {some} ids", 3, replay(False), until_done=True)
        expired = {"reason": "Expired"}
        self.measure("POST replay by reason, dry run (until its end)", 2,
                     replay(True, **expired), until_done=True)  # fmt: skip
        self.measure("POST replay by reason (until its end)", 1, replay(False, **expired),
                     until_done=True)  # fmt: skip
        self.measure("GET replays", 20, lambda w, n: ("GET", "/v1/replays", None), of=deep)

        def delete(query: str) -> Call:
            def call(webhook: str, number: int) -> tuple[str, str, Any]:
                until = places[webhook][int(len(places[webhook]) * 0.1 * (number % 5 + 1))][1]
                filled = query.format(w=webhook, time=quote(until))
                return "DELETE", f"/v1/dead-letters?{filled}", None

            return call

        # What is being delivered again must not be deleted; here it waits for ever.
        self.valkey.delete(
            DEAD_LETTER_USERS.key(),
            DEAD_LETTERS_IN_USE.key("deep"),
            DEAD_LETTERS_IN_USE.key("shallow"),
        )
        self.measure("DELETE dead letters until, dry run", 10,
                     delete("webhook={w}&until={time}&dry_run=true"))  # fmt: skip
        self.measure("DELETE dead letters until (a tenth each)", 5,
                     delete("webhook={w}&until={time}"))  # fmt: skip
        said = self.measure("DELETE dead letters by type (at most 5,000)", 1,
                            delete("webhook={w}&type=bench.>"))  # fmt: skip
        self.say("deleted by type", [one["purged"] for one in said])
        self.measure("DELETE dead letters of the webhook", 1, delete("webhook={w}"))

    def replays(self) -> None:
        """A replay over the whole log, which only counts."""
        started: dict[str, list[str]] = {"deep": [], "shallow": []}

        def begin(webhook: str, number: int) -> tuple[str, str, Any]:
            return "POST", "/v1/replays", {"webhook": webhook, "from_seq": 1, "dry_run": True}

        def move(action: str) -> Call:
            return lambda w, n: ("POST", f"/v1/replays/{started[w][n]}/{action}", None)

        for number in range(5):
            for webhook, ids in started.items():
                ids.append(self.api.done(*begin(webhook, number))["id"])
                self.api.ask("POST", f"/v1/replays/{ids[-1]}/pause")
        # Small ones have ended before anybody can pause them.
        if self.api.done("GET", f"/v1/replays/{started['deep'][0]}")["state"] == "paused":
            self.measure("POST resume", 5, move("resume"))
            self.measure("POST pause", 5, move("pause"))
            self.measure("POST cancel of a replay", 5, move("cancel"))
        self.pinger.reset()
        self.valkey.slowlog_reset()
        began = time.monotonic()
        told = self.api.done(*begin("deep", 0))
        while told["state"] == "running" and time.monotonic() - began < 10:
            time.sleep(0.02)
            told = self.api.done("GET", f"/v1/replays/{told['id']}")
        took = time.monotonic() - began
        self.api.ask("POST", f"/v1/replays/{told['id']}/cancel")
        self.say("dry run over the log, events/s", round(told["looked_at"] / took))
        self.say("another caller held meanwhile, ms", round(self.pinger.held(), 1))

    def idle(self, seconds: float) -> None:
        """Nobody asks for anything but upkeep goes on."""
        self.valkey.slowlog_reset()
        self.valkey.config_resetstat()
        self.pinger.reset()
        cpu = self.valkey.info("cpu")
        time.sleep(seconds)
        after = self.valkey.info("cpu")
        used = sum(after[k] - cpu[k] for k in ("used_cpu_user", "used_cpu_sys"))
        self.say("idle: Valkey's CPU, percent", round(used / seconds * 100, 1))
        self.say("idle: slowest command in Valkey, ms", self.slowest())
        self.say("idle: another caller held, ms", round(self.pinger.held(), 1))

    def during(self, what: str, work: Callable[[], None]) -> None:
        """Does a long work and asks for the other webhook's figures meanwhile."""
        took: list[float] = []
        ended = threading.Event()

        def ask() -> None:
            api = Api(self.gateway.at["http"], self.gateway.key)
            while not ended.is_set():
                took.append(api.ask("GET", "/v1/webhooks/shallow/stats")[2])
                time.sleep(0.02)

        other = threading.Thread(target=ask)
        self.pinger.reset()
        self.valkey.slowlog_reset()
        other.start()
        began = time.monotonic()
        work()
        seconds = time.monotonic() - began
        ended.set()
        other.join()
        self.say(f"{what}: seconds", round(seconds, 2))
        self.say(f"{what}: GET stats of the other meanwhile, ms (median, max)",
                 [round(statistics.median(took), 1), round(max(took), 1)])  # fmt: skip
        self.say(f"{what}: another caller held, ms", round(self.pinger.held(), 1))
        self.say(f"{what}: slowest command in Valkey, ms", self.slowest())

    def _places(self, webhook: str) -> list[tuple[int, str]]:
        """Ids and times of all dead letters of a webhook."""
        found: list[tuple[int, str]] = []
        cursor = ""
        while True:
            path = f"/v1/dead-letters?webhook={webhook}&limit=1000{cursor}"
            page = self.api.done("GET", path)
            found += [(one["id"], one["time"]) for one in page["items"]]
            if page["next"] is None:
                return found
            cursor = f"&cursor={quote(page['next'])}"


def _scripts() -> dict[str, str]:
    """The names of the gateway's scripts by what Valkey calls them."""
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
    shallow = given.letters * 3 // 100
    parallel(fill_log, gateway.at["nats"], given.events)
    print(f"log filled in {time.monotonic() - began:.0f} s", flush=True)
    while _routed(gateway) < given.events:
        time.sleep(0.2)
    print(f"routed after {time.monotonic() - began:.0f} s", flush=True)
    hook = {"url": "http://127.0.0.1:8009/x", "events": ["bench.>"], "enabled": False}
    for name in ("deep", "shallow"):
        api.done("POST", "/v1/webhooks", hook | {"id": name})
    began = time.monotonic()
    parallel(fill_letters, gateway.at["nats"], given.letters, shallow)
    print(f"dead letters filled in {time.monotonic() - began:.0f} s", flush=True)
    valkey = redis.Redis.from_url(url)
    empty, began = valkey.info("memory")["used_memory"], time.monotonic()
    parallel(fill, url, "deep", given.waiting)
    each = (valkey.info("memory")["used_memory"] - empty) / given.waiting
    print(f"deliveries filled in {time.monotonic() - began:.0f} s", flush=True)
    parallel(fill, url, "shallow", SHALLOW)
    bench = Bench(gateway, given)
    bench.say("Valkey, MiB", round(valkey.info("memory")["used_memory"] / 2**20))
    bench.say("Valkey, bytes per waiting delivery", round(each))
    for name, number in (("pending", ENDED + RUNNING), ("retrying", given.waiting + ENDED)):
        key = DELIVERY.key("deep", f"e-{number}")
        bench.say(f"Valkey, bytes of a {name} record", valkey.memory_usage(key, samples=0))
    before = gateway.memory()
    bench.say("gateway before, MiB", round(before, 1))
    bench.idle(given.idle)
    print(HEAD)
    bench.deliveries()
    bench.say("gateway after calls on deliveries, MiB", round(gateway.memory(), 1))
    bench.letters()
    bench.say("gateway after calls on dead letters, MiB", round(gateway.memory(), 1))
    bench.replays()
    bench.say("gateway after all calls, MiB", round(gateway.memory(), 1))
    bench.pinger.stop()
    bench.say("stopped in seconds", round(gateway.stop(), 2))
    bench.say("ready after a restart in seconds", round(gateway.start(), 2))
    log = (gateway.data / "logs" / "valkey.log").read_text()
    bench.say("of these, Valkey read its data for", re.findall(r"append only file: (.*)", log)[-1:])
    bench.say("gateway after the restart, MiB", round(gateway.memory(), 1))
    bench.api, bench.pinger = gateway.api, Pinger(gateway)
    bench.valkey.config_set("slowlog-log-slower-than", SLOW)
    bench.during(
        "discard", lambda: gateway.api.done("POST", "/v1/webhooks/deep/enable?discard=true")
    )
    gateway.api.done("PATCH", "/v1/webhooks/deep", {"enabled": False})
    parallel(fill, url, "deep", given.waiting, "f")

    def delete() -> None:
        gateway.api.done("DELETE", "/v1/webhooks/deep")
        while gateway.api.ask("GET", "/v1/webhooks/deep")[0] != 404:
            time.sleep(0.05)

    bench.during("delete", delete)
    bench.say("gateway at the end, MiB", round(gateway.memory(), 1))
    bench.pinger.stop()
    rows = [msgspec.to_builtins(row) | {"ratio": row.ratio} for row in bench.rows]
    return {"given": vars(given) | {"json": None}, "rows": rows, "other": bench.other}


def _routed(gateway: Gateway) -> float:
    """How many events the router has taken."""
    text = gateway.api.done("GET", "/metrics").decode()
    return sum(
        float(line.split()[-1]) for line in text.splitlines()
        if line.startswith("event_gateway_events_received_total")
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waiting", type=int, default=1_000_000, help="deliveries that wait")
    parser.add_argument("--letters", type=int, default=100_000, help="dead letters, 3,000 at least")
    parser.add_argument("--events", type=int, help="events in the log (as many as wait)")
    parser.add_argument("--idle", type=float, default=20, help="seconds in which nobody asks")
    parser.add_argument("--json", type=Path, help="where to write it, too")
    given = parser.parse_args()
    given.events = max(given.events or given.waiting, ENDED + RUNNING)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        told = _bench(Path(name), given)
    if given.json:
        given.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
