"""What somebody who is signed in may send in place of what a page has filled in."""

import re
from pathlib import Path

import httpx

from event_gateway.console.pages import GROUPS
from support.console import gateway_and_console
from support.patience import PATIENCE

# Fields that pages fill in, and those that they read in a form of their own.
FIELDS = (
    "action", "body", "body_kind", "confirmed", "crlf", "document", "duration", "etag", "event",
    "examples", "expression", "filters", "former", "headers", "hold", "id", "name", "overlap",
    "reason", "received_at", "schema", "scopes", "since", "source", "subject", "subjects",
    "subscription", "type", "types", "until", "value", "webhook",
)  # fmt: skip
# Half of a surrogate pair, which JSON can spell and UTF-8 cannot; no JSON, no number, no id.
VALUES = ('{"a": "\\ud800"}', "../\x00")


async def test_no_forged_form_makes_the_console_fail(tmp_path: Path) -> None:
    async with gateway_and_console(tmp_path) as console:
        await console.client.webhook(id="real", url="https://example.com/", events=["user.>"])
        for path, body in (
            ("/v1/streams", {"name": "real", "subjects": ["user.*"]}),
            ("/v1/sources", {"name": "real", "type": "github", "secret_name": "real"}),
            ("/v1/event-types", {"type": "real"}),
        ):
            answer = await console.client.http.post(path, json=body)
            assert answer.status_code == 201, answer.text
        async with httpx.AsyncClient(
            base_url=console.url, timeout=PATIENCE, headers={"Origin": console.url}
        ) as http:
            await http.post("/sign-in", data={"key": console.key})
            page = (await http.get("/webhooks/real")).text
            token = page.partition('name="csrf" value="')[2].partition('"')[0]
            assert token
            failed = []
            paths = [each.path for group in GROUPS for each in group.routes if each.changes]
            for path in paths:
                if path.endswith(("/delete", "/revoke")):
                    continue  # the others act on what is there
                numbered = re.sub(r"\{\w+:int\}", "7", path)
                for value in VALUES:
                    form = dict.fromkeys(FIELDS, value) | {"csrf": token}
                    answer = await http.post(re.sub(r"\{[^}]*\}", "real", numbered), data=form)
                    assert answer.status_code != 403, path  # else the form would not be read
                    if answer.status_code >= 500:
                        failed.append((path, value, answer.status_code))
            assert not failed
