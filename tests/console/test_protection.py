"""Sessions, forms and links of the console: what must not get through."""

import dataclasses
import secrets
import time
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from event_gateway.cli.process.console import sign_in_link
from event_gateway.console import sealing
from event_gateway.console.links import OneTimeLinks
from event_gateway.console.sealing import Sealer, sealer_in
from event_gateway.console.sessions import Session, Sessions, SessionTooLarge
from event_gateway.console.settings import ConsoleSettings
from event_gateway.private_file import write_private
from support.console import gateway_and_console, gateway_with_console
from support.patience import PATIENCE
from support.served_console import NO_GATEWAY, served_console


def _cookies(response: Response) -> dict[str, str]:
    lines = [value.decode() for name, value in response.raw_headers if name == b"set-cookie"]
    return dict(line.partition(";")[0].split("=", 1) for line in lines)


def test_what_was_sealed_is_opened_for_its_purpose_and_in_its_time(tmp_path: Path) -> None:
    sealer = sealer_in(tmp_path / "console")
    text = sealer.seal("session", {"key": "k"}, time.time() + 60)
    assert sealer.open("session", text) == {"key": "k"}
    assert sealer_in(tmp_path / "console").open("session", text) == {"key": "k"}
    assert (tmp_path / "console" / "session.key").stat().st_mode & 0o777 == 0o600
    assert sealer.open("link", text) is None
    assert Sealer(b"x" * 32).open("session", text) is None
    other = "B" if text[0] == "A" else "A"
    for wrong in ("", "*", text[:-2], other + text[1:], "ü"):
        assert sealer.open("session", wrong) is None
    assert sealer.open("session", sealer.seal("session", {}, time.time() - 1)) is None


def test_processes_that_begin_at_once_have_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[Sealer] = []

    def write_while_another_begins(path: Path, text: str) -> None:
        if not others:
            others.append(Sealer(b"-" * 32))
            others[0] = sealer_in(tmp_path)
        write_private(path, text)

    monkeypatch.setattr(sealing, "write_private", write_while_another_begins)
    text = sealer_in(tmp_path).seal("link", {"key": "k"}, time.time() + 60)
    assert others[0].open("link", text) == {"key": "k"}
    assert [path.name for path in tmp_path.iterdir()] == ["session.key"]


def test_a_link_signs_in_once(tmp_path: Path) -> None:
    sealer = sealer_in(tmp_path)
    links = OneTimeLinks(tmp_path, sealer)
    token = links.create("egk_1").partition("token=")[2]
    assert "egk_1" not in token
    assert links.take("../../session.key") is None
    taken = OneTimeLinks(tmp_path, sealer).take(token)
    assert taken is not None
    assert taken.key == "egk_1"
    assert "egk_1" not in repr(taken)
    assert links.take(token) is None
    taken.give_back()
    taken = links.take(token)
    assert taken is not None
    taken.used()
    assert links.take(token) is None
    assert links.take(links.create("egk_2", lifetime=-1).partition("token=")[2]) is None
    assert list((tmp_path / "links").iterdir()) == []


def test_a_long_token_takes_several_cookies() -> None:
    sessions = Sessions(Sealer(b"k" * 32), name="eg", secure=True, lifetime=60)
    random = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(1000))
    response = Response()
    sessions.write(response, sessions.new(random), {})
    cookies = _cookies(response)
    assert len(cookies) > 1
    assert all(name.startswith("__Host-eg") for name in cookies)
    found = sessions.read(cookies)
    assert isinstance(found, Session)
    assert found.key == random
    assert sessions.read(dict(list(cookies.items())[:1])) is None
    with pytest.raises(SessionTooLarge):
        sessions.write(Response(), sessions.new(secrets.token_hex(20_000)), {})


