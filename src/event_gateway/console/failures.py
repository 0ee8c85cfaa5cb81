"""What a page says when the gateway refuses a request, or does not answer."""

import re
from typing import Any

from event_gateway.client import GatewayError, GatewayUnreachable

_TITLES = {
    401: "Signed out",
    403: "Not allowed",
    404: "Not found",
    409: "In conflict",
    412: "Changed in between",
    422: "Not valid",
    429: "Too many requests",
    503: "Not available now",
}
_REMEDIES = {
    403: "Ask an operator for a key with the scope that is named, or sign in with another key.",
    404: "It may have been deleted, or it belongs to a namespace that your key does not see.",
    412: "Another caller has changed it. Load the page again and repeat your change.",
    503: "The gateway cannot reach one of its servers. The page tries again by itself.",
}
UNREACHABLE = 502


def described(error: GatewayError | GatewayUnreachable) -> dict[str, Any]:
    """The status, and the values of the template ``error.html``."""
    if isinstance(error, GatewayUnreachable):
        return {
            "status": UNREACHABLE,
            "title": "The gateway does not answer",
            "detail": str(error),
            "remedy": "It may be restarting. This page tries again by itself, and loads as soon "
                      "as the gateway answers.",
            "errors": [],
            "retry": True,
        }  # fmt: skip
    remedy = _REMEDIES.get(error.status, "")
    if error.status == 429 and error.retry_after is not None:
        remedy = f"Try again in {error.retry_after:.0f} s."
    return {
        "status": error.status,
        "title": _TITLES.get(error.status, f"The gateway answered {error.status}"),
        "detail": error.detail,
        "remedy": remedy,
        "errors": [
            each
            for each in _listed(error)
            if each["detail"] not in error.detail  # which tells of one alone
        ],
        "retry": error.status == 503,
    }


def detail_of(error: GatewayError) -> str:
    """The one sentence on a form that was refused. Where another caller has changed meanwhile what
    the form changes, that of the gateway is about headers, which the user has not written."""
    return _REMEDIES[412] if error.status == 412 else error.detail


def faults(error: GatewayError) -> str:
    """What is wrong with a request, for a form that names its fields: all faults that the gateway
    found, or its one sentence where it lists none."""
    return " ".join(str(each["detail"]) for each in _listed(error)) or error.detail


def keyed_faults(error: GatewayError) -> str:
    """What is wrong with a request, where the page does not show beside which field: each fault
    after the member that it is of."""
    return "; ".join(f"{each['key']} {each['detail']}" for each in _listed(error)) or error.detail


def faults_by_member(error: GatewayError) -> dict[str, str]:
    """What is wrong, by the member of the body that it is of or in: that of ``a`` for ``a.b`` and
    ``a[0]``. Empty where the gateway lists no faults."""
    return {
        re.split(r"[.\[]", str(each.get("key") or ""), maxsplit=1)[0]: str(each["detail"])
        for each in _listed(error)
    }


def in_a_line(error: GatewayError | GatewayUnreachable) -> str:
    """The error as a message on a page."""
    shown = described(error)
    return f"{shown['title']}: {shown['detail']}"


def _listed(error: GatewayError) -> list[dict[str, Any]]:
    return error.problem.get("errors") or []
