"""Reports: records counted by group, and the rows of a list that no record answers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from roe.dynamic import Json, Value
from roe.evaluator.bound import Bound
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.plan.operators import Choose
from roe.plan.parts import Report

TOTAL = "all"


@dataclass(slots=True)
class ReportGroup:
    """The records of one group: how many, and per measure how many it is true of, or the sum of a number."""

    records: int = 0
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class ReportResult:
    """A report over the records of a run. `missing` are rows of the list that no record fits."""

    report: Report
    groups: dict[str, ReportGroup]
    counted: dict[str, bool]  # measure -> whether it counts records, rather than sums
    listed: int = 0
    missing: list[str] = field(default_factory=list)

    def header(self) -> list[str]:
        return ["group", "records", *self.report.measures]

    def rows(self) -> list[list[Value]]:
        return [[name, g.records, *(g.measures[m] for m in self.report.measures)] for name, g in self.groups.items()]

    def as_json(self) -> Json:
        groups = {name: {"records": g.records, **g.measures} for name, g in self.groups.items()}
        return {"report": self.report.name, "groups": groups, "listed": self.listed, "missing": self.missing}


def run_report(bound: Bound, report: Report, counts: Callable[[Row], bool] = lambda row: True) -> ReportResult:
    """Count, over records that have this run's owners; decide everything first (`Bound.decide_all`). `counts` says of which records."""
    world = bound.world
    code = world.compiled.code
    groups: dict[str, ReportGroup] = {}
    counted = dict.fromkeys(report.measures, True)
    total = ReportGroup(measures=dict.fromkeys(report.measures, 0))
    step = bound.plan.steps.get((report.entity, report.list)) if report.list is not None else None
    met: set[int] = set()
    for row in filter(counts, world.all(report.entity)):
        scope = world.scope(row)
        if isinstance(step, Choose):
            choice = world.compiled.choosers[step.entity, step.name](scope)
            met.update(choice.fired)
            if not choice.fired:
                continue
        if report.where is not None and code(report.where)(scope) is not True:
            continue
        key = "" if report.by is None else v.string(code(report.by)(scope)) or "(none)"
        group = groups.setdefault(key, ReportGroup(measures=dict.fromkeys(report.measures, 0)))
        values = {name: code(expr)(scope) for name, expr in report.measures.items()}
        for each in (group, total):
            each.records += 1
            for name, value in values.items():
                counted[name] = counted[name] and not v.is_number(value)
                each.measures[name] += _amount(value)
    shown = {key: groups[key] for key in sorted(groups)} if report.by is not None else {}
    missing = [str(rule.name) for i, rule in enumerate(step.rules) if i not in met] if isinstance(step, Choose) else []
    listed = len(step.rules) if isinstance(step, Choose) else 0
    return ReportResult(report, {**shown, TOTAL: total}, counted, listed, missing)


def _amount(value: object) -> float:
    return value if v.is_number(value) else 1 if value is True else 0


def run_reports(bound: Bound, wanted: Mapping[str, Report]) -> list[ReportResult]:
    for _ in bound.decide_all():
        pass
    return [run_report(bound, report) for report in wanted.values()]
