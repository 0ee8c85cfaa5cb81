"""The demo: the real command, its output and its exit status."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

from event_gateway.cli.demo.events import demo_events
from event_gateway.cli.demo.figures import DemoFigures
from event_gateway.cli.demo.receivers import Receivers
from support.command import command, start_command


async def test_the_demo_ends_by_itself_and_keeps_every_promise() -> None:
    done = await command("demo", "--for", "4s")
    out = done.out
    assert done.status == 0, out + done.err
    for word in ("published", "delivered", "will be retried", "dead letter", "streamed"):
        assert re.search(rf"^ +\d+\.\ds  .*{word}", out, re.MULTILINE), word
    for domain in ("ontology", "terminus", "audit", "scheduler", "user"):
        assert f"published      {domain}." in out
    for stream in ("real_time_schema_changes", "data_processing_events", "audit_stream"):
        match = re.search(rf"^stream +{stream}: (\d+) of (\d+) events live", out, re.MULTILINE)
        assert match
        assert match[1] == match[2] != "0"
    assert re.search(r"external_crm \(healthy\): ([1-9]\d*) events, \1 delivered", out)
    assert re.search(r"security_siem \(dead\): ([1-9]\d*) events, 0 delivered, \1 dead", out)
    assert "every promise was kept" in out
    assert re.search(r"^console  http://127\.0\.0\.1:\d+/sign-in/once\?token=", out, re.MULTILINE)
    assert all("event-gateway " in line for line in out.rstrip().splitlines()[-3:])
    first = re.search(r"first delivery after ([\d.]+) s", out)
    assert first
    assert float(first[1]) < 60


async def test_an_interrupt_ends_the_demo_cleanly() -> None:
    running = await start_command("demo")
    while "published" not in (line := await running.line()):
        assert line, "the demo has ended"
    running.interrupt()
    done = await running.ended()
    assert done.status == 0, done.out + done.err
    assert "every promise was kept" in done.out


async def test_a_broken_promise_is_reported() -> None:
    figures = DemoFigures(Receivers(), ("real_time_schema_changes", "data_processing_events",
                                        "audit_stream"))  # fmt: skip
    stories = demo_events()
    result = [next(stories) for _ in range(5)]
    for item in result:
        figures.add(item)
    assert not figures.settled()
    login, schema, commit, audit, job = result
    figures.states["security_siem", login.id] = ("dead_letter", 3)
    figures.states["security_siem", audit.id] = ("retrying", 2)
    figures.states["external_crm", schema.id] = ("succeeded", 1)
    figures.states["analytics_platform", commit.id] = ("succeeded", 1)
    figures.receivers.messages["external_crm"].add("msg_1")
    figures.dead_letters.add(("security_siem", login.id))
    figures.streamed["real_time_schema_changes"].append(schema.id)
    figures.streamed["data_processing_events"] += [commit.id, job.id]
    assert figures.broken() == [
        "analytics_platform: its receiver took 0 of 1 events",
        "security_siem: 1 of 2 are dead_letter; the rest: 1 retrying",
        "security_siem: 1 dead letters for 2 events",
        "stream audit_stream: 1 of 1 events were not received",
    ]


async def test_a_wrong_duration_is_refused() -> None:
    (await command("demo", "--for", "soon")).assert_refused(2, "--for: ")


def test_the_example_configuration_is_the_original() -> None:
    example = Path("examples/gateway.yaml").read_bytes()
    # The original configuration, byte for byte.
    original = "a2d0589b352f750b0e14e6b361b777c8161caadc7cab8b13d74d3d57fb1457a5"
    assert hashlib.sha256(example).hexdigest() == original
    assert (files("event_gateway.cli.demo") / "gateway.yaml").read_bytes() == example
