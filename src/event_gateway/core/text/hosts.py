"""International host names, in the form in which they go over the wire.

A browser and the gateway must read the same host in a URL, so characters are mapped as browsers do
(UTS 46, non-transitional, https://url.spec.whatwg.org/#idna), and what comes out is checked and
encoded by IDNA 2008 (RFC 5891).
"""

import re

import idna

MAX_HOST = 1024  # characters, before they are mapped
_PREFIX = "xn--"
_ASCII_LABEL = re.compile("[a-z0-9_-]*")


def ascii_host(host: str) -> str:
    """The host as DNS, TLS and the Host header have it: in lower case, international labels as
    ``xn--…``.

    The result can be ``localhost`` or an IP address whatever the text looks like (digits and dots
    have many forms): judge the result, not the text. An ASCII host without ``xn--`` is only put
    into lower case. Raises ValueError with the reason.
    """
    lowered = host.lower()
    if host.isascii() and _PREFIX not in lowered:
        return lowered
    if len(host) > MAX_HOST:
        raise ValueError(f"its host is longer than {MAX_HOST} characters")
    try:
        mapped = lowered if host.isascii() else idna.uts46_remap(host, std3_rules=False)
        return ".".join(_ascii_label(label) for label in mapped.split("."))
    except idna.IDNAError as error:
        raise ValueError(f"its host is not a valid international name: {_reason(error)}") from None


def _ascii_label(label: str) -> str:
    if not label.isascii():
        return idna.alabel(label).decode()
    if _ASCII_LABEL.fullmatch(label) is None:  # such as a % that was a full-width one
        raise ValueError("its host holds a character that becomes one that hosts do not have")
    if label.startswith(_PREFIX):
        _check_a_label(label)
    return label


def _check_a_label(label: str) -> None:
    """Refuses what no international label is encoded to. Labels that browsers take, and IDNA 2008
    does not (emoji), are let through: somebody has registered them."""
    encoded = label.removeprefix(_PREFIX)
    try:
        text = encoded.encode().decode("punycode")
        valid = not text.isascii() and idna.uts46_remap(text, std3_rules=False) == text
    except UnicodeError:  # IDNAError is one
        valid = False
    if not valid or text.encode("punycode").decode() != encoded:
        raise ValueError("its host has a label that begins with xn-- and is no valid punycode")


def _reason(error: idna.IDNAError) -> str:
    """The reason without the name itself, which may hold characters that change the text."""
    if error.codepoint is not None:
        return f"U+{error.codepoint:04X} is not allowed there ({error.code})"
    return (error.code or "invalid").replace("_", " ")
