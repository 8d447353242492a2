"""The page of `roe kpi`."""

from __future__ import annotations

from collections.abc import Sequence

from roe.analysis.kpi import ALL, KpiLine, missed, shown, target_of
from roe.plan.parts import KPI_NAMES as NAMES
from roe.plan.parts import Kpis
from roe.web.page import ReportPage, bars, lines

CHARTED = ("capacity_use", "coverage", "worked", "completed", "meetings", "opportunities", "speed_to_lead", "sla_attainment")
TITLES = {
    "capacity_use": "Use of capacity", "coverage": "Coverage", "worked": "Accounts worked", "completed": "Worked to completion", "meetings": "Meetings",
    "opportunities": "Opportunities", "speed_to_lead": "Speed to lead (hours)", "sla_attainment": "Leads answered in time",
}  # fmt: skip
PERCENT = ("capacity_use", "coverage", "sla_attainment")
MOST = 6  # lines of one chart


def kpi_page(policy: str, kpis: Kpis, kpi_lines: Sequence[KpiLine], by: str) -> str:
    """Charts by group for one period, over time for several; the figures as tables, what misses its target marked."""
    spans = list(dict.fromkeys(str(line.period) for line in kpi_lines))
    page = ReportPage(f"Key figures of {policy}", f"By {by}, {spans[0]}" + (f" … {spans[-1]}" if len(spans) > 1 else ""))
    charted = [(name, [line for line in kpi_lines if line.values[name] is not None]) for name in CHARTED]
    page.charts(_over_time(name, known, spans) if len(spans) > 1 else _by_group(name, known, kpis) for name, known in charted if known)
    for span in spans:
        page.heading(span)
        own = [line for line in kpi_lines if str(line.period) == span]
        page.table(
            ("", *(line.group for line in own), *(("Target", "Benchmark") if kpis.targets else ())), [_row(n, own, kpis) for n in NAMES]
        )
    if kpis.targets:
        sources = dict.fromkeys(f"{_title(name)}: {source}" for name, _, _, _, source in kpis.targets if source)
        page.say("▼ misses its target. Targets for counts are per rep. " + ". ".join(sources), "quiet")
    return page.html()


def _by_group(name: str, known: Sequence[KpiLine], kpis: Kpis) -> str:
    """The figure of each group in one period, beside its target."""
    groups = [line for line in known if line.group != ALL]
    values = {TITLES[name]: [float(line.values[name] or 0) for line in groups]}
    target = target_of(kpis, name, "")[0]
    values |= {"target": [target] * len(groups)} if target is not None else {}
    return bars(TITLES[name], [line.group for line in groups], values, percent=name in PERCENT)


def _over_time(name: str, known: Sequence[KpiLine], spans: Sequence[str]) -> str:
    """The figure of each group, and of all together, in every period."""
    groups = [*[*dict.fromkeys(line.group for line in known if line.group != ALL)][:MOST], ALL]
    points = {
        group: [(spans.index(str(x.period)) + 1.0, float(x.values[name] or 0)) for x in known if x.group == group] for group in groups
    }
    series = {group: ([x for x, _ in own], [y for _, y in own]) for group, own in points.items()}
    return lines(TITLES[name], series, percent=name in PERCENT, dots=True, ticks=[s[:10] for s in spans] if len(spans) <= 6 else ())


def _row(name: str, own: Sequence[KpiLine], kpis: Kpis) -> list[str]:
    """One measure of every group, then its target and benchmark."""
    figures = [("▼ " if missed(kpis, name, line) else "") + shown(name, line.values[name]) for line in own]
    return [_title(name), *figures, *([shown(name, x) for x in target_of(kpis, name, "")[:2]] if kpis.targets else [])]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize().replace("Sla", "SLA")
