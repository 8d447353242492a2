"""A browser for tests that is only HTTP: it keeps cookies, and sends forms with their own token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from helpers import AS_OF, EXAMPLES, example, tables
from roe.evaluator.engine import Evaluator, Run
from roe.web.app.access import Users, digest, users_of
from roe.web.app.site import Options, Site
from roe.web.app.snapshot import RowSnapshot, Snapshot


def snapshot_of(evaluator: Evaluator, data: Path, as_of: str) -> RowSnapshot:
    bound = evaluator.bind(tables(evaluator, data), as_of=as_of)
    return RowSnapshot(Run(bound, list(bound.decide_all())), str(data))


def example_snapshot(name: str) -> RowSnapshot:
    return snapshot_of(example(name), EXAMPLES / name / "data", AS_OF[name])


def users(**roles: tuple[str, str | None]) -> Users:
    """Users by their name, which is their token too: a role and a rep."""
    return users_of(
        {"name": name, "role": role, "token_sha256": digest(name), **({"rep": rep} if rep else {})} for name, (role, rep) in roles.items()
    )


class Browser:
    """Pages of a snapshot as one user sees them."""

    def __init__(self, snapshot: Snapshot | Callable[[], Snapshot], options: Options | None = None, name: str = "") -> None:
        self.site = Site(snapshot if callable(snapshot) else lambda: snapshot, options)
        self.app = self.site.app()
        self.cookies = httpx.Cookies()
        if name:
            self.post("/sign-in", {"token": name})

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._send("GET", path, headers=headers)

    def post(self, path: str, form: dict[str, Any], **headers: str) -> httpx.Response:
        return self._send("POST", path, data=form, headers=headers)

    def page(self, path: str) -> str:
        """The HTML of a page that must be there."""
        found = self.get(path)
        assert found.status_code == 200, (path, found.status_code, found.text[:600])
        return found.text

    def text(self, path: str) -> str:
        """What a page says, without its markup."""
        return said(self.page(path))

    def csrf(self, path: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page(path))
        assert found is not None
        return found[1]

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", cookies=self.cookies) as client:
                return await client.request(method, path, **more)

        found = asyncio.run(send())
        self.cookies.update(found.cookies)
        return found


def said(html: str) -> str:
    """The words of a page in one line."""
    return " ".join(unescape(re.sub(r"<(script|style|svg).*?</\1>|<[^>]*>", " ", html, flags=re.S)).split())
