"""The runs of the ledger, and undoing one: what that would give back first, then the same with a name."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from roe.run.undo import HELD_FOR
from roe.web.app.acting import day_of, text_of
from roe.web.app.pages.acts import acting, acts_of, form_of
from roe.web.app.site import Ask, part

SIZE = 50


@acting("undo")
def undo_form(ask: Ask) -> Response:
    """What undoing a run would change. Nothing is undone yet."""
    run = ask.request.path_params["run"]
    undone = acts_of(ask).would_undo(run)
    return ask.render(
        "undo.html", run=run, undone=undone, **ask.paged(undone.back, SIZE), left=undone.left[:SIZE],
        name=ask.snapshot.rep_name, until=undone.until,
        path=f"/runs/{part(run)}/undo",
    )  # fmt: skip


@acting("undo")
def undo(ask: Ask) -> Response:
    run = ask.request.path_params["run"]
    today = ask.snapshot.clock.today
    why = text_of(form_of(ask), "reason", "Say why the run is undone: it stays in the ledger.")
    until = day_of(form_of(ask), "until", today + timedelta(days=1)) or today + HELD_FOR
    acts_of(ask).undo(run, f"{ask.viewer.name}: {why}", until)
    return ask.go("/moves", done="undone")
