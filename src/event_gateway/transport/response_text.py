"""The text of a response's body, for people and for JSON parsers.

Requests say ``Accept-Encoding: identity`` and every receiver should follow it; some compress
nevertheless, or write text in another charset.
"""

import re
import zlib

from event_gateway.transport.exchange import Response

MAX_TEXT = 16 * 1024  # bytes of a decompressed body; the rest is cut off
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_WINDOWS = {  # of zlib, by content coding (RFC 9110, 8.4.1)
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}
# Charsets that web pages have (https://encoding.spec.whatwg.org), by Python's names. Other codecs
# are left alone: punycode takes 0.1 s for a body, and Python remembers each name that is none.
_CHARSET_NAME = re.compile(
    r"iso-?8859-?[0-9]{1,2}|windows-?[0-9]{3,4}|cp[0-9]{3,4}|latin-?[0-9]{1,2}|koi8-?[ru]"
    r"|utf-?(16|32)(-?[bl]e)?|gbk|gb2312|gb18030|big5|big5-?hkscs|shift-?jis|euc-?(jp|kr)"
    r"|iso-?2022-?(jp|kr)|mac-?roman|tis-?620"
)


def decode_body(response: Response) -> None:
    """Decompresses the body (gzip and deflate) and turns it into UTF-8.

    A body in another coding, or that is damaged, stays as it is; one that was cut off is decoded
    as far as it came.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in _WINDOWS:
        try:
            unpacker = zlib.decompressobj(_WINDOWS[coding])
            text = unpacker.decompress(response.body, MAX_TEXT)
        except zlib.error:
            return
        response.truncated = response.truncated or not unpacker.eof
        response.body = text
    elif coding not in ("", "identity"):
        return
    match = _CHARSET.search(response.headers.get("content-type", ""))
    if match is not None and _CHARSET_NAME.fullmatch(match[1].lower().replace("_", "-")):
        try:
            response.body = response.body.decode(match[1], "replace").encode("utf-8", "replace")
        except (LookupError, UnicodeError):  # no charset of this name
            return
