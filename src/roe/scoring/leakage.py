"""Too good to be true: columns that were written after the outcome, found by what they say about it.

A column is reported with its evidence and left out, unless it is kept by name. What one column says by itself is in `column_evidence`.
Beside that there is:

- *table*: a joined table that has rows for one outcome only; all of its columns with it.
- *together*: two columns that say little alone, and nearly everything together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from roe.diagnostics import suggest
from roe.dynamic import Array, Json, Value
from roe.scoring.column_evidence import CHECKS, GAP_FLAG, CheckedColumn, area_under, gap_between, guess_of, one_sided, shares_of
from roe.scoring.history import ScoredHistory
from roe.scoring.tables import example_of_open_numbers, failure, name_of
from roe.words import verb

PAIR = 0.95  # of two columns, where neither alone explains it
PAIR_GAIN = 0.10
PAIRS = 1500  # at most, those of the strongest columns first
SAMPLE = 4000  # records that pairs are looked for in


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that seems to be written after the outcome; `partner` is the other one of a pair."""

    column: str
    kind: str
    evidence: str
    area: float | None  # under the curve of the column alone
    partner: str = ""
    what_becomes: str = "left out"  # or: kept by name; used by the policy's score; used, and vouched for with --keep

    @property
    def is_used(self) -> bool:
        return self.what_becomes != "left out"

    @property
    def is_vouched(self) -> bool:
        return "--keep" in self.what_becomes

    def kept(self) -> Leak:
        return replace(self, what_becomes="kept by name")

    def used(self, vouched: bool) -> Leak:
        return replace(self, what_becomes="used by the score, and vouched for with --keep" if vouched else "used by the score")

    def as_json(self) -> Json:
        return {
            "column": self.column,
            "kind": self.kind,
            "evidence": self.evidence,
            "auc": self.area,
            "partner": self.partner or None,
            "kept": self.is_used,
        }


def leak_of(column: CheckedColumn) -> Leak | None:
    """The plainest evidence against a column, and its strength."""
    signs = [(kind, text) for kind, check in CHECKS if (text := check(column))]
    if not signs:
        return None
    area = column.area if column.is_plain else None
    if signs[0][0] == "values":
        signs = [(kind, text) for kind, text in signs if kind != "alone"]  # which would show the same values
    texts = "; ".join(text for _, text in signs)
    strength = "" if area is None else f" (AUC {area:.2f} alone)"
    return Leak(column.name, signs[0][0], texts + strength, area)


# --- columns together -----------------------------------------------------------------------------------------------


def together(columns: Sequence[CheckedColumn], won: Array) -> list[Leak]:
    """Pairs that say nearly everything where neither column does."""
    plain = sorted((c for c in columns if c.is_plain and c.distinct > 1), key=lambda c: (-c.area, c.name))
    rows = np.random.default_rng(1).permutation(len(won))[:SAMPLE]
    leaks: list[Leak] = []
    taken: set[str] = set()
    for one, other in islice(combinations(plain, 2), PAIRS):
        if one.name in taken or other.name in taken:
            continue
        area = _of_pair(one, other, won, rows)
        if area >= PAIR and area > max(one.area, other.area) + PAIR_GAIN:
            taken |= {one.name, other.name}
            for a, b in ((one, other), (other, one)):
                text = f"with `{b.name}` it says the outcome (AUC {area:.2f} together, {a.area:.2f} and {b.area:.2f} alone)"
                leaks.append(Leak(a.name, "together", text, a.area, b.name))
    return leaks


def _of_pair(one: CheckedColumn, other: CheckedColumn, won: Array, rows: Array) -> float:
    """The area under the curve of the pairs of levels, or of the difference of two numbers, among some rows."""
    size = int(other.levels.max(initial=0)) + 1
    codes = np.unique(one.levels[rows] * size + other.levels[rows], return_inverse=True)[1]
    area = area_under(won[rows], guess_of(codes, won[rows]))
    if one.is_smooth and other.is_smooth:
        difference = CheckedColumn("", [None if x != x else x for x in (one.numbers - other.numbers)[rows].tolist()], won[rows])
        area = max(area, difference.area)
    return area


