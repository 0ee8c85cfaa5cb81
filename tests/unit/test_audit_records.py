"""The audit log's records: what they show of a change, and the chain that links them."""

import json
from typing import Any

import msgspec
import pytest

from event_gateway.broker.connection import MIN_PAYLOAD
from event_gateway.config.definitions import webhook_of
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.access.principal import Principal
from event_gateway.core.audit.chain import ChainCheck, hash_of
from event_gateway.core.audit.change import MAX_TOTAL, change, resource_name, without_credentials
from event_gateway.core.audit.record import FORMAT, AuditRecord, Members, decode, encode, who


def _shown(raw: Members) -> Any:
    return None if raw is msgspec.UNSET else json.loads(bytes(raw))


def _webhook(**more: Any) -> dict[str, Any]:
    definition = {"url": "https://receiver.test/hook", "events": ["a.>"], **more}
    return webhook_to_json(webhook_of(WebhookModel(**definition), "w", managed_by="api"))


def test_a_change_shows_the_members_that_differ() -> None:
    before, after = change(_webhook(timeout="5s"), _webhook(timeout="9s", concurrency=4))
    assert _shown(before) == {"timeout": "5s", "concurrency": 32}
    assert _shown(after) == {"timeout": "9s", "concurrency": 4}


def test_a_creation_and_a_deletion_show_everything() -> None:
    before, after = change(None, _webhook())
    assert (_shown(before), _shown(after)["url"]) == (None, "https://receiver.test/hook")
    before, after = change(_webhook(), None)
    assert (_shown(before)["url"], _shown(after)) == ("https://receiver.test/hook", None)


SECRET = "canary-7f3a"


@pytest.mark.parametrize(
    "members",
    [
        {"headers": {"X-Key": SECRET}},
        {"metadata": {"login": SECRET, "deep": {"er": SECRET}, "list": [SECRET]}},
        {"security": [{"auth_type": "oauth2_client_credentials", "params": {"assertion": SECRET}}]},
        {"security": [{"token_url": f"https://user:{SECRET}@auth.test/?key={SECRET}"}]},
        {"url": f"https://user:{SECRET}@receiver.test/?token={SECRET}&a={SECRET}#f"},
        {"url": f"https://[{SECRET}"},
        {"value": SECRET},
        {"nested": [{"token": SECRET}, {"Authorization": SECRET}, {"password": SECRET}]},
    ],
    ids=lambda members: str(next(iter(members))),
)
def test_no_credential_is_shown(members: dict[str, Any]) -> None:
    for before, after in ((None, members), (members, None), (members, {"other": 1})):
        shown = b"".join(bytes(raw) for raw in change(before, after) if raw is not msgspec.UNSET)
        assert shown
        assert SECRET.encode() not in shown


def test_a_hidden_value_that_changed_is_seen_to_change() -> None:
    before, after = change({"headers": {"X-Key": "a"}}, {"headers": {"X-Key": "b"}})
    assert _shown(before) == _shown(after) == {"headers": {"X-Key": "[hidden]"}}


def test_what_is_shown_is_bounded() -> None:
    large = {f"m{at}": "x" * 3000 for at in range(100)} | {"huge": "y" * 1_000_000}
    for raw in (change(None, large)[1], change({}, large)[1]):
        assert raw is not msgspec.UNSET
        assert len(bytes(raw)) < MAX_TOTAL + 100 * 64
    assert _shown(change(None, {"huge": "y" * 5000})[1]) == {"huge": "[5002 bytes, not recorded]"}
    assert _shown(change(None, {"half": "\ud800"})[1]) == {"half": "[not recorded]"}


def test_the_url_keeps_what_tells_receivers_apart() -> None:
    assert without_credentials("https://u:p@a.test:8443/x/y?k=v") == (
        "https://a.test:8443/x/y?k=[hidden]"
    )


def test_an_id_that_may_be_a_secret_in_a_wrong_place_is_not_shown() -> None:
    assert resource_name("webhook", "crm") == "webhook/crm"
    assert resource_name("secret", f"{SECRET}!") == "secret/(no name)"
    assert resource_name("delivery", "crm/e 1\n") == "delivery/crm/e%201%0A"
    assert len(resource_name("event-type", "x" * 9999)) < 300
    assert resource_name("event-type", "a\ud800") == "event-type/a%3F"


def _chain(*, process: str = "p", count: int = 4) -> list[bytes]:
    stored: list[bytes] = []
    for number in range(1, count + 1):
        record = AuditRecord(
            v=FORMAT, call=f"c{number}", phase="begun", time="2026-05-04T03:02:01.000Z",
            process=process, number=number, operation="webhooks.create",
            previous=hash_of(stored[-1]) if stored else "",
        )  # fmt: skip
        stored.append(encode(record))
    return stored


def test_a_caller_of_any_size_fits_into_a_record() -> None:
    many = tuple(f"{number}" * 400 for number in range(1000))
    caller = Principal(
        name="n" * 9999, method="jwt", id="i" * 9999, scopes=frozenset(), namespaces=many,
        types=many, streams=many[:2],
    )  # fmt: skip
    shown = who(caller)
    assert shown.namespaces is not None
    assert shown.streams is not None
    assert (len(shown.namespaces), shown.namespaces[-1], len(shown.streams)) == (65, "…", 2)
    assert len(encode(shown)) + 2 * MAX_TOTAL < MIN_PAYLOAD / 2


def test_a_record_is_read_as_it_was_written() -> None:
    before, after = change({"a": 1}, {"a": 2})
    record = AuditRecord(
        v=FORMAT, call="c", phase="ended", time="t", process="p", number=1, operation="o.p",
        before=before, after=after,
    )  # fmt: skip
    assert decode(encode(record)) == record
    assert decode(encode(msgspec.structs.replace(record, v=FORMAT + 1))) is None


def _problems(records: list[bytes]) -> list[str]:
    check = ChainCheck()
    for stored in records:
        check.add(stored)
    return check.problems


def test_an_unbroken_chain_has_no_problem() -> None:
    first, second = _chain(), _chain(process="q")
    mixed = [record for pair in zip(first, second, strict=True) for record in pair]
    assert _problems(mixed) == []
    assert _problems(first[2:]) == []  # the retention has dropped the others
    assert _problems([first[0], first[0], *first[1:]]) == []  # stored twice, not confirmed in time


def test_a_broken_chain_is_seen() -> None:
    chain = _chain()
    changed = chain[1].replace(b"webhooks.create", b"webhooks.delete")
    assert _problems([chain[0], changed, *chain[2:]]) == [
        "process p, number 3: the record before it was changed"
    ]
    assert _problems([chain[0], *chain[2:]]) == ["process p, number 3: follows number 1"]
    assert _problems([*chain, chain[1]]) == ["process p, number 2: follows number 4"]
    assert _problems([chain[0], b"{}"]) == ["record 2 cannot be read"]
    assert len(_problems([b"no json"] * 5000)) == ChainCheck.MAX_PROBLEMS
