"""The ledger's entries, the newest first, and where its chain ends; the entries of a record are on the record's own page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from starlette.responses import Response, StreamingResponse

from roe.data.files import csv_text
from roe.ledger.browse import EntryFilter
from roe.web.app.history import Reader
from roe.web.app.kept_trace import steps_of
from roe.web.app.search import plain
from roe.web.app.site import Ask

SIZE = 100
CHECKED = 20_000  # entries whose hashes are worked out while somebody waits
OF_RECORD = 30  # entries of one record that are shown together
EXPORTED = 5_000  # entries of the CSV that are read together
FILTERS = ("kind", "rep", "record", "run", "since", "until")
YEARS = (1900, 8999)  # near the years 1 and 10,000 a day could not be moved to another time zone
COLUMNS = ("number", "run", "kind", "entity", "record", "role", "holds_from", "written", "what", "why")


def show(ask: Ask) -> Response:
    history = ask.options.history
    if history is None:
        return ask.render("audit_none.html")
    before = ask.number("before", 0) or None
    wanted, problem = wanted_of(ask)
    lines, older = history.browse(wanted, before, SIZE, ask.reader) if not problem else ([], None)
    number, digest = history.head()
    return ask.render(
        "audit.html", lines=lines, before=before, older=older, total=number, digest=digest, asked=ask.asked(*FILTERS), kinds=history.kinds,
        problem=problem,
    )  # fmt: skip


def wanted_of(ask: Ask) -> tuple[EntryFilter, str]:
    """The filters of the address, and what of them cannot be understood. Records and reps may be named as people know them."""
    days: dict[str, date | None] = {}
    for name in ("since", "until"):
        try:
            day = date.fromisoformat(text) if (text := ask.text(name, 10)) else None
        except ValueError:
            return EntryFilter(), f"`{text}` is not a day. Write it as 2026-03-31."
        if day is not None and not YEARS[0] <= day.year <= YEARS[1]:
            return EntryFilter(), f"`{text}` is too far away. Use a year from {YEARS[0]} to {YEARS[1]}."
        days[name] = day
    record, problem = _record(ask, ask.text("record"))
    named = ask.snapshot.world.find("rep", rep) if (rep := ask.text("rep")) else None
    return EntryFilter(
        kind=ask.text("kind"), rep=str(named["id"]) if named is not None else rep, record=record, run=ask.text("run"),
        since=days["since"], until=days["until"], zone=ask.snapshot.policy.timezone,
    ), problem  # fmt: skip


def _record(ask: Ask, text: str) -> tuple[str, str]:
    """(the id of the record that a text names, or the text itself; what to do if it names several)."""
    if not text or any(ask.snapshot.row(entity, text) is not None for entity in ask.snapshot.policy.model.entities):
        return text, ""
    ids = {hit.id for hit in ask.snapshot.index.search(text) if plain(text) in map(plain, (hit.label, *hit.keys))}
    if len(ids) > 1:
        return text, f"{len(ids)} records are called “{text}”. Use the id of one: {', '.join(sorted(ids)[:5])}."
    return next(iter(ids), text), ""


def as_csv(ask: Ask) -> Response:
    """Every entry that answers to the filters. It is read and sent in pages, since a ledger can have millions."""
    history = ask.options.history
    if history is None:
        return ask.missing("No ledger is connected.")
    wanted, problem = wanted_of(ask)
    if problem:
        return ask.render("problem.html", 400, title="roe cannot use this filter", said=problem)
    names = {str(rep["id"]): str(rep.label) for rep in ask.snapshot.reps()}
    reader = Reader(lambda rep: names.get(rep or "", rep or ""), ask.zone)

    def pages() -> Iterator[str]:
        yield csv_text(COLUMNS, ())
        before: int | None = None
        while True:
            lines, before = history.browse(wanted, before, EXPORTED, reader)
            rows = ([x.number, x.run, x.kind, x.entity, x.record, x.role, x.at, x.recorded, x.text, x.why] for x in lines)
            yield csv_text(COLUMNS, rows).partition("\n")[2]
            if before is None:
                return

    return StreamingResponse(
        pages(), media_type="text/csv; charset=utf-8", headers={"content-disposition": 'attachment; filename="audit.csv"'}
    )


def chain(ask: Ask) -> Response:
    """Whether the newest entries are as they were written."""
    history = ask.options.history
    if history is None:
        return ask.missing("No ledger is connected.")
    first, last, verified = history.checked(CHECKED)
    return ask.render("chain.html", first=first, last=last, found=verified, whole=first <= 1)


def of_record(ask: Ask) -> Response:
    """What the ledger says of a record, for those who may see the record's values."""
    entity, record = ask.request.path_params["entity"], ask.request.path_params["id"]
    if ask.options.history is None or not ask.viewer.may_see_values(ask.snapshot, entity, record):
        return ask.refused()
    before = ask.number("before", 0) or None
    lines, older = ask.options.history.of_record(entity, record, before, OF_RECORD, ask.reader)
    row = ask.snapshot.row(entity, record)
    return ask.render("history.html", lines=lines, before=before, older=older, entity=entity, record=record, row=row)


def entry(ask: Ask) -> Response:
    """One entry for good: what was decided then, in the words of then. Of another team's record only who owned it and the sentence."""
    text = ask.request.path_params["number"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    history = ask.options.history
    line = history.entry(number, ask.reader) if history is not None else None
    if history is None or line is None:
        return ask.missing("The ledger has no entry with this number.")
    full = ask.viewer.sees_all or (bool(line.record) and ask.viewer.may_see_values(ask.snapshot, line.entity, line.record))
    if not full and line.kind not in ("owned", "evidence"):
        return ask.refused()
    row = ask.snapshot.row(line.entity, line.record) if line.record else None
    whole = ask.viewer.sees_all or (row is not None and ask.viewer.may_see_whole(ask.snapshot, row))
    evidence = history.evidence(number)
    trace = evidence.values.get("trace") if evidence is not None else None
    if trace is not None and not full:
        trace = None
    return ask.render(
        "entry.html", x=line, row=row, full=full, trace=trace, steps=steps_of(trace) if trace is not None and whole else None,
        digest=evidence.digest if evidence is not None else "",
    )  # fmt: skip
