"""`kpis:` what counts as work, when an account is worked to completion, how soon a lead is answered, and targets; it lowers to `Kpis`."""

from __future__ import annotations

from typing import Annotated

from roe.diagnostics import suggest
from roe.plan.parts import KPI_NAMES, Kpis
from roe.policy.context import Context
from roe.policy.section import Expression, FilePath, Form, Heading, PositiveDuration, Section, key, section
from roe.source import Text

Target = tuple[str, str, float | None, float | None, str]  # KPI, group, target, benchmark, source


@section
class KpiActivitySection(Section):
    """which activities count"""

    counts: Expression | None = key("which activities are work", default=None)
    meeting: Expression | None = key("which are meetings", default=None)


@section
class CompletedSection(Section):
    """when an account is worked to completion"""

    touches: Annotated[int, Form(minimum=1)]
    contacts: Annotated[int, Form(minimum=0)] = 0


@section
class KpisSection(Section):
    """what counts as work, and what reps must reach"""

    role: Text | None = key("the role whose accounts count; default: the first role", default=None)
    lead_role: Text | None = key("the role whose leads count; default: `role`", default=None)
    activity: KpiActivitySection | None = None
    completed: CompletedSection | None = None
    answer_within: PositiveDuration | None = key("how soon a lead must be answered", default=None)
    targets: FilePath | None = key("a table: kpi, group, target, benchmark, source", default=None)
    description: Text | None = None


KPIS = Heading("kpis", KpisSection, "what `roe kpi` measures")


def lower(kpis: KpisSection | None, cx: Context) -> Kpis | None:
    if kpis is None:
        return None
    role = cx.role(kpis.role)
    lead_role = cx.role(kpis.lead_role) if kpis.lead_role else role
    names = cx.names("activity", implicit=True)
    counts = cx.condition(kpis.activity.counts, names) if kpis.activity else None
    meeting = cx.condition(kpis.activity.meeting, names) if kpis.activity else None
    touches, contacts = (kpis.completed.touches, kpis.completed.contacts) if kpis.completed else (1, 0)
    return Kpis(role, lead_role, counts, meeting, touches, contacts, cx.lasting(kpis.answer_within), _targets(kpis.targets, cx))


def _targets(file: Text | None, cx: Context) -> tuple[Target, ...]:
    if not file:
        return ()
    table = cx.file_table(file)
    if table is None or not cx.has_columns(table, "the targets have", ("kpi",)):
        return ()
    targets: list[Target] = []
    for row in table.rows:
        cells = {name: row[at] for name in ("kpi", "group", "target", "benchmark", "source") if (at := table.column(name)) is not None}
        if cells["kpi"] not in KPI_NAMES:
            cx.say(
                "R201",
                cells["kpi"],
                f"there is no KPI `{cells['kpi']}`",
                suggest(cells["kpi"], KPI_NAMES, f"there are {', '.join(KPI_NAMES)}"),
            )
            continue
        target, benchmark = (_number(cells.get(column), cx) for column in ("target", "benchmark"))
        targets.append((str(cells["kpi"]), str(cells.get("group") or ""), target, benchmark, str(cells.get("source") or "")))
    return tuple(targets)


def _number(cell: Text | None, cx: Context) -> float | None:
    if cell is None or not cell.strip("- "):
        return None
    try:
        number = float(cell.rstrip("% ")) / (100 if cell.rstrip().endswith("%") else 1)
        if number == number and abs(number) < 1e15:
            return number
    except ValueError:
        pass
    cx.say("R311", cell, f"`{cell}` is not a number", "write 0.8 or 80 %")
    return None
