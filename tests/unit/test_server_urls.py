"""Credentials in the URLs of servers: percent-encoded or not."""

import pytest
from pydantic import ValidationError

from event_gateway.config.delivery_model import ProxyModel
from event_gateway.config.servers_model import NatsModel
from event_gateway.core.text.urls import parse_server_url, without_password
from event_gateway.transport.proxy import proxy_of


@pytest.mark.parametrize(
    "password", ["p@ss", "p/ss", "p:ss", "p?ss", "p#ss", "a/b?c#d:e", "100%", "p@ss/w:rd?", "@/?#"]
)
@pytest.mark.parametrize("scheme", ["nats", "redis"])
def test_a_password_is_understood_in_both_forms(scheme: str, password: str) -> None:
    from urllib.parse import quote

    for form in (password, quote(password, safe="")):
        url = f"{scheme}://user:{form}@host.example:4222"
        found = parse_server_url(url)
        assert (found.url, found.user, found.password) == (
            f"{scheme}://host.example:4222", "user", password,
        )  # fmt: skip
        assert parse_server_url(found.encoded) == found
        assert without_password(url) == f"{scheme}://host.example:4222"


@pytest.mark.parametrize(
    ("url", "without", "user", "password"),
    [
        ("nats://host", "nats://host", None, None),
        ("nats://token@[::1]:4222", "nats://[::1]:4222", "token", None),
        ("redis://:pw@host:6379/2?x=a@b", "redis://host:6379/2?x=a@b", "", "pw"),
        ("redis://host:6379/0?password=a@b", "redis://host:6379/0?password=a@b", None, None),
        ("redis://u:p@ss/w@host/1", "redis://host/1", "u", "p@ss/w"),
        (
            "nats://u:p\u00fc@stra\u00dfe.example:4222",
            "nats://xn--strae-oqa.example:4222",
            "u",
            "p\u00fc",
        ),
        ("rediss://B\u00dcCHER\u3002example/1", "rediss://xn--bcher-kva.example/1", None, None),
        ("unix:///tmp/b\u00fccher.sock", "unix:///tmp/b\u00fccher.sock", None, None),
    ],
)
def test_credentials_are_separated(
    url: str, without: str, user: str | None, password: str | None
) -> None:
    found = parse_server_url(url)
    assert (found.url, found.user, found.password) == (without, user, password)
    assert "pw" not in repr(found)


def test_international_hosts_of_the_own_servers() -> None:
    assert NatsModel(url="nats://b\u00fccher.example").url == "nats://b\u00fccher.example"
    with pytest.raises(ValidationError, match="not a valid international name"):
        NatsModel(url="nats://local\u200dhost")
    proxy = proxy_of(ProxyModel(url="http://u:p@b\u00fccher.example:3128"))
    assert proxy is not None
    assert str(proxy) == "the proxy xn--bcher-kva.example:3128"
    for wrong, why in (
        ("http://u:p\u00e4ss@host:1", "user or password"),
        ("http://\u2603:1", "international"),
        ("http://\u00fc[:1", "URL"),
    ):
        with pytest.raises(ValidationError, match=why) as failed:
            ProxyModel(url=wrong)
        assert "p\u00e4ss" not in failed.value.errors(include_input=False)[0]["msg"]
