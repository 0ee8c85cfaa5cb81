"""Credentials in the URLs of servers: percent-encoded or not."""

import pytest

from event_gateway.core.text.urls import parse_server_url, without_password


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
    ],
)
def test_credentials_are_separated(
    url: str, without: str, user: str | None, password: str | None
) -> None:
    found = parse_server_url(url)
    assert (found.url, found.user, found.password) == (without, user, password)
    assert "pw" not in repr(found)
