"""The pages as an application: its routes, who may open them, and the headers that keep a browser to the rules.

`Site` is made from something that gives the newest snapshot. `routes()` can be mounted into another application; `app()` is one of its own.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roe.dynamic import Json
from roe.web.app.access import LOCAL, Sessions, Users, Viewer
from roe.web.app.acting import Acts
from roe.web.app.history import History, Reader
from roe.web.app.kept import Kept, in_memory
from roe.web.app.oidc import MINUTES, NotSignedIn, SignIn
from roe.web.app.outcomes import page_of
from roe.web.app.render import environment
from roe.web.app.site_words import DONE
from roe.web.app.snapshot import Snapshot

COOKIE = "roe_session"
ZONE = "roe_zone"  # the cookie in which the script says the browser's time zone
SIGN_IN = "roe_sign_in"  # the cookie of a sign-in that is under way with a provider
STATIC = Path(__file__).parent / "static"
MAX_FORM = 1 << 20  # bytes of a form
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(slots=True)
class Options:
    """How the pages are served.

    Without `users` everybody who has `open_token` may see all; with neither, everybody. `header` names the header in which a trusted
    proxy gives the login. `hosts` are the names that the server answers to; empty for any. `out` is the folder of a run, `plan` one of a plan of
    books. `revision` lays out the folder or git revision that a review names, in a scratch folder, and raises ValueError where there is none.
    """

    users: Users = field(default_factory=lambda: Users({}))
    header: str = ""
    open_token: str = ""
    hosts: tuple[str, ...] = ()
    out: Path | None = None
    plan: Path | None = None
    data: Path | None = None
    state: str | None = None
    revision: Callable[[str, Path], Path] | None = None
    history: History | None = None  # what a ledger knows of records; see `roe.web.app.history`
    acts: Acts | None = None  # where what people do goes; without it the pages only show
    kept: Kept | None = None  # what all processes keep together; without it each keeps its own
    local: Viewer = LOCAL  # who has the pages without signing in


@dataclass
class Ask:
    """One request: what it asks of which snapshot, and who asks."""

    site: Site
    request: Request
    snapshot: Snapshot
    viewer: Viewer
    csrf: str
    form: FormData | None = None

    @property
    def options(self) -> Options:
        return self.site.options

    @property
    def partial(self) -> bool:
        """Whether the script asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    @cached_property
    def zone(self) -> ZoneInfo:
        """The reader's time zone: the browser's, the rep's own, or else the policy's."""
        own = self.snapshot.world.rep(self.viewer.rep) if self.viewer.rep is not None else None
        for name in (
            unquote(self.request.cookies.get(ZONE, ""))[:60],
            own["timezone"] if own is not None else None,
            self.snapshot.policy.timezone,
        ):
            try:
                if name:
                    return ZoneInfo(name)
            except (OSError, ValueError):  # a name that is none, or that would leave the folder of zones
                continue
        return ZoneInfo("UTC")

    @property
    def reader(self) -> Reader:
        """How the ledger's entries are put in words for whoever asks."""
        return Reader(self.snapshot.rep_name, self.zone)

    @property
    def done(self) -> str:
        """What the act before this page did, in words of our own."""
        return DONE.get(self.text("done", 20), "")

    def text(self, name: str, most: int = 200) -> str:
        """A parameter of the address, cut to a sensible length."""
        return str(self.request.query_params.get(name, "")).replace("\0", "")[:most].strip()

    def asked(self, *names: str) -> dict[str, str]:
        """The parameters of the address that say something."""
        return {name: text for name in names if (text := self.text(name))}

    def number(self, name: str, otherwise: int = 1) -> int:
        text = self.text(name, 9)
        return int(text) if text.isascii() and text.isdigit() else otherwise

    def paged(self, items: Sequence[object], size: int) -> Json:
        """What a template needs to show the page of items that the address asks for: `rows`, `page`, `pages`, and `total`, how many there are."""
        rows, page, pages = page_of(items, self.number("page"), size)
        return {"rows": rows, "page": page, "pages": pages, "total": len(items)}

    def url(self, path: str, /, **query: object) -> str:
        return url(self.request, path, **query)

    def render(self, template: str, status: int = 200, **values: object) -> Response:
        """A page, or the part of it that the template calls `part` where the script asks for a part."""
        page = self.site.templates.get_template(template)
        context = {**values, "ask": self, "viewer": self.viewer, "snapshot": self.snapshot, "csrf": self.csrf, "url": self.url}
        target = self.request.headers.get("hx-target", "")
        name = f"part_{target}".replace("-", "_")
        if self.partial and name in page.blocks:
            content = "".join(page.blocks[name](page.new_context(context)))
        else:
            content = page.render(context)
        return HTMLResponse(content, status)

    def missing(self, what: str) -> Response:
        return self.render("problem.html", 404, title="Not found", said=what)

    def refused(self) -> Response:
        said = "This page is not open to your role. Ask your RevOps team if you need it."
        return self.render("problem.html", 403, title="Not open to you", said=said)

    def go(self, path: str, /, **query: object) -> Response:
        return RedirectResponse(self.url(path, **query), 303)


