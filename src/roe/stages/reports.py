"""`reports:` what is counted over records, by group: coverage of a target list, engagement, pipeline. They lower to `Report`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from roe.diagnostics import suggest
from roe.plan.operators import Choose
from roe.plan.parts import Report
from roe.policy.context import Context
from roe.policy.section import Expression, Form, Heading, Name, Section, key, section
from roe.source import Text


@section
class ReportSection(Section):
    """what to count, for which records, and by which group"""

    for_: Text | None = None
    list: Text | None = key(
        "a table under `tables:`; the report leaves out records that match none of its rows, and lists rows that match no record",
        default=None,
    )
    where: Expression | None = None
    by: Expression | None = None
    measures: Annotated[Mapping[Text, Expression], Form(minProperties=1)] = key("conditions are counted, numbers are summed")
    description: Text | None = None


REPORTS = Heading("reports", Mapping[Name, ReportSection], "records counted by group: `roe report`")


def lower(reports: Mapping[Text, ReportSection], cx: Context) -> dict[str, Report]:
    """The reports of the policy, after those that other stages add."""
    lowered = dict(cx.reports)
    for name, report in reports.items():
        entity = str(report.for_ or "account")
        if report.for_ and not cx.has_entity(report.for_):
            continue
        names = cx.names(entity)
        table = report.list
        if table is not None and not isinstance(cx.steps.get((entity, str(table))), Choose):
            known = [n for (e, n), step in cx.steps.items() if e == entity and isinstance(step, Choose)]
            cx.say("R501", table, f"there is no table `{table}` of {entity} records", suggest(table, known, "name one under `tables:`"))
            continue
        where = cx.condition(report.where, names)
        by = cx.value(report.by, names)
        measures = {str(label): expr for label, text in report.measures.items() if (expr := cx.value(text, names, "boolean", "number"))}
        lowered[str(name)] = Report(str(name), entity, where, by, str(table) if table is not None else None, measures)
    return lowered
