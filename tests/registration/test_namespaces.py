"""Callers that are narrowed to a namespace publish, get, manage and replay that namespace only."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.core.access.sealing import new_key
from support.client import Client, event
from support.narrow_callers import NarrowCaller, NarrowCallers
from support.patience import PATIENCE
from support.receiver import Receiver

CONFIG = {
    "streams": {"orders": {"subjects": ["shop.>"]}},
    "secrets": {"namespaces": {"of-customer": ["customer"], "of-both": ["customer", "rival"]}},
}
ONCE = {"max_attempts": 1}
WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()


pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def configuration() -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("EVENT_GATEWAY_SECRET_SEALING_KEY", new_key())
        for name in ("OF_CUSTOMER", "OF_BOTH", "OF_NOBODY"):
            environ.setenv(f"EVENT_GATEWAY_SECRET_{name}", f"value-{name}")
        yield CONFIG


@pytest.fixture
async def callers(gateway: Running) -> NarrowCallers:
    return NarrowCallers(gateway)


@pytest.fixture
async def customer(callers: NarrowCallers) -> AsyncIterator[NarrowCaller]:
    async with callers.caller(namespaces=("customer",)) as caller:
        yield caller


def of(namespace: Any, event_type: str = "shop.order.paid", **attributes: Any) -> dict[str, Any]:
    """An event of a namespace."""
    return event(event_type, {"namespace": namespace}, **attributes)


@pytest.mark.alone  # it looks at the whole log
async def test_publishing(client: Client, callers: NarrowCallers, customer: NarrowCaller) -> None:
    without_data = event("a.b", data_base64="AAAA")
    del without_data["data"]
    async with callers.caller(namespaces=("customer",), types=("shop.order.*",)) as typed:
        assert (await customer.send(of("customer")))["accepted"] == 1
        assert (await typed.send(of("customer")))["accepted"] == 1
        for caller, sent in (
            (customer, of("rival")), (customer, of(["customer"])), (customer, event("a.b")),
            (customer, without_data),
            (typed, of("customer", "shop.stock.low")), (typed, of("rival", "shop.order.x")),
        ):  # fmt: skip
            refusal = str(await caller.send(sent, 403))
            assert "may not" in refusal or "narrowed" in refusal
        batch = [of("customer", id="kept-out"), of("rival"), event("a.b")]
        refused = await customer.send(batch, 403)
        assert [(item["index"], item["reason"]) for item in refused["errors"]] == [
            (1, "forbidden"), (2, "forbidden"),
        ]  # fmt: skip
        await customer.send([*batch, {"id": ""}], 422)
        headers = {"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "x",
                   "ce-source": "s", "ce-type": "a.b"}  # fmt: skip
        for content in (
            b'{"namespace":"rival","namespace":"customer"}',
            b'{"n\\u0061mespace":"rival","namespace":"customer"}',
        ):
            answer = await customer.ask("POST", "/v1/events", 403, headers=headers, content=content)
            assert "occurs twice" in answer["detail"]
        # An event with the source and id of another's is not taken for it.
        await client.send(of("rival", id="same"))
        again = await customer.send([of("customer", id="same"), of("customer")], 409)
        assert "not accepted" in again["detail"]
        own = of("customer")
        await customer.send(own)
        assert (await customer.send(own))["duplicates"] == 1
    ids = [m.data for m in await client.stream_messages("GATEWAY_EVENTS")]
    assert len(ids) == 5
    assert not any(b"kept-out" in data for data in ids)


async def test_webhooks_get_nothing_else(
    client: Client, receiver: Receiver, customer: NarrowCaller
) -> None:
    """Of every kind of webhook; with enrichment that names no event of others."""
    kinds: dict[str, dict[str, Any]] = {
        "plain": {}, "batch": {"mode": "batch", "batch": {"max_wait": "0s"}},
        "ordered": {"ordered": True}, "binary": {"mode": "binary"},
        "analytics": {"transformation": "analytics_format"},
        "lifecycle": {"events": ["webhook.>"]}, "expression": {"expression": "true"},
    }  # fmt: skip
    for name, fields in kinds.items():
        body = {"id": name, "url": f"{receiver.url}/{name}", "events": [">"]} | fields
        made = await customer.ask("POST", "/v1/webhooks", 201, json=body)
        assert (made["owner"], made["namespaces"]) == (["customer"], ["customer"])
    await client.webhook(id="all", url=f"{receiver.url}/all", events=["shop.>"])
    linked = {"subject": "orders/1", "correlationid": "c"}
    rivals = [of("rival", id=f"rival-{n}", source="rival", **linked) for n in range(3)]
    await client.send(rivals)
    caused = of("customer", id="caused", causationid="rival-1", **linked)
    await client.send(caused)
    (whole,) = [r for r in await receiver.until(4, "/all") if b'"caused"' in r.body]
    assert whole.json["data"]["enrichment"]["related_events"]
    assert whole.json["data"]["enrichment"]["correlation_chain"]
    for name in kinds.keys() - {"lifecycle"}:
        (request,) = await receiver.until(1, f"/{name}")
        content = request.body + repr(request.headers).encode()
        assert b"rival" not in content.replace(b"rival-1", b"", 1), name  # its causationid
        assert b"enrichment" in request.body
    # An event behind it: those before have gone wherever they go.
    last = of("customer", id="last")
    await client.send(last)
    for name in kinds.keys() - {"lifecycle"}:
        assert len(await receiver.until(2, f"/{name}")) == 2
    assert not receiver.requests_to("/lifecycle")


async def test_a_webhook_keeps_its_owner(
    client: Client, receiver: Receiver, callers: NarrowCallers, customer: NarrowCaller
) -> None:
    path, body = "/v1/webhooks/w", {"id": "w", "url": receiver.url, "events": ["shop.>"]}
    await customer.ask("POST", "/v1/webhooks", 201, json=body | {"owner": ["rival"]})
    for change in ({"namespaces": ["rival"]}, {"namespaces": ["customer", "rival"]},
                   {"transformation": "unknown"}, {"tls": {"ca": "ca.pem"}}):  # fmt: skip
        await customer.ask("PATCH", path, 422, json=change)
    # A change by an operator keeps the owner, and is held by it.
    changed = (await client.http.put(path, json=body | {"description": "x"})).json()
    assert (changed["owner"], changed["namespaces"]) == (["customer"], ["customer"])
    assert (await client.http.patch(path, json={"namespaces": ["rival"]})).status_code == 422
    assert (await client.http.patch(path, json={"owner": []})).json()["owner"] == ["customer"]
    await customer.ask("GET", path)
    async with (
        callers.caller(namespaces=("rival",)) as rival,
        callers.caller(namespaces=("customer", "rival")) as both,
        callers.caller(namespaces=()) as nobody,
        callers.caller(types=("shop.order.>",)) as typed,
    ):
        for caller in (rival, nobody, typed):
            await caller.ask("GET", path, 404)
        assert "taken" in (await rival.ask("POST", "/v1/webhooks", 409, json=body))["detail"]
        await nobody.ask("POST", "/v1/webhooks", 403, json=body | {"id": "n"})
        await both.ask("GET", path)
        made = await both.ask("POST", "/v1/webhooks", 201, json=body | {
            "id": "both", "namespaces": ["rival"]})  # fmt: skip
        assert made["owner"] == ["customer", "rival"]
        await rival.ask("GET", "/v1/webhooks/both", 404)
        await typed.ask("POST", "/v1/webhooks", 422, json=body | {"id": "t"})
        own = body | {"id": "t", "events": ["shop.order.x"]}
        assert (await typed.ask("POST", "/v1/webhooks", 201, json=own))["owner"] == []
        listed = (await typed.ask("GET", "/v1/webhooks"))["items"]
        assert [webhook["id"] for webhook in listed] == ["t"]


async def test_a_webhook_with_an_owner_captures_no_subjects(
    client: Client, receiver: Receiver, customer: NarrowCaller
) -> None:
    """What the log captures is decided by the operators."""

    async def captured() -> set[str]:
        info = await client.nats.jetstream().stream_info("GATEWAY_EVENTS")
        return set(info.config.subjects or ())

    path, body = "/v1/webhooks/w", {"id": "w", "url": receiver.url, "events": ["newroot.paid"]}
    before = await captured()
    await customer.ask("POST", "/v1/webhooks", 201, json=body)
    await customer.ask("PATCH", path, json={"events": ["otherroot.paid"]})
    assert await captured() == before
    await client.webhook(id="operators", url=receiver.url, events=["newroot.paid"])
    assert await captured() > before


@pytest.mark.alone  # it counts what its webhook could have got
async def test_an_id_that_was_somebody_elses(
    client: Client, receiver: Receiver, callers: NarrowCallers, customer: NarrowCaller
) -> None:
    """Neither callers nor replays find what a former webhook of the id has left."""
    body = {"id": "w", "url": f"{receiver.url}/former", "events": ["shop.>"],
            "retry_policy": ONCE, "circuit_breaker": {"failure_threshold": 1000}}  # fmt: skip
    receiver.answers["/former"] = [500]
    await client.webhook(**body)
    # Of both namespaces: what was the operator's stays the operator's.
    sent = [of("rival"), of("customer"), of("customer")]
    await client.send(sent)
    for each in sent:
        await client.until("w", each["id"], "dead_letter")
    letters = (await client.http.get("/v1/dead-letters")).json()["items"]
    replay = await client.http.post("/v1/dead-letters/replay", json={"webhook": "w"})
    assert replay.status_code == 202
    for each in sent:
        await client.until("w", each["id"], "dead_letter")
    await client.delete_webhook("w")
    mine = body | {"url": f"{receiver.url}/mine"}
    await customer.ask("POST", "/v1/webhooks", 201, json=mine)
    for each in sent:
        for method, action in (("GET", ""), ("POST", "/retry"), ("POST", "/cancel")):
            await customer.ask(method, f"/v1/deliveries/w/{each['id']}{action}", 404)
    for letter in letters:
        await customer.ask("GET", f"/v1/dead-letters/{letter['id']}", 404)
        await customer.ask("DELETE", f"/v1/dead-letters/{letter['id']}", 404)
        await customer.ask("POST", "/v1/dead-letters/replay", 404, json={"ids": [letter["id"]]})
    assert (await customer.ask("GET", "/v1/dead-letters?webhook=w"))["items"] == []
    assert (await customer.ask("DELETE", "/v1/dead-letters?webhook=w"))["purged"] == 0
    assert (await customer.ask("GET", "/v1/webhooks/w/deliveries"))["items"] == []
    assert (await customer.ask("GET", "/v1/replays"))["items"] == []
    await customer.ask("GET", f"/v1/replays/{replay.json()['id']}", 404)
    stats = await customer.ask("GET", "/v1/webhooks/w/stats")
    assert (stats["attempts"], stats["dead_lettered"], stats["queue_depth"]) == (0, 0, 0)
    # Not even an operator delivers the former dead letters to the present owner.
    for given in ({"webhook": "w"}, {"ids": [letter["id"] for letter in letters]}):
        counted = (await client.http.post("/v1/dead-letters/replay", json=given)).json()
        assert (counted["state"], counted["queued"]) == ("done", 0)
    # Its own: a delivery, a dead letter and a replay.
    receiver.answers["/mine"] = [500]
    own = of("customer")
    await customer.send(own)
    await client.until("w", own["id"], "dead_letter")
    (letter,) = (await customer.ask("GET", "/v1/dead-letters"))["items"]
    shown = await customer.ask("GET", f"/v1/dead-letters/{letter['id']}")
    assert shown["url"] == f"{receiver.url}/mine"
    receiver.answers["/mine"] = [200]
    begun = await customer.ask("POST", "/v1/dead-letters/replay", 202, json={"ids": [letter["id"]]})
    assert (begun["queued"], begun["webhook"], begun["looked_at"]) == (1, "w", None)
    await client.until("w", own["id"], "succeeded")
    listed = (await customer.ask("GET", "/v1/replays"))["items"]
    assert listed[0]["id"] == begun["id"]
    assert all(item["webhook"] == "w" for item in listed)
    assert replay.json()["id"] not in [item["id"] for item in listed]
    log = await customer.ask("POST", "/v1/replays", 202, json={"webhook": "w", "from_seq": 1})
    assert log["matched"] == 3, "the events of the namespace, those before the registration too"
    await receiver.until(4, "/mine")
    assert not any(b"rival" in request.body for request in receiver.requests_to("/mine"))
    async with callers.caller(namespaces=("rival",)) as rival:
        assert (await rival.ask("GET", "/v1/dead-letters"))["items"] == []
        assert (await rival.ask("GET", "/v1/replays"))["items"] == []
        await rival.ask("POST", f"/v1/replays/{begun['id']}/cancel", 404)
    assert (await customer.ask("DELETE", "/v1/dead-letters?webhook=w"))["purged"] == 1
    left = (await client.http.get("/v1/dead-letters?limit=100")).json()["items"]
    assert {letter["id"] for letter in letters} <= {item["id"] for item in left}


async def test_expression_errors_of_a_former_webhook(
    client: Client, receiver: Receiver, customer: NarrowCaller
) -> None:
    body = {"id": "w", "url": receiver.url, "events": ["shop.>"],
            "expression": "event.data.amount > 1"}  # fmt: skip
    await client.webhook(**body)
    await client.send(of("rival"))
    async with asyncio.timeout(PATIENCE):
        while not (await client.http.get("/v1/webhooks/w")).json()["expression_errors"]:
            await asyncio.sleep(0.05)
        await client.delete_webhook("w")
        await customer.ask("POST", "/v1/webhooks", 201, json=body)
        assert (await customer.ask("GET", "/v1/webhooks/w"))["expression_errors"] is None
        await customer.send(own := of("customer"))
        while not (errors := (await customer.ask("GET", "/v1/webhooks/w"))["expression_errors"]):
            await asyncio.sleep(0.05)
    assert (errors["count"], errors["latest"]["event_id"]) == (1, own["id"])


async def test_secrets_of_a_namespace(
    client: Client, receiver: Receiver, callers: NarrowCallers, customer: NarrowCaller
) -> None:
    async def puts(name: str, status: int, **body: Any) -> Any:
        return await customer.ask("PUT", f"/v1/secrets/{name}", status, json={"value": "v"} | body)

    def bearer(name: str, **fields: Any) -> dict[str, Any]:
        security = {"auth_type": "bearer_token", "secret_name": name}
        return {"url": f"{receiver.url}/w", "events": ["shop.>"], "security": security,
                "retry_policy": ONCE} | fields  # fmt: skip

    made = await puts("own", 201)
    assert (made["namespaces"], made["from"]) == (["customer"], "sealed")
    await client.http.put("/v1/secrets/admins", json={"value": "admins-value"})
    await client.http.put(
        "/v1/secrets/both", json={"value": "both-value", "namespaces": ["customer", "rival"]}
    )
    for name in ("admins", "both", "OF_NOBODY", "of-both", "of_customer"):
        assert "taken" in (await puts(name, 409))["detail"]
        for method, path in (("POST", f"/v1/secrets/{name}/rotate"),
                             ("DELETE", f"/v1/secrets/{name}")):  # fmt: skip
            body = {"value": "v"} if method == "POST" else None
            unknown = await customer.ask(method, path.replace(name, "unknown"), 404, json=body)
            foreign = await customer.ask(method, path, 404, json=body)
            assert str(foreign).replace(name, "unknown") == str(unknown)
    await puts("own", 422, namespaces=["rival"])
    await puts("own", 422, namespaces=[])
    names = [item["name"] for item in (await customer.ask("GET", "/v1/secrets"))["items"]]
    assert names == ["of-customer", "own"]
    # A webhook uses what names all namespaces of its owner, and is not told what else there is.
    answers = {
        str(await customer.ask("POST", "/v1/webhooks", 422, json=bearer(name, id="w"))).replace(
            name, "NAME"
        )
        for name in ("admins", "OF_NOBODY", "of_customer", "unknown", "sealing_key2")
    }
    assert len(answers) == 1
    for number, name in enumerate(("own", "of-customer", "both", "of-both")):
        await customer.ask("POST", "/v1/webhooks", 201, json=bearer(name, id=f"w{number}"))
    async with callers.caller(namespaces=("customer", "rival")) as two:
        await two.ask("POST", "/v1/webhooks", 422, json=bearer("own", id="two"))
        await two.ask("POST", "/v1/webhooks", 201, json=bearer("both", id="two"))
        await two.ask("PUT", "/v1/secrets/own", json={"value": "v2"})
    used = await customer.ask("GET", "/v1/secrets")
    assert {item["name"]: item["used_by"] for item in used["items"]} == {
        "of-customer": ["w1"], "own": ["w0"],
    }  # fmt: skip
    await customer.ask("DELETE", "/v1/secrets/own", 409)
    # The value is used for as long as the secret names the namespace.
    await client.send(sent := of("customer"))
    await client.until("w2", sent["id"], "succeeded")
    await client.http.put("/v1/secrets/both", json={"value": "x", "namespaces": ["rival"]})
    before = len(receiver.requests)
    tried = await customer.ask("POST", "/v1/webhooks/w2/test")
    assert (tried["error_type"], len(receiver.requests)) == ("SecretMissing", before)
    await customer.ask("PATCH", "/v1/webhooks/w2", json={"enabled": False})
    # The signing key of one namespace is rotated by its callers, a shared one is not.
    signed = {"auth_type": "hmac_signature", "secret_name": "signing"}
    await puts("signing", 201, value=WHSEC)
    await customer.ask("PATCH", "/v1/webhooks/w0", json={"security": signed})
    path = "/v1/webhooks/w0/rotate-secret"
    rotated = await customer.ask("POST", path, json={"value": WHSEC})
    assert rotated["namespaces"] == ["customer"]
    shared = {"value": WHSEC, "namespaces": ["customer", "rival"]}
    await client.http.put("/v1/secrets/signing", json=shared)
    await customer.ask("POST", path, 409, json={"value": WHSEC})


async def test_only_operators_use_secrets_of_no_namespace(
    client: Client, receiver: Receiver, callers: NarrowCallers
) -> None:
    """A caller that may manage every webhook, and is no operator."""
    security = {"auth_type": "bearer_token", "secret_name": "OF_NOBODY"}
    webhook = {"url": receiver.url, "events": ["shop.>"], "security": security}
    await client.webhook(id="operators", **webhook)
    async with callers.caller("webhooks:manage") as manager:
        await manager.ask("POST", "/v1/webhooks", 422, json=webhook | {"id": "w"})
        of_customer = webhook | {"security": security | {"secret_name": "of-customer"}}
        await manager.ask("POST", "/v1/webhooks", 422, json=of_customer | {"id": "w"})
        narrowed = of_customer | {"id": "w", "namespaces": ["customer"]}
        await manager.ask("POST", "/v1/webhooks", 201, json=narrowed)
        path = "/v1/webhooks/operators"
        await manager.ask("PATCH", path, json={"description": "x"})
        await manager.ask("PATCH", path, 422, json={"url": f"{receiver.url}/elsewhere"})


async def test_a_sample_is_an_event_that_its_caller_may_read(
    client: Client, receiver: Receiver, callers: NarrowCallers
) -> None:
    await client.webhook(id="w", url=receiver.url, events=["shop.*"])
    async with callers.caller("webhooks:manage", types=("shop.*",)) as caller:
        path = "/v1/webhooks/w/test"
        refused = await caller.ask("POST", path, 422, json={"event": event("bank.paid")})
        assert "type of the caller" in str(refused)
        assert receiver.requests == []
        for body in (None, {"event": event("shop.paid")}):
            assert (await caller.ask("POST", path, json=body))["succeeded"]


@pytest.mark.alone  # it looks at all of a stream
async def test_live_events_and_subscriptions(
    client: Client, callers: NarrowCallers, customer: NarrowCaller
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        two = await stack.enter_async_context(callers.caller(namespaces=("customer",)))
        rival = await stack.enter_async_context(callers.caller(namespaces=("rival",)))
        typed = await stack.enter_async_context(callers.caller(types=("shop.order.*",)))
        sockets = [await stack.enter_async_context(each.websocket())
                   for each in (customer, rival, typed)]  # fmt: skip
        operator = await stack.enter_async_context(client.websocket())
        subscribed = []
        for socket in (*sockets, operator):
            frame = await socket.request(action="subscribe", stream="orders", durable="mine")
            assert frame["type"] == "subscribed", "each owner has durable names of its own"
            subscribed.append(frame["subscription"])
        sent = [of("customer"), of("rival"), of("rival", "shop.stock.low"), of("customer")]
        await client.send(sent)
        for socket, expected in zip(
            (*sockets, operator), ([0, 3], [1, 2], [0, 1, 3], [0, 1, 2, 3]), strict=True
        ):
            got = [(await socket.next())["event"]["id"] for _ in expected]
            assert got == [sent[n]["id"] for n in expected]
        for caller, seen in ((customer, [0]), (two, [0]), (rival, [1]), (typed, [2])):
            listed = (await caller.ask("GET", "/v1/subscriptions"))["items"]
            assert [item["id"] for item in listed] == [subscribed[n] for n in seen]
        await rival.ask("DELETE", f"/v1/subscriptions/{subscribed[0]}", 404)
        await typed.ask("DELETE", f"/v1/subscriptions/{subscribed[3]}", 404)
        # A token for a stream that can have nothing for the caller is refused as for no stream.
        made = await client.http.post("/v1/streams", json={"name": "secret", "subjects": ["hr.>"]})
        assert made.status_code == 201
        refused = [
            await typed.ask("POST", "/v1/tokens", 422, json={"streams": [name]})
            for name in ("secret", "nothing")
        ]
        details = [str(each["errors"][0]["detail"]) for each in refused]
        assert details == ["there is no stream secret", "there is no stream nothing"]
        assert (await typed.ask("POST", "/v1/tokens", 201, json={"streams": ["orders"]}))["id"]
        # The one with the name is taken over by its own namespace only.
        other = await stack.enter_async_context(two.websocket())
        again = {"action": "subscribe", "stream": "orders", "durable": "mine"}
        assert (await other.request(**again))["code"] == "durable_in_use"
        taken = await other.request(**again, take_over=True)
        assert taken["type"] == "subscribed"
        assert (await sockets[0].next())["code"] == "taken_over"
        await customer.ask("DELETE", f"/v1/subscriptions/{taken['subscription']}", 204)
        while (frame := await other.next())["type"] != "unsubscribed":
            pass  # events that nobody has acknowledged
        assert frame["code"] == "closed_by_operator"
        assert len((await client.http.get("/v1/subscriptions")).json()["items"]) == 3
    messages = (await customer.ask("GET", "/v1/streams/orders/messages"))["items"]
    assert [m["event"]["id"] for m in messages] == [sent[0]["id"], sent[3]["id"]]
    outline = {"name": "orders", "subjects": ["shop.>"]}
    assert await customer.ask("GET", "/v1/streams/orders") == outline
    async with callers.caller(streams=("none",)) as nothing:
        await nothing.ask("GET", "/v1/streams/orders", 404)
        await nothing.ask("GET", "/v1/streams/orders/messages", 404)
        assert (await nothing.ask("GET", "/v1/streams"))["items"] == []


@pytest.mark.alone  # it looks at the whole log
async def test_what_a_caller_may_not_see_looks_like_what_is_not_there(
    client: Client, receiver: Receiver, callers: NarrowCallers, customer: NarrowCaller
) -> None:
    await client.webhook(id="w", url=receiver.url, events=["shop.>"])
    await client.send([of("rival") for _ in range(3)])
    async with (
        callers.caller(types=("other.>",)) as typed,
        callers.caller("events:read") as reader,
    ):
        said = []
        async with typed.websocket() as socket:
            for name in ("orders", "absent"):
                answer = await socket.request(action="subscribe", stream=name)
                said.append((answer["code"], answer["detail"].replace(name, "")))
        assert said[0] == said[1]
        assert said[0][0] == "unknown_stream"
        for name in ("orders", "absent"):
            await typed.ask("GET", f"/v1/streams/{name}/sse", 404)
        for caller in (typed, customer):
            for query in ("type=shop.order.paid", "type=shop.*.paid", "source=tests", ""):
                listed = await caller.ask("GET", f"/v1/events?{query}")
                nothing = {"total": 0, "total_is_estimate": False, "read": 0}
                assert listed == {"items": [], "next": None, **nothing}, query
        listed = await client.http.get("/v1/events?type=shop.order.paid")
        event_id = listed.json()["items"][0]["event"]["id"]
        shown = [await reader.ask("GET", f"/v1/events/{event_id}?webhook={name}")
                 for name in ("w", "absent")]  # fmt: skip
        assert [answer["webhooks"] for answer in shown] == [[], []]
