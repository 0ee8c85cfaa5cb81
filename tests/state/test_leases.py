"""Leases on a real Valkey."""

from event_gateway.state.connection import connect
from event_gateway.state.leases import Leases


async def test_only_the_holder_of_a_lease_releases_it(servers: tuple[str, str]) -> None:
    client = await connect(servers[1])
    ours, theirs = Leases(client, "ours"), Leases(client, "theirs")
    assert await ours.take("lease", 60)
    assert not await theirs.take("lease", 60)
    await theirs.release("lease")
    assert await client.get("lease") == b"ours"
    await ours.release("lease")
    assert await client.get("lease") is None
    await ours.release("lease")  # again, and of a lease that nobody has
    assert await theirs.take("lease", 60)
    await ours.release("lease")  # which had ended before
    assert await client.get("lease") == b"theirs"
    await client.aclose()
