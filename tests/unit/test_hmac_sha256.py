"""HMAC with SHA-256 beside that of the standard library."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.webhook.hmac_sha256 import hmac_sha256


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), max_size=3))
def test_it_is_that_of_the_standard_library(key: bytes, messages: list[bytes]) -> None:
    mac = hmac_sha256(key)
    assert [mac(message) for message in messages] == [
        hmac.digest(key, message, "sha256") for message in messages
    ]
