"""How well a score tells what will be won from what will be lost, on history; and score cards fitted to it.

Metrics are scikit-learn's where it has them. Wilson intervals: E. B. Wilson, "Probable inference", JASA 22 (1927). The population
stability index and the scaling of points (20 to double the odds): N. Siddiqi, "Credit Risk Scorecards" (2006).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from roe.analysis.history import History

Array = Any
FEW = 20  # won, and lost: below, figures say little
Z = 1.959963984540054  # of a 95 % interval
LEVELS = 20  # categories of a feature that get points of their own
LEAST_LEVEL = 30  # records of a category
DOUBLE = 20.0  # points that double the odds


@dataclass(slots=True)
class Criterion:
    """A line of a score card: `points` where the feature is `value`, between two numbers, or missing."""

    feature: str
    kind: str  # value, range, missing, true
    value: Any = None
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

    def holds(self, values: Sequence[Any]) -> Array:
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


def wilson(won: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if n <= 0:
        return 0.0, 1.0
    p = won / n
    middle, half = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return max(0.0, (middle - half) / (1 + Z * Z / n)), min(1.0, (middle + half) / (1 + Z * Z / n))


def auc(won: Array, score: Array) -> float | None:
    """The area under the ROC curve; None where only one outcome is there."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(won, score)) if 0 < won.sum() < len(won) else None


def deciles(won: Array, score: Array, parts: int = 10) -> list[dict[str, Any]]:
    """Tenths by score, the best first. Records of one score that are cut by a border count in shares, so their order is none."""
    order = np.argsort(-score, kind="stable")
    ordered, y = score[order], won[order].astype(float)
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    mean = np.add.reduceat(y, starts) / np.diff(np.r_[starts, len(y)]) if len(y) else np.zeros(0)
    smooth = np.repeat(mean, np.diff(np.r_[starts, len(y)])) if len(y) else y
    total = np.r_[0.0, np.cumsum(smooth)]
    rate = y.mean() if len(y) else 0.0
    out: list[dict[str, Any]] = []
    for k in range(parts):
        first, last = (len(y) * k / parts, len(y) * (k + 1) / parts)
        found, n = float(np.interp(last, np.arange(len(total)), total) - np.interp(first, np.arange(len(total)), total)), last - first
        low, high = wilson(found, n)
        share = found / n if n else 0.0
        out.append({
            "decile": k + 1, "records": n, "won": found, "rate": share, "low": low, "high": high, "lift": share / rate if rate else None,
            "least_score": float(ordered[min(max(math.ceil(last) - 1, 0), len(y) - 1)]) if len(y) else None,
        })  # fmt: skip
    return out


def thresholds(won: Array, score: Array, most: int = 20) -> list[dict[str, Any]]:
    """Precision, recall, F1 and workload (the share of records at or above) at thresholds between the scores that occur."""
    cuts = np.unique(score)
    if len(cuts) > most:
        cuts = np.unique(np.quantile(score, np.linspace(0, 1, most + 1)[:-1], method="higher"))
    out = []
    for cut in cuts[::-1].tolist():
        above = score >= cut
        hit, n = int((won & above).sum()), int(above.sum())
        precision, recall = hit / n if n else 0.0, hit / int(won.sum()) if won.any() else 0.0
        low, high = wilson(hit, n)
        f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
        out.append({
            "threshold": cut, "precision": precision, "low": low, "high": high, "recall": recall, "f1": f1, "records": n, "workload": n / max(len(won), 1),
        })  # fmt: skip
    return out


def calibration(won: Array, chance: Array, parts: int = 10) -> list[dict[str, Any]]:
    """Predicted and observed shares by tenths of the prediction, equal predictions together."""
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, parts + 1)[1:-1])) if len(chance) else np.zeros(0)
    part = np.searchsorted(edges, chance, side="left")
    out = []
    for k in np.unique(part).tolist():
        mine = part == k
        hit, n = int(won[mine].sum()), int(mine.sum())
        low, high = wilson(hit, n)
        out.append({"predicted": float(chance[mine].mean()), "observed": hit / n, "low": low, "high": high, "records": n})
    return out


