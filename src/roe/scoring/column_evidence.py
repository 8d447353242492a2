"""What one column says about the outcome, and the kinds of evidence that it was written afterwards, the plainest first:

- *filled*: the column is filled, or above zero, or true, for one outcome and not for the other; or missing for one outcome only.
- *values*: most records of the rarer outcome have values that nearly all have that outcome.
- *alone*: the column alone separates the outcomes better than honest columns do.
- *written later*: its name or its values say that it is written after the record came (`marks`), and it goes with the outcome.

Every figure is of records whose outcome the column did not see (five folds), so that values with few records prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cached_property, lru_cache

import numpy as np

from roe.dynamic import Array, Value
from roe.scoring.backtest import wilson
from roe.scoring.marks import mark_of, steps_of_a_sale

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
            return f"it is {what} for {shares_of(side, won)} won records and {shares_of(side, ~won)} lost ones"
    return ""


def shares_of(side: Array, part: Array) -> str:
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