async def test_forms_of_other_sites_and_without_the_token_are_refused(tmp_path: Path) -> None:
    async with gateway_and_console(tmp_path) as console:
        await console.client.webhook(id="crm", url="https://example.com/", events=["user.>"])
        own = {"Origin": console.url}
        async with httpx.AsyncClient(base_url=console.url, timeout=PATIENCE) as http:
            for headers in (
                {}, {"Origin": "https://evil.example"}, {"Origin": "null"},
                own | {"Sec-Fetch-Site": "cross-site"}, own | {"Sec-Fetch-Site": "same-site"},
            ):  # fmt: skip
                answer = await http.post("/sign-in", data={"key": console.key}, headers=headers)
                assert answer.status_code == 403, headers
            answer = await http.post("/sign-in", data={"key": console.key}, headers=own)
            assert answer.status_code == 303
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "samesite=lax" in cookie.lower()
            assert console.key not in cookie
            page = await http.get("/webhooks/crm")
            assert page.status_code == 200
            for name, value in (
                ("content-security-policy", "default-src 'none'"),
                ("x-content-type-options", "nosniff"),
                ("cache-control", "no-store"),
            ):
                assert value in page.headers[name]
            token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
            for data in ({}, {"csrf": "wrong"}):
                answer = await http.post("/webhooks/crm/pause", data=data, headers=own)
                assert answer.status_code == 403
            evil = {"Origin": "https://evil.example"}
            answer = await http.post("/webhooks/crm/pause", data={"csrf": token}, headers=evil)
            assert answer.status_code == 403
            assert (await console.client.http.get("/v1/webhooks/crm")).json()["enabled"]
            answer = await http.post("/webhooks/crm/pause", data={"csrf": token}, headers=own)
            assert answer.status_code == 303
            assert not (await console.client.http.get("/v1/webhooks/crm")).json()["enabled"]

            # What a page has filled in, and somebody has changed.
            for tag in ('"\u00fc"', '"a\nb"', "none"):
                for path in ("/webhooks/crm/edit", "/save-event-type"):
                    data = {
                        "csrf": token, "etag": tag, "url": "https://example.com/",
                        "events": "user.>", "former": "user.made",
                    }  # fmt: skip
                    answer = await http.post(path, data=data, headers=own)
                    assert answer.status_code == 400, (tag, path, answer.text)
                    assert "its field etag is no entity tag" in answer.text

        async with httpx.AsyncClient(base_url=console.url, timeout=PATIENCE) as http:
            # Where to go afterwards is a page of the console.
            for target in ("https://evil.example", "//evil.example", "/\\evil.example"):
                data = {"key": console.key, "next": target}
                answer = await http.post("/sign-in", data=data, headers=own)
                assert answer.headers["location"] == "/"
            statuses = [
                (await http.post("/sign-in", data={"key": f"egk_{n}"}, headers=own)).status_code
                for n in range(12)
            ]
            assert statuses[0] == 401
            assert statuses[-1] == 429


async def test_a_key_that_is_revoked_ends_its_sessions(tmp_path: Path) -> None:
    async with gateway_and_console(tmp_path) as console:
        asked = {"name": "short", "scopes": ["webhooks:read"]}
        key = (await console.client.http.post("/v1/keys", json=asked)).json()
        async with httpx.AsyncClient(base_url=console.url, timeout=PATIENCE) as http:
            own = {"Origin": console.url}
            await http.post("/sign-in", data={"key": key["key"]}, headers=own)
            assert (await http.get("/webhooks")).status_code == 200
            await console.client.http.delete(f"/v1/keys/{key['id']}")
            answer = await http.get("/webhooks")
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in?")
            headers = {
                "HX-Request": "true",
                "HX-Current-URL": f"{console.url}/webhooks?state=paused",
            }
            part = await http.get("/webhooks", headers=headers)
            assert part.status_code == 401
            assert part.headers["hx-redirect"] == "/sign-in?next=%2Fwebhooks%3Fstate%3Dpaused"
            # A form gets the page for its answer, which leads back to that of the form.
            headers = own | {"Referer": f"{console.url}/webhooks/crm/edit"}
            form = await http.post("/webhooks/crm/edit", data={"csrf": "c"}, headers=headers)
            assert form.status_code == 401
            assert "nothing was changed" in form.text
            assert 'name="next" value="/webhooks/crm/edit"' in form.text


async def test_a_link_is_not_used_up_by_whoever_only_asks_for_headers(tmp_path: Path) -> None:
    async with gateway_with_console(tmp_path) as console:
        link = sign_in_link(console.program.data, console.url, console.key)
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            assert (await http.head(link)).status_code == 405
            assert (await http.get(link)).status_code == 303
            assert (await http.get(link)).status_code == 403


async def test_a_link_is_not_used_up_while_the_gateway_is_away(tmp_path: Path) -> None:
    async with gateway_and_console(tmp_path) as console:
        beside = tmp_path / "beside"
        link = OneTimeLinks(beside, sealer_in(beside)).create(console.key)
        settings = ConsoleSettings(gateway_url=NO_GATEWAY, directory=str(beside))
        async with (
            served_console(settings) as url,
            httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http,
        ):
            for _ in range(2):
                answer = await http.get(link)
                assert answer.status_code == 502
                assert "does not answer" in answer.text
        reached = dataclasses.replace(settings, gateway_url=str(console.client.http.base_url))
        async with (
            served_console(reached) as url,
            httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http,
        ):
            assert (await http.get(link)).status_code == 303
            assert (await http.get(link)).status_code == 403


async def test_failed_attempts_count_for_the_browser_behind_a_proxy(tmp_path: Path) -> None:
    trusted = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}
    async with (
        gateway_with_console(tmp_path, trusted) as console,
        httpx.AsyncClient(base_url=console.url, timeout=PATIENCE) as http,
    ):
        for address, expected in (("203.0.113.7", 429), ("203.0.113.8", 401)):
            headers = {"Origin": console.url, "X-Forwarded-For": address}
            for _ in range(12 if expected == 429 else 1):
                answer = await http.post("/sign-in", data={"key": "egk_0"}, headers=headers)
            assert answer.status_code == expected, address
