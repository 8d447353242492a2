"""The ledger's entries, the newest first, and where its chain ends; the entries of a record are on the record's own page."""

from __future__ import annotations

from starlette.responses import Response

from roe.web.app.kept_trace import steps_of
from roe.web.app.site import Ask


def show(ask: Ask) -> Response:
    history = ask.options.history
    if history is None:
        return ask.render("audit_none.html")
    kind = ask.text("kind")
    lines, page, pages = history.page(ask.number("page"), [kind] if kind else [], ask.snapshot.rep_name)
    number, digest = history.head()
    return ask.render("audit.html", lines=lines, page=page, pages=pages, total=number, digest=digest, kind=kind, kinds=history.kinds)


def of_record(ask: Ask) -> Response:
    """What the ledger says of a record, for those who may see the record's values."""
    entity, record = ask.request.path_params["entity"], ask.request.path_params["id"]
    if ask.options.history is None or not ask.viewer.may_see_values(ask.snapshot, entity, record):
        return ask.refused()
    lines = ask.options.history.of_record(entity, record, ask.snapshot.rep_name)
    return ask.render("history.html", lines=lines, entity=entity, record=record, row=ask.snapshot.row(entity, record))


def entry(ask: Ask) -> Response:
    """One entry for good: what was decided then, in the words of then. Of another team's record only who owned it and the sentence."""
    text = ask.request.path_params["number"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    found = ask.options.history.entry(number, ask.snapshot.rep_name) if ask.options.history is not None else None
    if found is None:
        return ask.missing("The ledger has no entry with this number.")
    full = ask.viewer.sees_all or (bool(found.record) and ask.viewer.may_see_values(ask.snapshot, found.entity, found.record))
    if not full and found.kind not in ("owned", "evidence"):
        return ask.refused()
    row = ask.snapshot.row(found.entity, found.record) if found.record else None
    whole = ask.viewer.sees_all or (row is not None and ask.viewer.may_see_whole(ask.snapshot, row))
    kept = ask.options.history.evidence(number)
    trace = kept.entry.values.get("trace") if kept is not None else None
    if trace is not None and not full:
        trace = None
    return ask.render(
        "entry.html", x=found, row=row, full=full, trace=trace, steps=steps_of(trace) if trace is not None and whole else None,
        digest=kept.entry.digest if kept is not None else "",
    )  # fmt: skip
