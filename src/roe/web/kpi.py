"""The page of `roe kpi`."""

from __future__ import annotations

from collections.abc import Sequence

from roe.analysis.kpi import ALL, KpiLine, missed, shown, target_of
from roe.plan.operators import KPI_NAMES as NAMES
from roe.plan.operators import Kpis
from roe.web.page import Page, bars, lines

CHARTED = ("capacity_use", "coverage", "worked", "completed", "meetings", "opportunities", "speed_to_lead", "sla_attainment")
TITLES = {
    "capacity_use": "Use of capacity", "coverage": "Coverage", "worked": "Accounts worked", "completed": "Worked to completion", "meetings": "Meetings",
    "opportunities": "Opportunities", "speed_to_lead": "Speed to lead (hours)", "sla_attainment": "Leads answered in time",
}  # fmt: skip
PERCENT = ("capacity_use", "coverage", "sla_attainment")
MOST = 6  # lines of one chart


def kpi_page(policy: str, kpis: Kpis, found: Sequence[KpiLine], by: str) -> str:
    """Charts by group for one period, over time for several; the figures as tables, what misses its target marked."""
    spans = list(dict.fromkeys(str(line.period) for line in found))
    page = Page(f"Key figures of {policy}", f"By {by}, {spans[0]}" + (f" … {spans[-1]}" if len(spans) > 1 else ""))
    charts = []
    for name in CHARTED:
        known = [line for line in found if line.values[name] is not None]
        if not known:
            continue
        if len(spans) == 1:
            groups = [line for line in known if line.group != ALL]
            values = {TITLES[name]: [float(line.values[name] or 0) for line in groups]}
            target = target_of(kpis, name, "")[0]
            values |= {"target": [target] * len(groups)} if target is not None else {}
            charts.append(bars(TITLES[name], [line.group for line in groups], values, percent=name in PERCENT))
        else:
            groups_of = [*dict.fromkeys(line.group for line in known if line.group != ALL)][:MOST]
            groups_of.append(ALL)
            series = {
                g: (
                    [float(spans.index(str(x.period)) + 1) for x in known if x.group == g],
                    [float(x.values[name] or 0) for x in known if x.group == g],
                )
                for g in groups_of
            }
            charts.append(
                lines(TITLES[name], series, percent=name in PERCENT, dots=True, ticks=[s[:10] for s in spans] if len(spans) <= 6 else ())
            )
    page.charts(charts)
    for span in spans:
        page.heading(span)
        own = [line for line in found if str(line.period) == span]
        rows = []
        for n in NAMES:
            figures = [("▼ " if missed(kpis, n, line) else "") + shown(n, line.values[n]) for line in own]
            rows.append(
                [n.replace("_", " ").capitalize(), *figures, *([shown(n, x) for x in target_of(kpis, n, "")[:2]] if kpis.targets else [])]
            )
        page.table(("", *(line.group for line in own), *(("Target", "Benchmark") if kpis.targets else ())), rows)
    if kpis.targets:
        page.say(
            "▼ misses its target. Targets for counts are per rep. "
            + ". ".join(dict.fromkeys(f"{k.replace('_', ' ').capitalize()}: {s}" for k, _, _, _, s in kpis.targets if s)),
            "quiet",
        )
    return page.html()
