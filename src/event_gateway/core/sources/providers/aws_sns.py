"""AWS SNS: messages signed with the key of a certificate that AWS publishes, and subscriptions
that the endpoint must confirm.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import urlsplit

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.checks import WRONG, check_time
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Answer, Example, Proof, Provider, Refused

if TYPE_CHECKING:
    from cryptography import x509

# Hosts of AWS SNS. The sender of a message chooses its URLs: no other host is called.
_HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-\d{1,2}\.amazonaws\.com(\.cn)?")
# Behind the host: with a query string each message could name another URL of one certificate.
_CERTIFICATE = re.compile(r"(\.cn)?/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    message = inbound.content
    if not isinstance(message, dict) or message.get("Type") not in _SIGNED:
        raise Refused("malformed", "the body is no message of SNS; raw message delivery has no "
                                   "signature")  # fmt: skip
    if message.get("TopicArn") not in definition.settings.topics:
        raise Refused("not_allowed", f"the topic {str(message.get('TopicArn'))[:256]} is none of "
                                     "the source's")  # fmt: skip
    url = message.get("SigningCertURL")
    if not _is_of_sns(url) or _CERTIFICATE.fullmatch(url.partition(".amazonaws.com")[2]) is None:
        raise Refused("signature", "SigningCertURL is no URL of a certificate of SNS")
    make = {"1": SHA1, "2": SHA256}.get(str(message.get("SignatureVersion")))
    if make is None:
        raise Refused("signature", "SignatureVersion is neither 1 nor 2")
    try:
        certificate = _certificate(proof.document(url, chosen=True))
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise Refused("signature", "the certificate has no RSA key")
        signature = base64.b64decode(str(message.get("Signature")), validate=True)
        key.verify(signature, _content(message), PKCS1v15(), make())
    except (InvalidSignature, ValueError):
        raise Refused("signature", WRONG) from None
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins.timestamp() <= inbound.received_at <= ends.timestamp():
        raise Refused("signature", "the certificate of SNS has expired")
    check_time(inbound, proof, str(message.get("Timestamp")))


def _content(message: dict[str, Any]) -> bytes:
    lines = []
    for name in _SIGNED[message["Type"]]:
        if message.get(name) is not None:
            lines.append(f"{name}\n{message[name]}\n")
    return "".join(lines).encode("utf-8", "replace")


@lru_cache(maxsize=16)
def _certificate(pem: bytes) -> "x509.Certificate":
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem)


def _is_of_sns(url: object) -> TypeGuard[str]:
    """Whether a text is an https URL of AWS SNS, without a port or user."""
    if not isinstance(url, str) or not url.isascii() or len(url) > 2048:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None


def _confirm(inbound: Inbound) -> Answer | None:
    """A subscription is confirmed by a request to the URL that the message names."""
    message = inbound.content
    if message["Type"] == "SubscriptionConfirmation":
        url = message.get("SubscribeURL")
        if not _is_of_sns(url):
            raise Refused("not_allowed", "SubscribeURL is no URL of SNS")
        return Answer(visit=url)
    return Answer() if message["Type"] == "UnsubscribeConfirmation" else None


def _examine(definition: SourceDefinition) -> None:
    for position, topic in enumerate(definition.settings.topics):
        if _TOPIC.fullmatch(topic) is None:
            detail = "must be the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:orders"
            raise InvalidDefinition(f"topics.{position}", detail)


AWS_SNS = Provider(
    name="aws_sns",
    title="AWS SNS",
    check=_check,
    # Every account at AWS can send validly signed messages: only the topic tells whose they are.
    required=frozenset(("topics",)),
    examine=_examine,
    answer=_confirm,
    templates=Templates(
        type="aws.sns.notification",
        subject="{body.TopicArn}",
        id="{body.MessageId}",
        time="{body.Timestamp}",
    ),
    timed=True,
    too_many=503,  # the documents of AWS differ on whether SNS repeats a 429
    tolerance=3900.0,  # SNS repeats a message for up to an hour, under its first time
    example=Example(
        {"x-amz-sns-message-type": "Notification"},
        '{"Type":"Notification","MessageId":"22b80b92","TopicArn":'
        '"arn:aws:sns:us-west-2:123456789012:MyTopic","Message":"Hello",'
        '"Timestamp":"2026-05-04T03:02:01.123Z"}',
        "text/plain; charset=UTF-8",
    ),
)
