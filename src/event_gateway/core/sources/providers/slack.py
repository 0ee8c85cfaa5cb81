"""Slack: events, commands and interactions, signed with version, time and body.

https://api.slack.com/authentication/verifying-requests-from-slack
https://api.slack.com/events/url_verification
"""

from event_gateway.core.sources.checks import check_hmac, check_time, header
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound, compact
from event_gateway.core.sources.provider import Answer, Example, Proof, Provider


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    sent_at = header(inbound, "x-slack-request-timestamp")
    given = header(inbound, "x-slack-signature")
    content = f"v0:{sent_at}:".encode("utf-8", "replace") + inbound.body
    check_hmac(proof, content, [given.removeprefix("v0=")])
    check_time(inbound, proof, sent_at)


def _challenge(inbound: Inbound) -> Answer | None:
    content = inbound.content
    if isinstance(content, dict) and content.get("type") == "url_verification":
        return Answer(compact({"challenge": content.get("challenge")}))
    return None


SLACK = Provider(
    name="slack",
    title="Slack",
    check=_check,
    required=frozenset(("secret_name",)),
    answer=_challenge,
    # Slack shows the body of an answer to a command to the user who has called it.
    accepted=Answer(media_type="text/plain"),
    templates=Templates(
        type="slack.{body.event.type|body.type|body.command|'received'}",
        subject="{body.event.channel|body.channel_id|body.channel.id|body.team_id}",
        id="{body.event_id|body.trigger_id|digest}",
        time="{body.event_time|x-slack-request-timestamp}",
    ),
    timed=True,
    example=Example(
        {"X-Slack-Request-Timestamp": "1777863721"},
        '{"type":"event_callback","event_id":"Ev08MFMKH6","event_time":1777863721,'
        '"event":{"type":"app_mention","channel":"C0LAN2Q65"}}',
    ),
)
