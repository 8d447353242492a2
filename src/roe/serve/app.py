"""The service over HTTP: a Starlette application around one writer.

`build_app` makes it; whoever mounts more (the web pages) passes routes. Requests that change something become jobs of the
writer, and are answered once it has committed them. Everything else is read on connections of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time as clock
from collections.abc import AsyncIterator, Sequence
from itertools import chain

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roe.serve.logs import request_line
from roe.serve.problems import MEDIA_TYPE, Refused, unreadable
from roe.serve.routes import routes
from roe.serve.server import Server

log = logging.getLogger("roe.serve")


def build_app(server: Server, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The application. `more` are routes that are mounted beside the API, such as the web pages; `request.app.state.server` is the server."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        server.start()
        try:
            yield
        finally:
            await asyncio.to_thread(server.stop)

    app = Starlette(
        routes=[ByPath(routes()), *more],
        lifespan=lifespan,
        middleware=[Middleware(Watched, server=server)],
        exception_handlers={Refused: _refused, HTTPException: _not_routed, ClientDisconnect: _gone, Exception: _failed},
    )
    app.state.server = server
    return app


def problem(refused: Refused) -> Response:
    return JSONResponse(refused.document(), refused.status, refused.headers, MEDIA_TYPE)


async def _refused(request: Request, e: Exception) -> Response:
    assert isinstance(e, Refused)
    return problem(e)


async def _gone(request: Request, e: Exception) -> Response:
    """The client has gone before it had sent the whole body. Nothing was done; the answer is for the log."""
    return problem(unreadable("the connection ended before the body did", "send the whole body"))


async def _not_routed(request: Request, e: Exception) -> Response:
    """An address or a method that the service does not have."""
    assert isinstance(e, HTTPException)
    detail, help = e.detail, "see /v1/openapi.json"
    if e.status_code == 404:
        detail = f"{request.method} {request.url.path} is not an address of the service"
    elif e.status_code == 405:
        detail, help = (
            f"{request.url.path} does not take {request.method}",
            f"it takes {(e.headers or {}).get('Allow', 'others')}; see /v1/openapi.json",
        )
    refused = Refused(e.status_code, "R904" if e.status_code == 404 else "R903", detail, help, e.headers)
    return problem(refused)


async def _failed(request: Request, e: Exception) -> Response:
    """What nobody foresaw: logged with its place, and told as what it is."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=e)
    return problem(Refused(500, "R907", "the service failed on this request", "repeat it; if it fails again, see the service's log"))


class ByPath(BaseRoute):
    """Addresses, of which those without a parameter are found by their path: a request that names a record does not go through all of them."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._fixed: dict[str, list[Route]] = {}
        for route in routes:
            if not route.param_convertors:
                self._fixed.setdefault(route.path, []).append(route)
        self._others = [route for route in routes if route.param_convertors]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether one of them has the path and the method, or else the path alone; `address` in the scope is the one."""
        partial: tuple[Match, Scope] = Match.NONE, {}
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        for route in chain(self._fixed.get(path, ()), self._others) if path else ():
            match, found = route.matches(scope)
            if match is Match.FULL:
                return match, {**found, "address": route}
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = match, {**found, "address": route}
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["address"].handle(scope, receive, send)


class Watched:
    """Counts and logs every request, and takes no more than a time for each."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self.app, self.server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, tracing = clock.perf_counter(), 500, self.server.tracing
        span = (
            tracing.begin(scope["method"], {k.decode("latin-1"): x.decode("latin-1") for k, x in scope["headers"]})
            if tracing.is_on
            else None
        )

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            seconds = clock.perf_counter() - started
            route = scope.get("address", scope.get("route"))
            name = route.path_format if isinstance(route, Route) else "other"
            self.server.metrics.requests.labels(name, str(status)).observe(seconds)
            tracing.end(span, scope["method"], name, status, scope.get("state", {}).get("noted", {}).get("decision"))
            request_line(scope, status, seconds)
