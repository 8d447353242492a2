"""Score cards: lines of whole points, fitted to history by a logistic model with a penalty.

The scaling of points (20 to double the odds): N. Siddiqi, "Credit Risk Scorecards" (2006).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from roe.dynamic import Array, Value
from roe.scoring.history import ScoredHistory

FEW = 20  # won, and lost: below, figures say little
LEVELS = 20  # categories of a feature that get points of their own
LEAST_LEVEL = 30  # records of a category
DOUBLE = 20.0  # points that double the odds


@dataclass(slots=True)
class Criterion:
    """A line of a score card: `points` where the feature is `value`, between two numbers, or missing."""

    feature: str
    kind: str  # value, range, missing, true
    value: Value = None
    low: float | None = None
    high: float | None = None
    points: int = 0
    records: int = 0

    @property
    def name(self) -> str:
        if self.kind == "range":
            ends = [_short(x) for x in (self.low, self.high)]
            return (
                f"{self.feature} under {ends[1]}"
                if self.low is None
                else f"{self.feature} {ends[0]} and more"
                if self.high is None
                else f"{self.feature} {ends[0]} to {ends[1]}"
            )
        return f"{self.feature} {'missing' if self.kind == 'missing' else 'true' if self.kind == 'true' else self.value}"[:100]

    def holds(self, values: Sequence[Value]) -> Array:
        if self.kind == "missing":
            return np.array([x is None for x in values], bool)
        if self.kind == "true":
            return np.array([x is True for x in values], bool)
        if self.kind == "value":
            return np.array([x == self.value for x in values], bool)
        number = np.array([math.nan if x is None or isinstance(x, (str, bool)) else float(x) for x in values])
        with np.errstate(invalid="ignore"):
            return (number >= (-math.inf if self.low is None else self.low)) & (number < (math.inf if self.high is None else self.high))


def _short(x: float | None) -> str:
    return "" if x is None else f"{x:g}"


def candidates(history: ScoredHistory) -> list[Criterion]:
    """The lines that a card may have: categories that are not rare, quarters of numbers, true, and missing."""
    criteria: list[Criterion] = []
    for name, values in history.features.items():
        present = [x for x in values if x is not None]
        gone = {won for x, won in zip(values, history.outcome, strict=True) if x is None}
        if present and (len(gone) == 2 or 0 < len(values) - len(present) < FEW):  # what is missing with one outcome only may leak
            criteria.append(Criterion(name, "missing"))
        if present and all(isinstance(x, bool) for x in present):
            criteria.append(Criterion(name, "true"))
        elif present and all(isinstance(x, (int, float)) for x in present):
            edges = np.unique(np.quantile(np.array(present, float), (0.25, 0.5, 0.75)))
            edges = edges[edges > min(present)]
            bounds = [None, *edges.tolist(), None]
            criteria += [Criterion(name, "range", low=a, high=b) for a, b in pairwise(bounds)] if len(edges) else []
        else:
            counts: dict[Value, int] = {}
            for x in present:
                counts[x] = counts.get(x, 0) + 1
            common = sorted(
                (x for x, n in counts.items() if n >= min(LEAST_LEVEL, max(len(values) // 50, 5))), key=lambda x: (-counts[x], str(x))
            )
            criteria += [Criterion(name, "value", value=x) for x in common[:LEVELS]]
    return criteria


@dataclass(slots=True)
class Card:
    """A score card of whole points, and the chance of winning that its score stands for: 1 / (1 + exp(-(intercept + slope * score)))."""

    criteria: list[Criterion]
    intercept: float
    slope: float
    trained: int

    @property
    def features(self) -> frozenset[str]:
        """What the card looks at."""
        return frozenset(c.feature for c in self.criteria)

    @property
    def points_that_double(self) -> float | None:
        """How many points double the odds: about `DOUBLE`, which the penalty of the model and the calibration move a little."""
        return math.log(2) / self.slope if self.slope > 0 else None

    def score(self, history: ScoredHistory) -> Array:
        total = np.zeros(len(history.ids))
        for c in self.criteria:
            if c.feature in history.features:
                total += c.points * c.holds(history.features[c.feature])
        return total

    def chance(self, score: Array) -> Array:
        return 1 / (1 + np.exp(-np.clip(self.intercept + self.slope * score, -500, 500)))


def fit(history: ScoredHistory) -> Card:
    """A logistic model with a penalty, rounded to whole points; what rounds to nothing is left out. ValueError with one outcome only."""
    from sklearn.linear_model import LogisticRegression

    won = np.array(history.outcome, bool)
    if won.all() or not won.any():
        raise ValueError("all records have one outcome")
    lines = candidates(history)
    columns = [c.holds(history.features[c.feature]) for c in lines]
    for c, held in zip(lines, columns, strict=True):
        c.records = int(held.sum())
    if lines:
        model = LogisticRegression(C=0.5, max_iter=2000).fit(np.stack(columns, 1).astype(float), won)
        for c, weight in zip(lines, model.coef_[0].tolist(), strict=True):
            c.points = round(weight * DOUBLE / math.log(2))
    card = Card([c for c in lines if c.points], 0.0, 0.0, len(won))
    return calibrated(card, won, card.score(history))


def calibrated(card: Card, won: Array, score: Array) -> Card:
    """The card with the chances that its scores had among these records (Platt's scaling)."""
    from sklearn.linear_model import LogisticRegression

    spread = float(score.std()) or 1.0
    model = LogisticRegression(C=1e6, max_iter=2000).fit((score / spread).reshape(-1, 1), won)
    return Card(card.criteria, float(model.intercept_[0]), float(model.coef_[0][0]) / spread, card.trained)