View = Callable[[Ask], Response]


def url(request: Request, path: str, /, **query: object) -> str:
    """An address below wherever the pages are mounted; parts of the path are given quoted, empty parameters are left out."""
    given = {k.rstrip("_"): x for k, x in query.items() if x not in (None, "")}
    return str(request.scope.get("root_path", "")) + path + (f"?{urlencode(given, doseq=True)}" if given else "")


def part(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


class Site:
    """The pages over a source of snapshots."""

    def __init__(self, current: Callable[[], Snapshot], options: Options | None = None) -> None:
        self.current, self.options = current, options or Options()
        self.kept = self.options.kept or in_memory()
        self.sessions = Sessions(self.kept)
        provider = self.options.users.provider
        self.provider = SignIn(provider, self.kept) if provider is not None else None
        self.templates = environment()

    # --- who asks -----------------------------------------------------------------------------------------------------

    def session(self, request: Request) -> tuple[Viewer, str, str | None] | None:
        """(the viewer, the token of forms, the secret of a new cookie if one is due), or None for somebody who must sign in."""
        session = self.sessions.get(request.cookies.get(COOKIE))
        if session is not None and self.options.users and not self.options.users.has(session.viewer):
            session = None
        login = request.headers.get(self.options.header, "") if self.options.header else ""
        named = self.options.users.named(login) if login else None
        if login and named is None:
            return None  # the proxy says who it is: not whoever used this browser before
        if named is None and session is None and not (self.options.users or self.options.open_token or self.options.header):
            named = self.options.local
        if named is not None and (session is None or session.viewer != named):
            secret, session = self.sessions.open(named)
            return named, session.csrf, secret
        return None if session is None else (session.viewer, session.csrf, None)

    def opens(self, token: str) -> bool:
        opened = self.options.open_token
        return bool(opened) and hmac.compare_digest(opened.encode(), token.encode())

    def with_token(self, token: str) -> Viewer | None:
        return self.options.local if self.opens(token) else self.options.users.with_token(token)

    def keep(self, response: Response, key: str, request: Request) -> Response:
        """Give the browser the cookie of a session."""
        path = str(request.scope.get("root_path", "")) or "/"
        response.set_cookie(COOKIE, key, path=path, httponly=True, samesite="lax", secure=self.is_secure(request))
        return response

    def is_secure(self, request: Request) -> bool:
        """Whether the browser is here by https, also where a proxy in front ends it."""
        provider = self.options.users.provider
        return request.url.scheme == "https" or (provider is not None and provider.address.startswith("https:"))

    # --- routes -------------------------------------------------------------------------------------------------------

    def view(self, made: View, page: str = "", acts: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint of a view: signed in, allowed to open the page, and for what is posted with the form's own token."""

        async def endpoint(request: Request) -> Response:
            known = self.session(request)
            if known is None:
                response: Response = RedirectResponse(url(request, "/sign-in", next=_wanted(request)), 303)
                return response
            viewer, csrf, new = known
            form = None
            if request.method == "POST":
                form = await _form(request)
                if form is None or not hmac.compare_digest(str(form.get("csrf", "")).encode(), csrf.encode()):
                    ask = Ask(self, request, await run_in_threadpool(self.current), viewer, csrf)
                    return ask.render(
                        "problem.html", 403, title="This form is too old", said="Go back, reload the page, and send it again."
                    )
            return await run_in_threadpool(answer, request, viewer, csrf, form, new)

        def answer(request: Request, viewer: Viewer, csrf: str, form: FormData | None, new: str | None) -> Response:
            ask = Ask(self, request, self.current(), viewer, csrf, form)
            if not viewer.may_open(page):
                return ask.refused()
            if acts:
                response = made(ask)  # it may wait for the ledger, and whoever reads must not wait with it
            else:
                with ask.snapshot.lock:
                    response = made(ask)
            return self.keep(response, new, request) if new is not None else response

        return endpoint

    def routes(self) -> list[BaseRoute]:
        from roe.web.app.routes import PAGES

        found: list[BaseRoute] = [Mount("/static", StaticFiles(directory=STATIC), name="static")]
        for page in PAGES:
            methods = ["POST"] if page.posts else ["GET"]
            found.append(Route(page.path, self.view(page.view, page.page, page.acts), methods=methods))
        found.append(Route("/sign-in", self.sign_in, methods=["GET", "POST"]))
        found.append(Route("/open", self.opened, methods=["GET"]))
        if self.provider is not None:
            found.append(Route("/sign-in/with-provider", self.to_provider, methods=["GET"]))
            found.append(Route("/sign-in/back", self.from_provider, methods=["GET"]))
        return found

    def app(self) -> Starlette:
        """The pages alone."""
        app = Starlette(routes=self.routes(), middleware=[Middleware(Guard, hosts=self.options.hosts)])
        app.add_exception_handler(404, self.nothing_here)
        return app

    async def nothing_here(self, request: Request, _: Exception) -> Response:
        known = self.session(request)
        if known is None:
            return RedirectResponse(url(request, "/sign-in"), 303)
        ask = Ask(self, request, await run_in_threadpool(self.current), known[0], known[1])
        return ask.missing("There is no page at this address.")

    async def opened(self, request: Request) -> Response:
        """The address that `roe ui` opens: its token becomes a session and leaves the address bar."""
        if not self.opens(request.query_params.get("token", "")):  # nor does a user's token: whoever sends a link would sign others in
            return RedirectResponse(url(request, "/sign-in"), 303)
        return self.keep(RedirectResponse(url(request, "/"), 303), self.sessions.open(self.options.local)[0], request)

    async def sign_in(self, request: Request) -> Response:
        wanted = _local(request.query_params.get("next", "/"))
        said, status = "", 200
        if request.method == "POST":
            form = await _form(request) if not _from_elsewhere(request) else None
            viewer = self.with_token(str(form.get("token", "")).strip()) if form is not None else None
            if viewer is not None:
                self.sessions.close(request.cookies.get(COOKIE))
                return self.keep(RedirectResponse(url(request, wanted), 303), self.sessions.open(viewer)[0], request)
            said, status = "This token is not known. Ask whoever runs this service for yours.", 401
        return self._sign_in_page(request, wanted, said, status)

    def _sign_in_page(self, request: Request, wanted: str, said: str, status: int) -> Response:
        template = self.templates.get_template("sign_in.html")
        values = {
            "said": said, "action": url(request, "/sign-in", next=wanted), "url": lambda path, **query: url(request, path, **query),
            "provider": url(request, "/sign-in/with-provider", next=wanted) if self.provider is not None else "",
        }  # fmt: skip
        return HTMLResponse(template.render(values), status)

    async def to_provider(self, request: Request) -> Response:
        """Send the browser to the provider, with a cookie by which it is known when it comes back."""
        assert self.provider is not None
        wanted = _local(request.query_params.get("next", "/"))
        try:
            address, secret = await run_in_threadpool(self.provider.begin, wanted)
        except NotSignedIn as e:
            return self._sign_in_page(request, wanted, str(e), 502)
        response = RedirectResponse(address, 303)
        path = str(request.scope.get("root_path", "")) + "/sign-in"
        response.set_cookie(SIGN_IN, secret, max_age=MINUTES * 60, path=path, httponly=True, samesite="lax", secure=self.is_secure(request))
        return response

    async def from_provider(self, request: Request) -> Response:
        """Whoever comes back from the provider, signed in if they are among the users."""
        assert self.provider is not None
        try:
            login, wanted = await run_in_threadpool(self.provider.end, dict(request.query_params), request.cookies.get(SIGN_IN, ""))
        except NotSignedIn as e:
            return self._sign_in_page(request, "/", str(e), 401)
        viewer = self.options.users.named(login)
        if viewer is None:
            return self._sign_in_page(request, "/", f"{login[:100]} is not among the users of this service. Ask whoever runs it.", 403)
        self.sessions.close(request.cookies.get(COOKIE))
        return self.keep(RedirectResponse(url(request, _local(wanted)), 303), self.sessions.open(viewer)[0], request)

    def leave(self, ask: Ask) -> Response:
        self.sessions.close(ask.request.cookies.get(COOKIE))
        return ask.go("/sign-in")


def _wanted(request: Request) -> str:
    root = str(request.scope.get("root_path", ""))
    path = request.url.path.removeprefix(root)
    return (path + (f"?{request.url.query}" if request.url.query else "")) if request.method == "GET" else "/"


def _local(path: str) -> str:
    """An address of these pages, and never of another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path and path.isprintable() else "/"


def _from_elsewhere(request: Request) -> bool:
    """Whether a page of another site sent this, as the browser says: it would sign somebody in as somebody else."""
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


async def _form(request: Request) -> FormData | None:
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > MAX_FORM or "transfer-encoding" in request.headers:
        return None
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    return await request.form(max_fields=500)


class Guard:
    """Middleware: only the server's own names are answered, and every answer carries the headers that bind the browser."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...] = ()) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        host = Request(scope).headers.get("host", "").rpartition(":")
        name = host[0] if host[1] and host[2].isdigit() else "".join(host)
        if self.hosts and name.strip("[]").lower() not in self.hosts:
            await Response("unknown host", 421)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    headers.setdefault(key, value)
                kept = "/static/" in scope["path"]
                headers["cache-control"] = "public, max-age=86400" if kept else "no-store"
            await send(message)

        await self.app(scope, receive, with_headers)
