"""A number with what it counts, in words."""


def count_of(count: int, what: str) -> str:
    """``1 webhook``, ``2 webhooks``, ``1,000 deliveries``; ``what``: the word for one."""
    many = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else many}"
