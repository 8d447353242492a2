"""What moved: every change of owner that the ledger has since a day, by rules, by hand and by time, and what the CRM does not show yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from starlette.responses import Response

from roe.data.files import csv_text
from roe.ledger.movements import Move
from roe.web.app.pages.changes import NOBODY, RUNS, download
from roe.web.app.site import Ask

SIZE = 50
MOST = 5_000  # moves that are read at once
PENDING = 100  # owners that are not loaded yet and are listed
HOW = {"rules": "by rules", "hand": "by people", "time": "by time"}
FILTERS = ("entity", "role", "rule", "territory", "pool", "how")
COLUMNS = ("number", "day", "entity", "record", "role", "from", "to", "how", "rule", "pool", "reason")

Choices = tuple[dict[str, list[str]], list[tuple[str, str]]]  # see `choices_of`


def since_of(ask: Ask) -> date:
    """The day that is asked for; else the day before the last run's."""
    return _day(ask, "since") or ask.snapshot.clock.today - timedelta(days=1)


def _day(ask: Ask, name: str) -> date | None:
    try:
        return date.fromisoformat(ask.text(name, 10))
    except ValueError:
        return None


def value_of(ask: Ask, x: Move, name: str) -> str:
    """What a filter compares; a record's territory is the one that it lies in now, since the ledger keeps none."""
    if name == "territory":
        return next((o.territory for o in ask.snapshot.outcomes.of(x.entity, x.record) if o.role == x.role), "")
    return str(getattr(x, name))


def rows_of(ask: Ask) -> tuple[list[Move], bool]:
    """(the moves that the viewer may see, whether there are more than are read)."""
    assert ask.options.history is not None
    moves, more = ask.options.history.moves(since_of(ask), MOST)
    if ask.viewer.sees_all:
        return moves, more
    own = ask.viewer.team(ask.snapshot)
    return [x for x in moves if x.owner in own or x.previous in own], more


def filtered(ask: Ask, rows: Sequence[Move]) -> list[Move]:
    asked = {name: ask.text(name) for name in (*FILTERS, "rep", "q")}
    text, until = asked["q"].lower(), _day(ask, "until")
    return [
        x
        for x in rows
        if all(value_of(ask, x, name) == asked[name] for name in FILTERS if asked[name])
        and (until is None or (x.at.date() if isinstance(x.at, datetime) else x.at) <= until)
        and (not asked["rep"] or asked["rep"] in (x.owner or NOBODY, x.previous or NOBODY))
        and (not text or text == x.record.lower() or text in ask.snapshot.label(x.entity, x.record).lower())
    ]


def choices_of(ask: Ask, every: list[Move]) -> Choices:
    """(the values of each filter, the reps by name) that moves have; of the same moves worked out once."""
    made = ask.snapshot.once("choices of moves", list[tuple[list[Move], Choices]])
    if not made or made[0][0] is not every:
        name = ask.snapshot.rep_name
        reps = {x for m in every for x in (m.owner, m.previous) if x}
        choices = {field: sorted({x for m in every if (x := value_of(ask, m, field))}) for field in FILTERS}
        made[:] = [(every, (choices, sorted((name(x), x) for x in reps)))]
    return made[0][1]


def show(ask: Ask) -> Response:
    if ask.options.history is None:
        return ask.go("/changes")
    every, more = rows_of(ask)
    chosen = filtered(ask, every)
    asked = ask.asked(*FILTERS, "rep", "q", "since", "until")
    pending, waiting = ask.options.history.pending(PENDING) if ask.viewer.sees_all else ([], 0)
    choices, reps = choices_of(ask, every)
    return ask.render(
        "moves.html", **ask.paged(chosen, SIZE), every=len(every), more=more, most=MOST, asked=asked, since=since_of(ask),
        choices=choices, how=HOW, reps=reps,
        figures=Counter(x.how for x in chosen), pending=pending, waiting=waiting, name=ask.snapshot.rep_name,
        runs=ask.options.history.runs(RUNS) if ask.viewer.sees_all else [], may_undo=ask.options.acts is not None and ask.viewer.may("undo"),
    )  # fmt: skip


def as_csv(ask: Ask) -> Response:
    if ask.options.history is None:
        return ask.missing("No ledger is connected.")
    name = ask.snapshot.rep_name
    rows = (
        [x.number, x.at, x.entity, x.record, x.role, name(x.previous), name(x.owner), HOW[x.how], x.rule, x.pool, x.why]
        for x in filtered(ask, rows_of(ask)[0])
    )
    return download(csv_text(COLUMNS, rows), "moves.csv")
