"""Sources in a real browser: one is made, its provider's requests come in, and one is refused."""

import base64
import hmac
import re

import httpx
import pytest
from playwright.async_api import Browser, expect

from support.console import PHONE, Console, Tab, tab
from support.patience import PATIENCE

pytestmark = pytest.mark.browser
PUSH = b'{"ref": "refs/heads/main", "repository": {"full_name": "octocat/hello"}}'


def signed(secret: str, delivery: str) -> dict[str, str]:
    """Headers of GitHub."""
    return {
        "X-GitHub-Event": "push", "X-GitHub-Delivery": delivery, "Content-Type": "application/json",
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), PUSH, "sha256").hexdigest(),
    }  # fmt: skip


async def test_a_source_is_made_tried_and_changed(
    chromium: Browser, console: Console, shown: Tab
) -> None:
    page, main, client = shown.page, shown.page.locator("main"), console.client
    shown.expected = ("422",)  # of a form that is refused
    await shown.sign_in(console.key)
    await shown.open("/sources")
    await shown.until("There is no source yet.")
    await main.get_by_role("link", name="Create a source").first.click()
    await shown.check_accessible()
    await page.get_by_role("link", name="GitHub", exact=False).click()
    await shown.check_accessible()

    # What the gateway refuses stands beside its field.
    await page.get_by_label("Name", exact=False).first.fill("http")
    await page.get_by_label("Name of the secret").fill("gh_secret")
    await page.get_by_label("Type").fill("code.{x-github-event")
    await page.get_by_role("button", name="Create the source").click()
    await shown.until("The source is not saved yet")
    await expect(page.locator("#name-error")).to_contain_text("http")
    await expect(page.locator("#event__type-error")).not_to_be_empty()
    await page.get_by_label("Name", exact=False).first.fill("gh")
    await page.get_by_label("Type").fill("code.{x-github-event}")
    await page.get_by_role("button", name="Create the source").click()
    await shown.until("gh is registered. Note: secret_name: there is no secret gh_secret")
    await shown.until("https://YOUR-GATEWAY/v1/sources/gh")
    await shown.until("No request has come in yet.")

    # A secret that the console makes is shown once.
    await page.get_by_role("button", name="Set the secret").click()
    await page.locator("dialog[open]").get_by_role("button", name="Set", exact=True).click()
    first = await page.locator("#new-secret").inner_text()
    assert re.fullmatch("[0-9a-f]{64}", first)
    await page.get_by_role("link", name="Back to gh").click()
    url = f"{str(client.http.base_url).rstrip('/')}/v1/sources/gh"
    async with httpx.AsyncClient(timeout=PATIENCE) as provider:
        taken = await provider.post(url, content=PUSH, headers=signed(first, "d-1"))
        assert taken.status_code == 200, taken.text
        refused = await provider.post(url, content=PUSH, headers=signed("wrong", "d-2"))
        assert refused.status_code == 401
    await shown.reloaded_until("The latest request was refused")
    row = page.get_by_role("row", name="accepted")
    await expect(row).to_contain_text("1")
    await shown.check_accessible()
    await page.get_by_role("link", name="Its events").click()
    await page.get_by_role("link", name="d-1").click()
    await shown.until("code.push")

    # Trials: the example, and a request that somebody has captured.
    await shown.open("/sources/gh")
    await page.get_by_role("button", name="Try it").click()
    await shown.until("An example of the provider, which is not signed")
    await page.get_by_text("With a request that you have captured").click()
    captured = "\n".join(f"{name}: {value}" for name, value in signed(first, "d-3").items())
    await page.get_by_label("Headers").fill(captured)
    await page.get_by_label("Body", exact=True).fill(PUSH.decode())
    await page.get_by_role("button", name="Try it").click()
    await shown.until("It is the provider's, and would become:")
    await page.get_by_label("Body", exact=True).fill("{}")
    await page.get_by_role("button", name="Try it").click()
    await shown.until("refused")
    # Line breaks are those that the user says, as a signature covers them.
    broken = PUSH.replace(b"{", b"{\r\n")
    headers = signed(first, "d-3") | {
        "X-Hub-Signature-256": f"sha256={hmac.new(first.encode(), broken, 'sha256').hexdigest()}"
    }
    captured = "\n".join(f"{name}: {value}" for name, value in headers.items())
    await page.get_by_label("Headers").fill(captured)
    await page.get_by_label("Body", exact=True).fill(broken.decode())
    await page.get_by_role("button", name="Try it").click()
    await shown.until("were they LF or CRLF?")
    for kind, text in (("crlf", broken.decode()), ("base64", base64.b64encode(broken).decode())):
        await page.get_by_label("The body is").select_option(kind)
        await page.get_by_label("Body", exact=True).fill(text)
        async with page.expect_response("**/test"):
            await page.get_by_role("button", name="Try it").click()
        await shown.until("It is the provider's, and would become:")
    await page.get_by_label("Body", exact=True).fill("{}}")  # no base64
    await page.get_by_role("button", name="Try it").click()
    await shown.until("body_base64 is not base64")
    await page.get_by_label("The body is").select_option("lf")
    await page.get_by_label("Headers").fill('{"a":' * 2000)
    await page.get_by_role("button", name="Try it").click()
    await shown.until("The headers are not JSON")

    # With an overlap both values verify.
    await page.get_by_role("button", name="Rotate the secret").click()
    dialog = page.locator("dialog[open]")
    await dialog.get_by_label("Value").fill("another-value-of-some-length")
    await dialog.get_by_role("button", name="Rotate", exact=True).click()
    await shown.until("The secret gh_secret is set. For 24h")
    async with httpx.AsyncClient(timeout=PATIENCE) as provider:
        for delivery, secret in (("d-4", first), ("d-5", "another-value-of-some-length")):
            taken = await provider.post(url, content=PUSH, headers=signed(secret, delivery))
            assert taken.status_code == 200, taken.text

    await page.get_by_role("link", name="Change", exact=True).click()
    await page.get_by_label("Description").fill("The repositories")
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("gh is changed.")
    await page.get_by_role("button", name="Turn off").click()
    await shown.until("gh takes no requests.")
    await page.get_by_role("button", name="Turn on").click()
    await shown.until("gh takes requests again.")
    await page.locator("nav.nav").get_by_role("link", name="Sources").click()
    await expect(page.get_by_role("row", name="gh")).to_contain_text("GitHub")
    await shown.check_accessible()

    # A user that may only read sees no button that changes anything; a narrowed one no sources.
    for name, more, seen in (("reader", {}, 1), ("narrowed", {"namespaces": ["customer"]}, 0)):
        made = await client.http.post(
            "/v1/keys", json={"name": name, "scopes": ["events:read"]} | more
        )
        async with tab(chromium, console.url) as other:
            other.expected = ("403",)
            await other.sign_in(made.json()["key"])
            await other.open("/")
            links = other.page.locator("nav.nav").get_by_role("link", name="Sources")
            await expect(links).to_have_count(seen)
            await other.open("/sources/gh")
            for label in ("Change", "Turn off", "Delete", "Rotate the secret"):
                buttons = other.page.locator("main .head").get_by_text(label, exact=True)
                await expect(buttons).to_have_count(0)
            other.check_faultless()

    # What is signed stays as it is, line breaks and all, when something else is changed.
    lines = {"name": "lines", "type": "hmac", "secret_name": "gh_secret", "header": "x-sig",
             "signed": "{target}\n{body}\n", "event": {"type": "a.b"}, "description": "w" * 1000,
             "keep_refused": True}  # fmt: skip
    assert (await client.http.post("/v1/sources", json=lines)).status_code == 201
    # Nor is a page wider than the screen, whatever words somebody has sent.
    async with httpx.AsyncClient(timeout=PATIENCE) as provider:
        odd = {"x-sig": "s" * 500, f"x-{'h' * 200}": "v" * 500}
        refused = await provider.post(url.replace("/gh", "/lines"), content=b"{", headers=odd)
        assert refused.status_code == 401
    await shown.become(PHONE, "light")
    for path in ("/sources/lines", "/rejected/1"):
        await shown.open(path)
        await shown.check_accessible()
    await shown.open("/sources/lines/edit")
    await page.get_by_label("Description").fill("By lines")
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("lines is changed.")
    saved = (await client.http.get("/v1/sources/lines")).json()
    assert (saved["signed"], saved["description"]) == (lines["signed"], "By lines")
    crlf = {"signed": "{target}\r\n{body}\r\n"}
    assert (await client.http.patch("/v1/sources/lines", json=crlf)).status_code == 200
    await shown.open("/sources/lines/edit")
    await page.get_by_role("button", name="Save the changes").click()
    await shown.until("lines is changed.")
    assert (await client.http.get("/v1/sources/lines")).json()["signed"] == crlf["signed"]
    assert (
        await client.http.patch("/v1/sources/lines", json={"signed": lines["signed"]})
    ).status_code == 200

    # A trial of a request whose path is signed, then of one to a source that is there no more.
    path = "/v1/sources/lines?a=1"
    proof = hmac.new(b"another-value-of-some-length", f"{path}\n{{}}\n".encode(), "sha256")
    await page.get_by_text("With a request that you have captured").click()
    await page.get_by_label("Headers").fill(f"x-sig: {proof.hexdigest()}")
    await page.get_by_label("Body", exact=True).fill("{}")
    await page.get_by_label("Path").fill(path)
    await page.get_by_role("button", name="Try it").click()
    await shown.until("It is the provider's, and would become:")
    assert (await client.http.delete("/v1/sources/lines")).status_code == 204
    await page.get_by_role("button", name="Try it").click()
    await shown.until("there is no source lines")

    await shown.open("/sources/gh")
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_role("button", name="Delete the source").click()
    await shown.until("gh is deleted.")
    shown.check_faultless()
