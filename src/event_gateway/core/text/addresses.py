"""IP addresses as clients, proxies and configurations write them."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

MAX_TEXT = 64  # characters; an IPv6 address with a port and a zone has fewer
# An address of IPv4 with a port, and one of IPv6 in brackets with or without a port.
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")


def read_address(text: str) -> Address | None:
    """The address without its zone; an IPv4 address in its IPv6 form (``::ffff:…``) becomes what it
    stands for. None if the text is no address."""
    if len(text) > MAX_TEXT:
        return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def read_node(text: str) -> Address | None:
    """The address of a node in a header of a proxy, where a port may follow (RFC 7239, 6). None for
    ``unknown``, obfuscated identifiers, and what is no address."""
    if len(text) > MAX_TEXT or "%" in text:
        return None
    match = _WITH_PORT.fullmatch(text)
    return read_address(text if match is None else match[1] or match[2])


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine alone."""
    address = read_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback
