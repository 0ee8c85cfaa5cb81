"""Keys in files, which no other user of the machine can see."""

from pathlib import Path

from event_gateway.cli.client.output import fail


def key_in(named: str, file: Path) -> str:
    """The key in a file. Ends the command if there is none; ``named``: what names the file."""
    try:
        key = file.read_text().strip()
    except (OSError, ValueError) as error:
        fail(f"{named}: {file}: {getattr(error, 'strerror', None) or error}", 2)
    if not key:
        fail(f"{named}: {file} is empty", 2)
    return key
