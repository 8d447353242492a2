"""Where the service has its web pages: under `/app`, loaded when somebody first asks for one."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from roe.serve.server import Server

PLACE = "/app"  # where the pages are


class Pages:
    """The pages as an application. Their packages are loaded when the first of them is asked for: the service starts without."""

    def __init__(self, server: Server, header: str = "") -> None:
        self.server, self.header = server, header
        self._app: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._making:
            if self._app is None:
                self._app = await asyncio.to_thread(self._made)
        await self._app(scope, receive, send)

    def _made(self) -> ASGIApp:
        from roe.serve.mirror import site_of

        return site_of(self.server, self.header).app()


def page_routes(server: Server, header: str = "") -> list[BaseRoute]:
    """The pages as routes of the service."""

    async def to_pages(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{PLACE}/")

    return [Route("/", to_pages), Mount(PLACE, app=Pages(server, header))]
