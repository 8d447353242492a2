"""What is covered: of each territory how many records somebody owns, and the policy's reports over target lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from roe.analysis.report import ReportResult, run_report
from roe.evaluator.row import Row
from roe.web.app.outcomes import RecordOutcome
from roe.web.app.snapshot import Snapshot

Key = tuple[str, str]  # an entity and a role


@dataclass(slots=True)
class Territory:
    """By entity and role how many records lie in a territory, and how many of them somebody owns."""

    name: str
    records: dict[Key, int] = field(default_factory=dict)
    owned: dict[Key, int] = field(default_factory=dict)


def territories(snapshot: Snapshot) -> list[Territory]:
    """Every territory that has records, in the order of the records; made once for a snapshot."""
    return snapshot.once("territories", lambda: _counted(snapshot.outcomes.all))


def _counted(outcomes: Iterable[RecordOutcome]) -> list[Territory]:
    by_name: dict[str, Territory] = {}
    for o in outcomes:
        if o.territory:
            territory, key = by_name.setdefault(o.territory, Territory(o.territory)), (o.entity, o.role)
            territory.records[key] = territory.records.get(key, 0) + 1
            territory.owned[key] = territory.owned.get(key, 0) + (o.owner is not None)
    return list(by_name.values())


def reports(snapshot: Snapshot, team: str, reps: Collection[str] | None) -> list[ReportResult]:
    """The policy's reports over all records, or over those of a team's reps. None for large data, which `roe report` counts."""
    if not snapshot.rows_alone:
        return []
    own = frozenset(reps) if reps is not None else None

    def counts(row: Row) -> bool:
        return own is None or bool(snapshot.holders(row.entity, str(row["id"])) & own)

    return snapshot.once(
        ("reports", team), lambda: [run_report(snapshot.bound, report, counts) for report in snapshot.plan.reports.values()]
    )


def cells(result: ReportResult) -> list[tuple[str, int, list[tuple[float, float | None]]]]:
    """(group, records, each measure with its share of the records where it counts them) by group."""
    return [
        (name, g.records, [(g.measures[m], g.measures[m] / g.records if result.counted[m] and g.records else None) for m in result.report.measures])
        for name, g in result.groups.items()
    ]  # fmt: skip
