"""`roe kpi`: key figures of reps' work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.analysis.kpi import kpi_lines, missed, periods, shown, target_of
from roe.cli.common import PATH, as_of_option, bind, data_option, format_option, load, needs, policy_argument, put, put_json, state_option
from roe.cli.table import table
from roe.cli.terminal import document
from roe.data.files import csv_text
from roe.diagnostics import suggest, user_error
from roe.grammar import values as v
from roe.plan.operators import Choose
from roe.plan.parts import KPI_NAMES
from roe.web.kpi import kpi_page

if TYPE_CHECKING:
    from datetime import date

    from roe.analysis.kpi import KpiLine
    from roe.evaluator.engine import Evaluator
    from roe.plan.parts import Kpis


SETS = (("accounts", "capacity_use", "coverage", "worked", "completed", "touches"), ("meetings", "opportunities", "opportunities_per_worked", "leads", "speed_to_lead", "sla_attainment"))  # fmt: skip
HEADS = {
    "capacity_use": "capacity", "opportunities": "opps", "opportunities_per_worked": "opps/worked", "speed_to_lead": "to lead", "sla_attainment": "in time",
}  # fmt: skip


@click.command("kpi")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--by", default="rep", show_default=True, metavar="GROUP", help="Group by rep, team, territory, or a table of accounts.")
@click.option("--every", type=click.Choice(["week", "month", "quarter"]), default="month", show_default=True, help="Length of a period.")
@click.option("--periods", "count", type=click.IntRange(1, 120), default=1, show_default=True, help="Number of periods, ending at --as-of.")
@click.option("--from", "start", metavar="DATE", help="Start of one custom period, instead of --every.")
@format_option("text", "csv", "json")
@click.option("--page", type=PATH, help="HTML page with charts to write, as one file.")
def command(
    policy: Path | None,
    data: Path,
    as_of: str,
    state: str | None,
    by: str,
    every: str,
    count: int,
    start: str | None,
    shape: str,
    page: Path | None,
) -> None:
    """Print key figures by rep, team, territory or list, and by period: capacity use, coverage, accounts worked, meetings, opportunities, speed to lead."""
    evaluator = load(policy)
    kpis = evaluator.policy.plan.kpis
    if kpis is None:
        raise user_error(
            "R501", "the policy has no KPIs", evaluator.policy.root, "add `kpis:` to the policy: what counts as work, and targets"
        )
    groups = _groups(evaluator)
    if by not in groups:
        raise user_error("R801", f"there is no group `{by}`", "--by", suggest(by, groups, f"there are {', '.join(groups)}"), by)
    bound = bind(evaluator, data, as_of, state)
    today = bound.world.clock.today
    lines = kpi_lines(bound, by, periods(today, every, count, _start(start, today)))
    if page is not None:
        _page(page, evaluator, lines, by)
    if shape == "json":
        put_json([line.as_json() for line in lines])
    elif shape == "csv":
        _as_csv(lines, by)
    else:
        _as_tables(lines, by, kpis)
    if page is not None and shape == "text":
        click.echo(f"see {page}")


def _groups(evaluator: Evaluator) -> list[str]:
    """What figures can be grouped by: reps, teams, territories where there are some, and every table of accounts."""
    steps = evaluator.policy.plan.steps
    tables = [
        name
        for (entity, name), step in steps.items()
        if entity == "account" and isinstance(step, Choose) and step.stage in ("table", "score")
    ]
    return ["rep", "team", *(["territory"] if ("account", "territory") in steps else []), *tables]


def _start(text: str | None, today: date) -> date | None:
    """The day that --from gives. The command ends if that is not a date, or has not come yet."""
    first = v.parse_date(text) if text else None
    if text and (first is None or first > today):
        raise user_error("R801", f"`{text}` is not a date up to {today}", "--from", "write it as 2026-01-01", text)
    return first


def _as_csv(lines: list[KpiLine], by: str) -> None:
    values = ([line.group, line.period.start, line.period.until, *(line.values[n] for n in KPI_NAMES)] for line in lines)
    document(csv_text((by, "from", "until", *KPI_NAMES), values))


def _as_tables(lines: list[KpiLine], by: str, kpis: Kpis) -> None:
    """Two tables for each period, with targets and benchmarks below where the policy has some."""
    for period in dict.fromkeys(str(line.period) for line in lines):
        click.echo(f"{period}\n")
        for names in SETS:
            rows = [
                [line.group, *(shown(n, line.values[n]) + ("!" if missed(kpis, n, line) else "") for n in names)]
                for line in lines if str(line.period) == period
            ]  # fmt: skip
            if kpis.targets:
                rows.append(["target", *(shown(n, target_of(kpis, n, "")[0]) for n in names)])
                rows.append(["benchmark", *(shown(n, target_of(kpis, n, "")[1]) for n in names)])
            click.echo(table(rows, [by, *(HEADS.get(n, n) for n in names)]) + "\n")
    if kpis.targets:
        sources = dict.fromkeys(f"{kpi}: {source}" for kpi, _, _, benchmark, source in kpis.targets if benchmark is not None and source)
        click.echo(
            "! misses its target (targets for counts are per rep); benchmarks from " + ("; ".join(sources) or "the table of targets")
        )


def _page(path: Path, evaluator: Evaluator, lines: list[KpiLine], by: str) -> None:
    needs("pages need", "--page", "pages", "matplotlib")
    assert evaluator.policy.plan.kpis is not None
    put(kpi_page(evaluator.policy.name, evaluator.policy.plan.kpis, lines, by), path, said=False)
