"""Exceptions beside the policy's file: what is asked for, what is granted and until when, and the file's own."""

from __future__ import annotations

from starlette.responses import Response

from roe.ledger.people import Requested
from roe.web.app.pages.acts import proposed
from roe.web.app.site import Ask

SIZE = 50


def show(ask: Ask) -> Response:
    history = ask.options.history
    requests = [x for x in (history.requests() if history is not None else []) if _may_see(ask, x)]
    granted = [x for x in (history.granted() if history is not None else []) if _may_see(ask, x)]
    files = [x for x in ask.snapshot.plan.exceptions if ask.viewer.sees_all]
    return ask.render(
        "exceptions.html", requests=requests, **ask.paged(granted, SIZE), files=files[:SIZE], more=max(0, len(files) - SIZE),
        name=ask.snapshot.rep_name, today=ask.snapshot.clock.today, days=proposed(ask),
        may=ask.options.acts is not None and ask.viewer.may("grant"), has_ledger=history is not None,
    )  # fmt: skip


def _may_see(ask: Ask, x: Requested) -> bool:
    return x.by == ask.viewer.name or ask.viewer.may_see_values(ask.snapshot, x.entity, x.record)
