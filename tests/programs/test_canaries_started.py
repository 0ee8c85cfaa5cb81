"""No secret in what is printed before the gateway runs, or in the repr of objects."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from event_gateway.broker.registry import Registry
from event_gateway.cli.process.host import Hosted
from event_gateway.cli.process.serve import Running
from event_gateway.config.model import Config
from event_gateway.core.access.sealing import SealingKeys, new_key
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.text.urls import without_password
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.registration.key_ring import KeyRing
from event_gateway.registration.tokens import Tokens
from event_gateway.request import access_tokens as tokens
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.redaction import redact
from event_gateway.request.transformations import Transformations
from event_gateway.secrets import sealed as sealed_secrets
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import Secrets
from event_gateway.transport.client import HttpClient, parse_target
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.exchange import OutgoingExchange
from event_gateway.transport.proxy import proxy_of
from event_gateway.transport.tls_files import TlsFiles
from support.canaries import Canaries
from support.command import command
from support.patience import PATIENCE
from support.program import Program

WEBHOOK = "webhooks:\n  w:\n    url: https://receiver.test/\n    events: ['user.*']\n"
OF_A_VARIABLE = "nothing, but a variable"
BAD_FILES = {
    "a url's password": "webhooks: {w: {url: 'https://u:SECRET@receiver.test/', events: [a]}}",
    "a url's port": "webhooks: {w: {url: 'https://receiver:SECRET/', events: [a]}}",
    "a header": WEBHOOK + "    headers: {Authorization: 'Bearer SECRET'}",
    "a header's name": WEBHOOK + "    headers: {'Authorization: Bearer SECRET': ''}",
    "headers as a list": WEBHOOK + "    headers: ['Authorization: Bearer SECRET']",
    "security as text": WEBHOOK + "    security: SECRET",
    "another key": WEBHOOK + "    security: {auth_type: bearer_token, secret: SECRET}",
    "a way that there is not": WEBHOOK + "    security: {auth_type: SECRET}",
    "in place of its name": WEBHOOK + "    security: {auth_type: bearer_token, "
    "secret_name: 'SECRET/+='}",
    "a field of another way": WEBHOOK + "    security: {auth_type: bearer_token, "
    "secret_name: x, username: SECRET}",
    "a file": WEBHOOK + "    security: {auth_type: bearer_token, secret_name: x, key: SECRET}",
    "not in quotes, *": WEBHOOK + "    token: *SECRET",
    "not in quotes, !": WEBHOOK + "    token: !SECRET",
    "not in quotes, !!": WEBHOOK + "    token: !SECRET!x y",
    "a number that is none": WEBHOOK + "    token: !!int SECRET",
    "quotes left open": WEBHOOK + "    token: 'SECRET",
    "a bracket left open": WEBHOOK + "    token: [SECRET",
    "two colons": WEBHOOK + "    token: SECRET: x",
    "no mapping": "SECRET",
    "secrets themselves": "secrets: {token: SECRET}",
    "secrets as text": "secrets: SECRET",
    "nats, another scheme": "nats: {url: 'http://u:SECRET@h:4222'}",
    "nats, a port": "nats: {url: 'nats://u:SECRET'}",
    "nats, a comma": "nats: {url: 'nats://h,nats://u:SECRET'}",
    "nats, as a list": "nats: {url: ['nats://u:SECRET@h:4222']}",
    "redis, another scheme": "redis: {url: 'http://:SECRET@h'}",
    "redis, a slash": "redis: {url: 'redis://u:SECRET/more@h'}",
    "redis, another key": "redis: {password: SECRET}",
    "a proxy": "delivery: {proxy: {url: 'https://u:SECRET@h:1'}}",
    "a proxy, another key": "delivery: {proxy: {url: 'http://h:1', password: SECRET}}",
    OF_A_VARIABLE: "",
    "of the environment": "redis: {url: '${PLANTED}'}",
}


async def test_check_shows_no_secret(tmp_path: Path) -> None:
    """Each file is refused, and the error contains no secret."""
    canaries = Canaries()
    planted = {"PLANTED": canaries.make("planted")}
    variable = {"EVENT_GATEWAY__REDIS__PASSWORD": canaries.make("variable")}

    async def check(name: str, text: str, *options: str) -> tuple[str, bytes]:
        path = tmp_path / f"{len(name)}-{abs(hash((name, options)))}.yaml"
        path.write_text(text)
        environ: dict[str, Any] = planted | variable if name == OF_A_VARIABLE else planted
        ended = await command("check", "-c", str(path), *options, **environ)
        message = (ended.out + ended.err).encode()
        assert ended.status == 2, (name, message)
        return name, message

    limit = asyncio.Semaphore(4)

    async def limited(name: str, text: str, *options: str) -> tuple[str, bytes]:
        async with limit:
            return await check(name, text, *options)

    texts = {
        name: text.replace("SECRET", canaries.make(f"file{number}"))
        for number, (name, text) in enumerate(BAD_FILES.items())
    }
    places = await asyncio.gather(*(limited(*item) for item in texts.items()))
    assert all(b".yaml" in message or b"PASSWORD" in message for _, message in places)
    assert not canaries.hits(places)


async def test_servers_that_refuse_or_do_not_answer(
    tmp_path: Path, servers: tuple[str, str]
) -> None:
    """The error of a failed start names the server without its password."""
    nats_url, redis_url = (httpx.URL(url) for url in servers)
    canaries = Canaries()
    wrong = canaries.make("wrong")
    nats_wrong = str(nats_url.copy_with(password=wrong))
    redis_wrong = f"redis://127.0.0.1:{redis_url.port}/0"
    output = []
    for number, (nats, redis) in enumerate((
        (nats_wrong, servers[1]),
        (servers[0], redis_wrong + f"?password={wrong}"),
        (servers[0], redis_wrong.replace("//", f"//:{wrong},more@")),
        (servers[0], redis_wrong.replace("//", f"//us,er:{wrong}@")),
    )):  # fmt: skip
        directory = tmp_path / str(number)
        directory.mkdir()
        canaries.plant(f"right{number}", nats_url.password, redis_url.password)
        program = Program(directory, {"nats": {"url": nats}, "redis": {"url": redis}})
        assert await program.start_fails() == 1, program.output
        assert "cannot connect to" in program.last_line
        output.append((f"output {number}: {program.output}", program.output.encode()))
    for number, config in enumerate((
        {"nats": {"url": f"nats://u:{wrong}@127.0.0.1:1"}, "redis": {"url": servers[1]}},
        {"nats": {"url": servers[0]}, "redis": {"url": f"redis://:{wrong}@127.0.0.1:1/0"}},
    )):  # fmt: skip
        directory = tmp_path / f"away{number}"
        directory.mkdir()
        program = Program(directory, config)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                starting = asyncio.create_task(program.start())
                while "does not respond yet" not in program.output:
                    await asyncio.sleep(0.05)
                starting.cancel()
        await program.stop()
        assert "does not respond yet" in program.output
        output.append((f"away {number}: {program.output}", program.output.encode()))
    assert not canaries.hits(output)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:SECRET@h:1/0", "redis://h:1/0"),
        ("redis://:SEC,RET@h/0", "redis://h/0"),
        ("redis://h/0?password=SEC@RET", "redis://h/0"),
        ("unix:///run/r.sock?password=SECRET", "unix:///run/r.sock"),
        ("nats://SECRET@h:1,nats://u:SECRET@i:2", "nats://h:1,nats://i:2"),
        ("nats://u:SECRET@h, tls://u:SECRET@i", "nats://h,tls://i"),
        ("SECRET", ""),
    ],
)
def test_urls_are_shown_without_passwords(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_texts_without_secrets() -> None:
    # Of two secrets with the same beginning the longer one is hidden completely.
    assert redact({"abcd", "abcdefgh"}, "abcdefgh abcd") == "[hidden] [hidden]"
    assert redact({"abc"}, "abc") == "abc"  # guards nothing
    assert redact({'s3"cr/t'}, r'{"a": "s3\"cr/t", "b": "s3\"cr\/t"}').count("[hidden]") == 2
    assert redact({"secret-1"}, "... secret", cut=True) == "... [hidden]"
    assert redact({"secret-1"}, "... secret") == "... secret"


async def test_reprs_contain_no_secret(tmp_path: Path) -> None:
    """Objects that a log can show in an error, or by the event loop, which logs reprs."""
    canaries = Canaries()
    key, admin, url, value = new_key(), *(canaries.make(item) for item in ("admin", "url", "value"))
    canaries.plant("sealing", key)
    servers = {"nats": {"url": f"nats://u:{url}@h"}, "redis": {"url": f"redis://:{url}@h"}}
    proxy = {"proxy": {"url": f"http://u:{url}@h:1"}}
    config = Config.model_validate(servers | {"delivery": proxy})
    secrets = Secrets(ExternalSecrets({"S_TOKEN": value}, "S_", tmp_path))
    sender = HttpClient(EgressGuard())
    ways = tuple(Security(item, "token", username="u") for item in ("basic", "api_key"))
    webhook = Webhook("w", "https://receiver.test/", ("user.*",), security=ways)
    builders = RequestBuilders(
        secrets=secrets, tokens=tokens.AccessTokens(sender), key=b"key", version="1",
        transformations=Transformations(on_fallback=print),
    )  # fmt: skip
    builder = builders.for_webhook(webhook)
    event = Event("1", "s", "user.a", None, "", None, None, {}, b"", DataKind.NONE)
    request = builder.build(Received(event, "", 0, 0.0), 1)
    assert value.encode() in request.head
    oauth = Security("oauth2_client_credentials", "token", token_url="https://auth.test/",
                     client_id="c")  # fmt: skip
    source = builders.tokens.source(oauth, value)
    keys = SealingKeys(key)
    content = sealed_secrets._Content(value, [sealed_secrets._Former(value, 1.0)])
    key_file = AdminKeyFile(tmp_path)
    key_file.write(admin)
    objects: list[Any] = [
        config, config.nats, config.redis, proxy_of(config.delivery.proxy), secrets, webhook,
        builder, builders, request, source, tokens.TokenPending(source), keys, content,
        keys.seal("token", value.encode(), 0.0), TlsFiles(oauth, tmp_path),
        OutgoingExchange(parse_target("https://h/"), request.head, 1.0, print),
        tokens._TokenResponse(value), tokens._ErrorResponse("x", value),
        Running(None, "", url, url, admin),  # type: ignore[arg-type]
        Hosted(None, url, url, key_file),  # type: ignore[arg-type]
        key_file, KeyRing(Registry(None, None, None, None), key_file),  # type: ignore[arg-type]
        Tokens(key=key.encode(), registry=None, ring=None, issued=None),  # type: ignore[arg-type]
    ]  # fmt: skip
    await sender.close()
    assert secrets.find("token") == (value,)
    shown = [(type(object).__name__, (repr(object) + str(object)).encode()) for object in objects]
    assert not canaries.hits(shown)
