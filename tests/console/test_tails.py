"""How many live tails users of a console may have open."""

from typing import Any

from event_gateway.console.pages.streams.tail import Tails


class _Visit:
    """A user whose stream never ends."""

    def __init__(self, user: str) -> None:
        self.caller = {"id": user}
        self.gateway = self

    async def follow_stream(self, name: str, **start: Any) -> Any:
        """One event, and whatever comes next."""
        seq = 0
        while True:
            seq += 1
            yield seq, {"type": name}


async def _open(tails: Tails, user: str) -> tuple[Any, str]:
    """A tail of a user and the second of its blocks, or what it was refused with."""
    blocks = tails.follow(_Visit(user), "users", "new", None)  # type: ignore[arg-type]
    first = await anext(blocks)
    return blocks, first if "refused" in first else await anext(blocks)


async def test_nobody_takes_all_tails() -> None:
    tails = Tails(3, 2)
    mine = [await _open(tails, "ada") for _ in range(2)]
    assert all("id: 1\n" in block for _, block in mine)
    _, refused = await _open(tails, "ada")
    assert "you have 2 tails open" in refused
    other, block = await _open(tails, "bob")
    assert "id: 1\n" in block
    _, refused = await _open(tails, "eve")
    assert "3 tails are open in this console" in refused
    # A closed one makes room, for its user as well.
    await mine[0][0].aclose()
    _, block = await _open(tails, "ada")
    assert "id: 1\n" in block
    await other.aclose()
