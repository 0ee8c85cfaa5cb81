"""The page of Redis keys: each name in one place, the same in the docs and the scripts."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from event_gateway.core.webhook.delivery import Attempt, Delivery, Status
from event_gateway.state import scripts
from event_gateway.state.key_family import Deletion
from event_gateway.state.keys import FAMILIES, family_of
from event_gateway.state.keys_reference import page_with_table
from event_gateway.state.pending_changes import PendingChange
from event_gateway.state.records import member_of, responses_of, source_hash
from event_gateway.state.script_arguments import Change

ROOT = Path(__file__).parents[2]
STATE = ROOT / "src" / "event_gateway" / "state"


def test_the_docs_have_the_present_table() -> None:
    page = (ROOT / "docs" / "reference" / "redis-keys.md").read_text()
    assert page == page_with_table(page), (
        "write it with: python -m event_gateway.state.keys_reference docs/reference/redis-keys.md"
    )


def test_a_key_is_of_one_family() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        key = family.key(*("x" for _ in family.placeholders))
        assert family_of(key) == family
    named = {key: result.name for key in (
        "delivery:w:e:with:colons", "replay:r1", "replay:r1:holder", "related:subject:a:b:latest",
        "due",
    ) if (result := family_of(key))}  # fmt: skip
    assert named == {
        "delivery:w:e:with:colons": "delivery", "replay:r1": "replay",
        "replay:r1:holder": "replay_lease", "due": "due",
        "related:subject:a:b:latest": "latest_of_subject",
    }  # fmt: skip
    assert family_of("dues") is None
    with pytest.raises(ValueError):
        FAMILIES[0].key("too", "many", "parts")


def test_no_other_file_names_a_key() -> None:
    stems = "|".join(
        sorted({re.escape(family.literals[0]) for family in FAMILIES if ":" in family.pattern})
    )
    quoted = re.compile(rf"""f?["'](?:{stems})[^"' ]*["']""")
    result = []
    for path in [*STATE.rglob("*.py"), *STATE.rglob("*.lua")]:
        if path.name != "keys.py":
            result += [f"{path.name}: {name}" for name in quoted.findall(path.read_text())]
    assert not result


def test_scripts_name_only_what_is_generated_for_them() -> None:
    """A constant that looks generated is generated, or the script itself declares it."""
    for name in scripts.names():
        parts = scripts.parts(name)
        code = "\n".join(scripts._uncommented(text) for _, text in parts)
        lists = re.findall(r"local (?:function )?([A-Za-z_]+(?:,\s*[A-Za-z_]+)*)", code)
        declared = {word.strip() for names in lists for word in names.split(",")}
        used = set(re.findall(r"\b([A-Z][A-Z_]*[A-Z])\b|\b([a-z_]+_key)\(", code))
        names = {item for pair in used for item in pair if item}
        texts = set(re.findall(r"'([^']*)'", code))
        known = declared | {"ARGV", "KEYS"} | {word for text in texts for word in text.split()}
        assert names <= known, (name, names - known)


# What a renamed webhook does not take along: leases, what follows the registry, and what expires.
NOT_CARRIED_OVER = {"ordered", "paused", "webhook", "expression"}


def test_a_renamed_webhook_takes_along_what_is_stored_of_it() -> None:
    of_webhooks = {
        family.name
        for family in FAMILIES
        if "webhook" in family.placeholders or family.at_deletion != Deletion.NONE
    }
    carried = {family.name for family in FAMILIES if "renames" in family.owner.split(", ")}
    texts = "".join(scripts.source(f"renames/{name}.lua") for name in ("begin", "move", "finish"))
    assert of_webhooks - carried == NOT_CARRIED_OVER
    assert not [
        name for name in carried
        if f"{name}_key" not in texts and f"{name.upper()}_KEY" not in texts
    ]  # fmt: skip


def test_the_fields_of_the_record_have_indexes_in_lua() -> None:
    generated = dict(scripts.parts("ledger/write.lua"))[""]
    for index, field in enumerate(Change.__struct_fields__, 1):
        assert f"local CHANGE_{field.upper()} = {index}\n" in generated + "\n"


def test_a_change_is_packed_in_the_order_of_its_fields() -> None:
    long_id = "e" * 1000
    attempts = [Attempt(1, "now", 5, 500, response="no")]
    delivery = Delivery(
        "webhook", long_id, "source", "stream", 11, "token", run=12, event_at=13.0, dead_letter=14
    )
    key = "webhook", member_of(long_id), "source"
    change = PendingChange(
        key, delivery, "its token", attempts, Status.RETRYING, "error", 15.0, True, 16, 17, 18.0
    )
    packed = dict(zip(Change.__struct_fields__, change.packed(), strict=True))
    assert packed.pop("log").startswith('[{"number":1')  # type: ignore[attr-defined]
    assert packed == {
        "webhook": "webhook", "member": member_of(long_id), "source": "source",
        "source_hash": source_hash("source"), "stream": "stream", "seq": 11, "run": 12,
        "token": "its token", "status": "retrying", "attempts": 1, "last_error": "error",
        "wait": 15_000, "fresh": True, "tried": 16, "succeeded": 17, "event_at": 13_000,
        "next_attempt": 18_000, "responses": responses_of(attempts), "dead_letter": 14,
        "event_id": long_id,
    }  # fmt: skip


def test_every_file_of_lua_is_used() -> None:
    folder = files("event_gateway.state.scripts")
    there = {f"{owner.name}/{file.name}" for owner in folder.iterdir()
             if owner.is_dir() and owner.name != "__pycache__"
             for file in owner.iterdir()}  # fmt: skip
    used = {file for name in scripts.names() for file, _ in scripts.parts(name) if file}
    assert used == there
    source = "\n".join(path.read_text() for path in STATE.glob("*.py"))
    assert [name for name in scripts.names() if f'"{name}"' not in source] == []
