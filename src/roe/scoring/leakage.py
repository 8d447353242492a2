"""Too good to be true: columns that were written after the outcome, found by what they say about it.

A column is reported with its evidence and left out, unless it is kept by name. Six kinds of evidence, the plainest first:

- *table*: a joined table that has rows for one outcome only; all of its columns with it.
- *filled*: the column is filled, or above zero, or true, for one outcome and not for the other; or missing for one outcome only.
- *values*: most records of the rarer outcome have values that nearly all have that outcome.
- *alone*: the column alone separates the outcomes better than honest columns do.
- *written later*: its name or its values say that it is written after the record came (`marks`), and it goes with the outcome.
- *together*: two columns that say little alone, and nearly everything together.

Every figure is of records whose outcome the column did not see (five folds), so that values with few records prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from itertools import combinations, islice

import numpy as np

from roe.diagnostics import suggest
from roe.dynamic import Array, Json, Value
from roe.scoring.backtest import wilson
from roe.scoring.history import ScoredHistory
from roe.scoring.marks import mark_of, steps_of_a_sale
from roe.scoring.tables import example_of_open_numbers, failure, name_of
from roe.words import verb

FOLDS = 5
BINS = 20  # of a column of numbers
PRIOR = 5.0  # records of the mean that a level's rate is drawn towards
LEAST = 5  # records of one outcome, before anything is said
PURE = 15.0  # a side has one outcome if the other is this many times rarer in it than in all records
GAP_MISSING = 0.60  # between the outcomes, of the share that is filled
GAP_FLAG = 0.70  # of the share that is true, or above zero: an honest flag may say more than honest blanks
ALONE_LEVELS = 0.90  # area under the curve of a column of few values
ALONE_NUMBERS = 0.95  # of a smooth number, which an honest one may nearly reach
ALONE_MARKED = 0.75  # of a column whose name alone is not enough
LEVEL_PURITY, LEVEL_SHARE, LEVEL_LEAST = 0.95, 0.40, 10
SURE, SURE_FIRM = 3.0, 2.0  # standard errors by which a marked column must go with the outcome
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


class CheckedColumn:
    """A column as levels: one for missing, one a value, or `BINS` of a number; and what its levels say of records not seen."""

    def __init__(self, name: str, values: Sequence[Value], won: Array) -> None:
        self.name, self.values, self.won = name, values, won
        self.present = np.array([x is not None for x in values], bool)
        known = [x for x in values if x is not None]
        self.is_number = bool(known) and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in known)
        self.is_plain = not any(isinstance(x, (date, list, dict)) for x in known[:1])
        self.distinct = len({str(x) for x in known})
        self.is_smooth = self.is_number and self.distinct > BINS

    @cached_property
    def levels(self) -> Array:
        """The level of each record, int[n]; 0 is missing."""
        if self.is_smooth:
            edges = np.unique(np.quantile(self.numbers[self.present], np.linspace(0, 1, BINS + 1)))
            return np.where(self.present, 1 + np.searchsorted(edges, np.nan_to_num(self.numbers), side="left"), 0)
        places: dict[Value, int] = {}
        return np.array([0 if x is None else places.setdefault((type(x).__name__, x), len(places) + 1) for x in self.values], np.int64)

    @cached_property
    def numbers(self) -> Array:
        """The values of a column of numbers, float[n]; NaN is missing."""
        return np.array([math.nan if x is None else float(x) for x in self.values])

    @cached_property
    def guess(self) -> Array:
        """The share of won records with the same level, among records of other folds, float[n]."""
        return guess_of(self.levels, self.won)

    @cached_property
    def area(self) -> float:
        """The area under the curve of `guess`; 0.5 says nothing."""
        return area_under(self.won, self.guess)

    @property
    def sides(self) -> Iterable[tuple[str, Array]]:
        """(what is asked, bool[n]): filled; of numbers above zero; of booleans true."""
        if 0 < self.present.sum() < len(self.present):
            yield "filled", self.present
        if self.is_number and sum(x == 0 for x in self.values) >= 0.05 * len(self.values):
            yield "other than zero", np.array([x is not None and x != 0 for x in self.values], bool)
        elif self.values and all(x is None or isinstance(x, bool) for x in self.values):
            yield "true", np.array([x is True for x in self.values], bool)


@lru_cache(4)
def folds(n: int) -> Array:
    """The fold of each record, int[n]: by chance, and the same in every run."""
    return np.random.default_rng(0).permutation(n) % FOLDS


def guess_of(levels: Array, won: Array) -> Array:
    fold, size = folds(len(won)), int(levels.max(initial=0)) + 1
    guess = np.zeros(len(won))
    for k in range(FOLDS):
        seen = fold != k
        rate = won[seen].mean() if seen.any() else 0.0
        hits = np.bincount(levels[seen], weights=won[seen], minlength=size)
        guess[~seen] = ((hits + PRIOR * rate) / (np.bincount(levels[seen], minlength=size) + PRIOR))[levels[~seen]]
    return guess


def area_under(won: Array, score: Array) -> float:
    """The area under the ROC curve from mean ranks (Mann and Whitney): ten times faster here than scikit-learn, which checks its input."""
    hits = int(won.sum())
    if not 0 < hits < len(won):
        return 0.5
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[place][won].sum() - hits * (hits + 1) / 2) / (hits * (len(won) - hits)))


def standard_error(area: float, won: int, lost: int) -> float:
    """Of an area under the curve: Hanley and McNeil, Radiology 143 (1982)."""
    if not won or not lost:
        return 1.0
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    return math.sqrt(max(area * (1 - area) + (won - 1) * (q1 - area**2) + (lost - 1) * (q2 - area**2), 1e-12) / (won * lost))


# --- one column -----------------------------------------------------------------------------------------------------


def one_sided(side: Array, won: Array) -> bool:
    """Whether the records in a side, or those outside it, have one outcome only."""
    return is_pure(side, won) or is_pure(~side, won)


def is_pure(side: Array, won: Array) -> bool:
    """Whether the other outcome is `PURE` times rarer in the side than in all records, and could not be missing by chance."""
    n, hits = int(side.sum()), int(won[side].sum())
    of_won = hits * 2 >= n
    others = n - hits if of_won else hits
    base = 1 - won.mean() if of_won else won.mean()
    if n < LEAST or others > n * base / PURE:
        return False
    # an honest sign may make the other outcome three times rarer: as few as these must then be out of the question
    by_chance = float(_poisson_at_most(others, n * base / 3))
    covers = (n - others) >= 0.5 * (won.sum() if of_won else (~won).sum())
    return by_chance < (1e-3 if covers else 1e-6)


def _poisson_at_most(k: int, mean: float) -> float:
    """The chance of at most `k` where `mean` are expected."""
    term = total = math.exp(-mean)
    for i in range(1, k + 1):
        term *= mean / i
        total += term
    return total


def gap_between(side: Array, won: Array) -> float:
    """How far the shares of won and of lost records in the side are apart, at the cautious ends of their intervals."""
    (low_won, high_won), (low_lost, high_lost) = (wilson(float(side[part].sum()), float(part.sum())) for part in (won, ~won))
    cautious = max(low_won - high_lost, low_lost - high_won)
    exact = abs(side[won].mean() - side[~won].mean())
    return float(exact) if cautious > exact - 0.15 else cautious


def filled(column: CheckedColumn) -> str:
    """The evidence that a column is filled for one outcome; empty if it is not."""
    won = column.won
    for what, side in column.sides:
        # an honest number may well be zero for lost records only; it is not above zero for won records only
        pure, gap = (one_sided(side, won), GAP_MISSING) if what == "filled" else (is_pure(side, won), GAP_FLAG)
        if pure or gap_between(side, won) >= gap:
            return f"it is {what} for {_of(side, won)} won records and {_of(side, ~won)} lost ones"
    return ""


def _of(side: Array, part: Array) -> str:
    return f"{int(side[part].sum()):,} of {int(part.sum()):,}"


def pure_values(column: CheckedColumn) -> str:
    """The evidence that most of the rarer outcome lies in values that nearly all have it; empty if it does not."""
    won = column.won
    rarer = won if won.mean() <= 0.5 else ~won
    if not column.is_plain or column.is_smooth or column.distinct < 2:
        return ""
    counts, hits = np.bincount(column.levels), np.bincount(column.levels, weights=rarer)
    pure = (counts >= LEVEL_LEAST) & (hits >= LEVEL_PURITY * counts)
    share = float(hits[pure].sum() / max(rarer.sum(), 1))
    if share < LEVEL_SHARE or rarer.sum() < 2 * LEVEL_LEAST:
        return ""
    which = "won" if rarer is won else "lost"
    return f"{share:.0%} of the {which} records have a value that nearly only {which} records have ({_best_values(column)})"


def _best_values(column: CheckedColumn, most: int = 2) -> str:
    """The values that say most, each with its rate: those with the most records above or below the mean. A value of few records says nothing."""
    counts, hits = np.bincount(column.levels), np.bincount(column.levels, weights=column.won)
    weight = np.abs(hits - counts * column.won.mean())
    weight[0] = 0
    weight[counts < LEVEL_LEAST] = 0
    names = {int(level): x for level, x in zip(column.levels, column.values, strict=True)}
    best = [int(k) for k in np.argsort(-weight, kind="stable")[:most] if weight[k] > 0]
    return ", ".join(f"`{str(names[k])[:60]}`: {hits[k] / counts[k]:.0%} of {int(counts[k]):,} won" for k in best)


def alone(column: CheckedColumn) -> str:
    """The evidence that a column says the outcome by itself; empty if it does not."""
    if not column.is_plain:
        return ""
    limit = ALONE_NUMBERS if column.is_smooth else ALONE_LEVELS
    error = standard_error(column.area, int(column.won.sum()), int((~column.won).sum()))
    if column.area < limit or column.area - 2 * error < limit - 0.1:
        return ""
    examples = "" if column.is_smooth else _best_values(column)
    return "it says the outcome by itself" + (f" ({examples})" if examples else "")


def written_later(column: CheckedColumn) -> str:
    """The evidence of a column's name or values, if it goes with the outcome; empty if there is none."""
    mark, steps = mark_of(column.name), steps_of_a_sale(column.values) if column.is_plain else []
    if mark is None and not steps:
        return ""
    error = standard_error(0.5, int(column.won.sum()), int((~column.won).sum()))
    gap = gap_between(column.present, column.won) if not column.present.all() else 0.0
    firm = mark is not None and mark.firm
    goes_along = column.is_plain and column.area > 0.5 + (SURE_FIRM if firm else SURE) * error
    if not (goes_along or gap > 0.2) or not (firm or steps or column.area >= ALONE_MARKED):
        return ""
    if mark is not None and (firm or not steps):
        return f"its name says that it is written {mark.written}"
    return f"its values are steps of a sale ({', '.join(f'`{x[:40]}`' for x in steps[:3])}), which are written while a lead is worked"


CHECKS = (("filled", filled), ("values", pure_values), ("alone", alone), ("written later", written_later))


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
            tables[table] = f"its table `{table}` has rows for {_of(side, won)} won records and {_of(side, ~won)} lost ones"
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