# --- the report -----------------------------------------------------------------------------------------------------


def leave_out_leaks(history: ScoredHistory, keep: Sequence[str] = (), drop: Sequence[str] = ()) -> list[Leak]:
    """Leave out what is dropped by name, and what leaks unless it is kept by name; returns the leaks, the strongest first."""
    check_names(history, [*map(name_of, drop)], "--drop")
    check_names(history, [*map(name_of, keep)], "--keep")
    for name in map(name_of, drop):
        if history.features.pop(name, None) is not None or history.aside.pop(name, None) is not None:
            history.dropped[name] = "dropped by name"
    leaks = find_leaks(history)
    kept_names = {name_of(name) for name in keep}
    for name in sorted(kept_names & history.dropped.keys()):
        history.notes.append(f"`{name}` cannot be kept: {history.dropped[name]}")
        kept_names.remove(name)
    judged = []
    for leak in leaks:
        judged.append(leak.kept() if leak.column in kept_names else leak)
        if leak.column not in kept_names:
            history.dropped[leak.column] = f"leakage: {leak.evidence}"
            history.features.pop(leak.column, None)
    return judged


def check_names(history: ScoredHistory, names: Iterable[str], option: str) -> None:
    """Refuse a name that no column has."""
    known = list(dict.fromkeys([*history.features, *history.aside, *history.dropped]))
    for name in names:
        if name not in known:
            raise failure(f"there is no column `{name}`", suggest(name, known, f"there are {', '.join(known)}"), option)


def find_leaks(history: ScoredHistory) -> list[Leak]:
    won = np.array(history.outcome, bool)
    if not 0 < won.sum() < len(won):
        return []
    candidates: Mapping[str, Sequence[Value]] = {**history.features, **history.aside}
    columns = [CheckedColumn(name, values, won) for name, values in candidates.items()]
    by_table = _of_tables(history, won)
    leaks: dict[str, Leak] = {}
    for column in columns:
        leak = leak_of(column)
        text = by_table.get(history.tables.get(column.name, ""))
        if text:
            leak = Leak(column.name, "table", text, leak.area if leak else column.area if column.is_plain else None)
        if leak:
            leaks[leak.column] = leak
    rest = [c for c in columns if c.name not in leaks and c.name in history.features]
    for leak in together(rest, won):
        leaks[leak.column] = leak
    return sorted(leaks.values(), key=lambda leak: (-(leak.area or 1.0), leak.column))


def _of_tables(history: ScoredHistory, won: Array) -> dict[str, str]:
    """table -> the evidence that it has rows for one outcome only."""
    tables = {}
    for table, rows in history.matched.items():
        side = np.array(rows, bool)
        if one_sided(side, won) or gap_between(side, won) >= GAP_FLAG:
            tables[table] = f"its table `{table}` has rows for {shares_of(side, won)} won records and {shares_of(side, ~won)} lost ones"
    return tables


def grouped(leaks: Sequence[Leak]) -> list[str]:
    """A sentence for each piece of evidence, with all the columns that it is about."""
    columns: dict[tuple[str, str], list[str]] = {}
    for leak in leaks:
        columns.setdefault((leak.what_becomes, leak.evidence), []).append(f"`{leak.column}`")
    return [f"{', '.join(names)} {verb(len(names), 'is', 'are')} {becomes}: {text}" for (becomes, text), names in columns.items()]


def without_points(history: ScoredHistory, used: frozenset[str]) -> dict[str, str]:
    """The columns that a card could look at and does not, with the reason."""
    reasons = {}
    for name, values in history.features.items():
        if name not in used:
            example = example_of_open_numbers(values)
            reasons[name] = f"numbers such as `{example}` can be read in two ways" if example else "no value or range of it earns a point"
    return reasons


def left_out(history: ScoredHistory) -> list[str]:
    """A sentence for each other reason why columns are left out, with all of them."""
    columns: dict[str, list[str]] = {}
    for name, why in history.dropped.items():
        if not why.startswith("leakage: "):
            columns.setdefault(why, []).append(f"`{name}`")
    return [f"{', '.join(names)} {verb(len(names), 'is', 'are')} left out: {why}" for why, names in columns.items()]
