"""What a run changes: every record that gets another owner, with filters, in pages, and as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from starlette.responses import Response

from roe.data.files import csv_text
from roe.web.app.outcomes import RecordOutcome
from roe.web.app.site import Ask

SIZE = 50
RUNS = 12  # of the ledger that are listed
FILTERS = ("entity", "role", "rule", "territory", "pool", "action")
COLUMNS = ("entity", "record", "name", "role", "from", "to", "action", "rule", "territory", "pool", "until", "reason")
NOBODY = "-"
Choices = tuple[dict[str, list[str]], list[tuple[str, str]]]  # see `choices_of`
Ways = list[tuple[tuple[str | None, str, str | None, str], int]]  # (the former owner and what they are called, the new one), records


def rows_of(ask: Ask) -> list[RecordOutcome]:
    """The moves that the viewer may see: all, or those of the own team."""
    moved = ask.snapshot.outcomes.moved
    if ask.viewer.sees_all:
        return moved
    own = ask.viewer.team(ask.snapshot)
    return [o for o in moved if o.owner in own or o.previous in own]


def filtered(rows: Iterable[RecordOutcome], asked: dict[str, str]) -> list[RecordOutcome]:
    """The moves that answer to every filter that is given."""
    text = asked.get("q", "").lower()
    return [
        o
        for o in rows
        if all(getattr(o, name) == asked[name] for name in FILTERS if asked.get(name))
        and (not asked.get("rep") or asked["rep"] in (o.owner or NOBODY, o.previous or NOBODY))
        and (not asked.get("from") or asked["from"] == (o.previous or NOBODY))
        and (not asked.get("to") or asked["to"] == (o.owner or NOBODY))
        and (not text or text in o.name.lower() or text == o.id.lower())
    ]


def asked_of(ask: Ask) -> dict[str, str]:
    return ask.asked(*FILTERS, "rep", "from", "to", "q")


def show(ask: Ask) -> Response:
    every, asked = rows_of(ask), asked_of(ask)
    chosen = filtered(every, asked) if asked else every

    def whole() -> tuple[Choices, Ways, list[tuple[str, int]]]:
        return choices_of(every), ways_of(every), figures(every)

    choices, ways, counted = ask.snapshot.once("changes", whole) if ask.viewer.sees_all else whole()
    if asked:
        ways, counted = ways_of(chosen), figures(chosen)
    return ask.render(
        "changes.html", **ask.paged(chosen, SIZE), every=len(every), asked=asked, choices=choices[0], reps=choices[1],
        ways=ways, figures=counted, decided=len(ask.snapshot.outcomes.all),
    )  # fmt: skip


def choices_of(every: list[RecordOutcome]) -> Choices:
    """(the values of each filter, the reps by name) that moves have."""
    values = {name: sorted({getattr(o, name) for o in every if getattr(o, name)}) for name in FILTERS}
    return values, sorted(
        {(o.owner_name, o.owner) for o in every if o.owner} | {(o.previous_name, o.previous) for o in every if o.previous}
    )


def ways_of(moves: list[RecordOutcome]) -> Ways:
    """The ways that most records go: from whom to whom."""
    return Counter((o.previous, o.previous_name, o.owner, o.owner_name) for o in moves).most_common(8)


def figures(moves: list[RecordOutcome]) -> list[tuple[str, int]]:
    return [
        ("change hands", len(moves)),
        ("had nobody until now", sum(o.previous is None for o in moves)),
        ("are left without an owner", sum(o.owner is None for o in moves)),
        ("go from one rep to another", sum(o.owner is not None and o.previous is not None for o in moves)),
    ]


def as_csv(ask: Ask) -> Response:
    chosen = filtered(rows_of(ask), asked_of(ask))
    rows = (
        [o.entity, o.id, o.name, o.role, o.previous_name, o.owner_name, o.action, o.rule, o.territory, o.pool, o.until, o.reason]
        for o in chosen
    )
    return download(csv_text(COLUMNS, rows), "changes.csv")


def download(text: str, name: str) -> Response:
    return Response(text, media_type="text/csv; charset=utf-8", headers={"content-disposition": f'attachment; filename="{name}"'})
