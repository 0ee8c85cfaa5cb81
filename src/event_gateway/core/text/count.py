"""A number with what it counts, in words."""


def count_of(count: int, what: str) -> str:
    """``1 webhook``, ``2 processes``, ``1,000 deliveries``; ``what``: the word for one."""
    if what.endswith("y"):
        many = f"{what[:-1]}ies"
    else:
        many = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{count:,} {what if count == 1 else many}"
