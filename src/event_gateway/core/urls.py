"""URLs as they may be shown."""


def without_password(url: str) -> str:
    """The URL without user and password; for several, separated by commas, each."""
    shown = []
    for one in url.split(","):
        scheme, mark, rest = one.partition("://")
        shown.append(f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else "")
    return ",".join(shown)
