"""The body of a captured request, as a form has it.

A browser does not keep which line breaks a text has, and signatures cover them: so users say it.
"""

from event_gateway.console.page_request import PageRequest

LF, CRLF, BASE64 = "lf", "crlf", "base64"
KINDS = (
    (LF, "text, lines end with LF"),
    (CRLF, "text, lines end with CRLF"),
    (BASE64, "base64 of its bytes"),
)


def body_of(request: PageRequest) -> dict[str, str]:
    """The body for a trial, as the member of the API that takes it."""
    text, kind = request.form.get("body", [""])[0], request.field("body_kind")
    if kind == BASE64:
        return {"body_base64": "".join(text.split())}
    return {"body": text.replace("\n", "\r\n") if kind == CRLF else text}


def breaks_in_doubt(request: PageRequest) -> bool:
    """Whether the body has line breaks that may have been others."""
    return request.field("body_kind") != BASE64 and "\n" in request.form.get("body", [""])[0]