def stability(before: Array, after: Array, parts: int = 10) -> float:
    """The population stability index of two samples of one score: under 0.1 little drift, above 0.25 much (Siddiqi)."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, parts + 1)[1:-1])) if len(before) else np.zeros(0)
    shares = []
    for sample in (before, after):
        counts = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def category_stability(before: Sequence[Any], after: Sequence[Any]) -> float:
    """The same of a feature: numbers by tenths, everything else by value."""
    if all(x is None or (isinstance(x, (int, float)) and not isinstance(x, bool)) for x in (*before, *after)):
        both = [np.array([math.nan if x is None else float(x) for x in values]) for values in (before, after)]
        return stability(*(np.nan_to_num(x, nan=-1e300) for x in both))
    levels = {x: i for i, x in enumerate(dict.fromkeys(map(str, (*before, *after))))}
    counts = [np.bincount([levels[str(x)] for x in values], minlength=len(levels)) + 0.5 for values in (before, after)]
    p, q = (c / c.sum() for c in counts)
    return float(((q - p) * np.log(q / p)).sum())


# --- score cards ----------------------------------------------------------------------------------------------------


def candidates(found: History) -> list[Criterion]:
    """The lines that a card may have: categories that are not rare, quarters of numbers, true, and missing."""
    out: list[Criterion] = []
    for name, values in found.features.items():
        present = [x for x in values if x is not None]
        gone = {won for x, won in zip(values, found.outcome, strict=True) if x is None}
        if present and (len(gone) == 2 or 0 < len(values) - len(present) < FEW):  # what is missing with one outcome only may leak
            out.append(Criterion(name, "missing"))
        if present and all(isinstance(x, bool) for x in present):
            out.append(Criterion(name, "true"))
        elif present and all(isinstance(x, (int, float)) for x in present):
            edges = np.unique(np.quantile(np.array(present, float), (0.25, 0.5, 0.75)))
            edges = edges[edges > min(present)]
            bounds = [None, *edges.tolist(), None]
            out += [Criterion(name, "range", low=a, high=b) for a, b in pairwise(bounds)] if len(edges) else []
        else:
            counts: dict[Any, int] = {}
            for x in present:
                counts[x] = counts.get(x, 0) + 1
            common = sorted(
                (x for x, n in counts.items() if n >= min(LEAST_LEVEL, max(len(values) // 50, 5))), key=lambda x: (-counts[x], str(x))
            )
            out += [Criterion(name, "value", value=x) for x in common[:LEVELS]]
    return out


@dataclass(slots=True)
class Card:
    """A score card of whole points, and the chance of winning that its score stands for: 1 / (1 + exp(-(intercept + slope * score)))."""

    criteria: list[Criterion]
    intercept: float
    slope: float
    trained: int

    def score(self, found: History) -> Array:
        total = np.zeros(len(found.ids))
        for c in self.criteria:
            if c.feature in found.features:
                total += c.points * c.holds(found.features[c.feature])
        return total

    def chance(self, score: Array) -> Array:
        return 1 / (1 + np.exp(-np.clip(self.intercept + self.slope * score, -500, 500)))


def fit(found: History) -> Card:
    """A logistic model with a penalty, rounded to whole points; what rounds to nothing is left out. ValueError with one outcome only."""
    from sklearn.linear_model import LogisticRegression

    won = np.array(found.outcome, bool)
    if won.all() or not won.any():
        raise ValueError("all records have one outcome")
    lines = candidates(found)
    columns = [c.holds(found.features[c.feature]) for c in lines]
    for c, held in zip(lines, columns, strict=True):
        c.records = int(held.sum())
    if lines:
        model = LogisticRegression(C=0.5, max_iter=2000).fit(np.stack(columns, 1).astype(float), won)
        for c, weight in zip(lines, model.coef_[0].tolist(), strict=True):
            c.points = round(weight * DOUBLE / math.log(2))
    card = Card([c for c in lines if c.points], 0.0, 0.0, len(won))
    return calibrated(card, won, card.score(found))


def calibrated(card: Card, won: Array, score: Array) -> Card:
    """The card with the chances that its scores had among these records (Platt's scaling)."""
    from sklearn.linear_model import LogisticRegression

    spread = float(score.std()) or 1.0
    model = LogisticRegression(C=1e6, max_iter=2000).fit((score / spread).reshape(-1, 1), won)
    return Card(card.criteria, float(model.intercept_[0]), float(model.coef_[0][0]) / spread, card.trained)


# --- the report -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Result:
    """A back-test of one score on the records that were held out."""

    name: str
    records: int
    won: int
    held_out: str
    auc: float | None
    auc_before: float | None
    brier: float
    log_loss: float
    deciles: list[dict[str, Any]]
    thresholds: list[dict[str, Any]]
    calibration: list[dict[str, Any]]
    roc: list[tuple[float, float]]
    drift: dict[str, Any]
    warnings: list[str]
    card: Card | None = None
    trained: int = 0
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        out = {k: getattr(self, k) for k in (
            "name", "records", "won", "held_out", "trained", "auc", "auc_before", "brier", "log_loss", "deciles", "thresholds", "calibration", "roc", "drift",
            "warnings", "notes",
        )}  # fmt: skip
        if self.card is not None:
            lines = [{"name": c.name, "points": c.points, "records": c.records} for c in self.card.criteria]
            out["card"] = {"intercept": self.card.intercept, "slope": self.card.slope, "criteria": lines}
        return out


def backtest(found: History, early: Sequence[int], late: Sequence[int], how: str, name: str = "") -> Result:
    """Of the score `name` of the records; without one, of a card that is fitted to the early records. ValueError where there is one outcome."""
    from sklearn.metrics import brier_score_loss, log_loss, roc_curve

    before, after = found.take(early), found.take(late)
    y_before, y = np.array(before.outcome, bool), np.array(after.outcome, bool)
    if not len(y) or y.all() or not y.any() or y_before.all() or not y_before.any():
        raise ValueError("one of the two parts has one outcome only")
    card = None
    if name:
        x_before, x = (np.array(part.scores[name], float) for part in (before, after))
        scale = calibrated(Card([], 0.0, 0.0, len(early)), y_before, x_before)
    else:
        card = scale = fit(before)
        x_before, x = card.score(before), card.score(after)
    chance = scale.chance(x)
    false, true, _ = roc_curve(y, x, drop_intermediate=True)
    step = max(1, len(false) // 200)
    curve = [*zip(false[::step].tolist(), true[::step].tolist(), strict=True), (1.0, 1.0)]
    shifts = {k: category_stability(before.features[k], after.features[k]) for k in found.features}
    drift: dict[str, Any] = {
        "score": stability(x_before, x), "rate_before": float(y_before.mean()), "rate_after": float(y.mean()),
        "features": dict(sorted(shifts.items(), key=lambda item: (-item[1], item[0]))[:10]),
    }  # fmt: skip
    warnings = []
    for what, part in (("earlier", y_before), ("held-out", y)):
        few = min(int(part.sum()), int((~part).sum()))
        if few < FEW:
            warnings.append(
                f"the {what} records have only {int(part.sum())} won and {int((~part).sum())} lost: figures say little below {FEW} of each"
            )
    if drift["score"] > 0.25:
        warnings.append(f"the score has drifted: a stability index of {drift['score']:.2f} between the two periods")
    return Result(
        name or "fitted score card", len(y), int(y.sum()), how, auc(y, x), auc(y_before, x_before), float(brier_score_loss(y, chance)), float(log_loss(y, chance)),
        deciles(y, x), thresholds(y, x), calibration(y, chance), curve, drift, warnings, card, len(early),
    )  # fmt: skip
