"""One request of a signed-in user, as the functions of the pages get it."""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from event_gateway.client import AsyncGatewayClient
from event_gateway.console.formats import of_segment
from event_gateway.console.guard import MAX_BODY
from event_gateway.console.page_group import PageGroup
from event_gateway.console.rendering import navigation
from event_gateway.console.sessions import Session, Sessions

MAX_FIELDS = 2000  # of a form
PAGE = 50  # items of a list on a page
SHARE = 25  # times as long as the gateway has worked for it, a page waits before it asks again
MAX_WAIT = 15  # seconds, of that
_TAG = re.compile(r'("[\x21\x23-\x7e]*")?')


class FormRefused(Exception):
    """The form does not have the token of the session, or cannot be read."""


class HiddenFieldRefused(Exception):
    """A field that the page has filled in has a value that no page gives it."""


@dataclass(slots=True, kw_only=True)
class PageRequest:
    """What a page works with. ``gateway``: a client with the user's own key; ``caller``: what
    ``/v1/caller`` says of it; ``form``: what an action got, by name."""

    http_request: Request
    session: Session
    sessions: Sessions
    gateway: AsyncGatewayClient
    caller: Mapping[str, Any]
    templates: Environment
    group: PageGroup
    groups: Sequence[PageGroup]
    form: Mapping[str, list[str]]
    began: float = field(default_factory=time.monotonic)

    @property
    def address(self) -> str:
        """The path of the page, encoded as the browser sent it: an id may have a ``%``, or ``..``
        between slashes."""
        path: bytes = self.http_request.scope["raw_path"]
        return path.decode("latin-1")

    @property
    def acted_on(self) -> str:
        """The address of the page that an action belongs to: that of the action without its last
        segment."""
        return self.address.rpartition("/")[0]

    def path(self, name: str) -> str:
        """A part of the path, decoded."""
        return of_segment(str(self.http_request.path_params[name]))

    def query(self, name: str) -> str | None:
        """A parameter of the URL; None where it is missing or empty."""
        return self.http_request.query_params.get(name, "").strip() or None

    def filters(self, *names: str) -> dict[str, Any]:
        """The filters of a list, which stand in its URL: all of these names."""
        return {name: self.query(name) for name in names}

    def field(self, name: str) -> str:
        """A field of the form, empty where it is missing."""
        return self.form.get(name, [""])[0].strip()

    @property
    def etag(self) -> str | None:
        """The entity tag of what the form changes, as it was when the form was made; None where
        the form has none. Raises HiddenFieldRefused."""
        value = self.field("etag")
        if not _TAG.fullmatch(value):
            raise HiddenFieldRefused("its field etag is no entity tag")
        return value or None

    def may(self, scope: str) -> bool:
        """Whether the user has a scope."""
        return scope in self.caller["scopes"]

    def live(self, seconds: int) -> int:
        """After how many seconds a region of the page is loaded again: ``seconds``, or later where
        the answers of the gateway took long, so that open pages cost little of it."""
        taken = time.monotonic() - self.began
        return max(seconds, min(round(SHARE * taken), MAX_WAIT))

    async def render(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page. Templates see ``values``, ``user`` (the caller), ``may(scope)``, ``csrf``,
        ``live(seconds)``, ``flash``, ``group``, ``nav`` and ``here``, the page's path and query."""
        query = self.http_request.url.query
        response = render(
            self.templates, template, status,
            user=self.caller, csrf=self.session.csrf, group=self.group,
            nav=navigation(self.groups, self.caller),
            flash=self.sessions.shown_flash(self.http_request.cookies),
            here=self.address + (f"?{query}" if query else ""),
            may=self.may, live=self.live, **values,
        )  # fmt: skip
        self.sessions.take_flash(response, self.http_request.cookies)
        return response

    def json(self, content: Any) -> JSONResponse:
        """Data for a chart."""
        return JSONResponse(content)

    def redirect(
        self, path: str, text: str | None = None, kind: str = "ok", **query: Any
    ) -> RedirectResponse:
        """Leads to another page, which shows the message ``text``. ``kind``: ok, warning, error."""
        given = {name: value for name, value in query.items() if value}
        response = RedirectResponse(path + (f"?{urlencode(given)}" if given else ""), 303)
        if text is not None:
            self.sessions.flash(response, kind, text)
        return response

    def saved(
        self, path: str, text: str, warnings: Sequence[Mapping[str, Any]]
    ) -> RedirectResponse:
        """Leads to the page of a definition that was saved. The message ends with the gateway's
        ``warnings``: what the definition does that its author may not expect."""
        notes = [f"Note: {each['detail']}." for each in warnings]
        return self.redirect(path, " ".join([text, *notes]), "warning" if notes else "ok")


def render(templates: Environment, template: str, status: int, **values: Any) -> HTMLResponse:
    """A page of a template. Half of a surrogate pair, which JSON can spell, is shown as ``?``."""
    page = templates.get_template(template).render(values)
    return HTMLResponse(page.encode("utf-8", "replace"), status)


async def read_form(request: Request, limit: int = MAX_BODY) -> dict[str, list[str]]:
    """The fields of a form by name. ``limit``: bytes. Raises FormRefused."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise FormRefused("the form is larger than the console takes")
    except ClientDisconnect:
        raise asyncio.CancelledError from None
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise FormRefused("the form cannot be read") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return fields


def check_token(session: Session, request: Request, form: Mapping[str, list[str]]) -> None:
    """Raises FormRefused unless the form or the header has the token of the session."""
    given = request.headers.get("x-csrf-token") or form.get("csrf", [""])[0]
    if not secrets.compare_digest(given.encode(), session.csrf.encode()):
        raise FormRefused("the page is from another session: load it again")
