"""The ledger's entries, the newest first; without a ledger, what that would be."""

from __future__ import annotations

from starlette.responses import Response

from roe.web.app.site import Ask


def show(ask: Ask) -> Response:
    return ask.render("audit.html")
