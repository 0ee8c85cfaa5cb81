"""What is counted when all is sealed again."""

from event_gateway.core.access.sealing import MAX_NAMED, Resealed


def test_the_names_of_what_no_key_opens_are_bounded() -> None:
    resealed = Resealed()
    for number in range(MAX_NAMED + 50):
        resealed.leave(f"audit/person-{number}.1", "no sealing key opens it")
    assert resealed.unreadable_count == MAX_NAMED + 50
    assert len(resealed.unreadable) == MAX_NAMED
