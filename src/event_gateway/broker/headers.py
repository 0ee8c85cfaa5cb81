"""The headers of a message, as NATS hands them over."""

from event_gateway.core.cloudevents.nats_message import REPEATED_HEADER


def parse_headers(raw: bytes) -> dict[str, str]:
    """Names and values of a block of header lines; bytes that are not UTF-8 become U+FFFD.

    Of two of the same name the last one counts, as in the client's own parser, whose place this
    takes: with what an event must not have twice (NATS binding 3.1) it says so, in a header of its
    own that :func:`~event_gateway.core.cloudevents.nats_message.from_message` knows.
    """
    found: dict[str, str] = {}
    for line in raw.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        key = name.strip().decode("ascii", "replace")
        if not key.isascii() or any(character.isspace() for character in key):
            continue
        if key in found and key.lower().startswith(("ce-", "content-type")):
            found[REPEATED_HEADER] = key.lower()
        found[key] = value.strip().decode("utf-8", "replace")
    return found
