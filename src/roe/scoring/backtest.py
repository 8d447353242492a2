"""How well a score tells what will be won from what will be lost, on history.

Metrics are scikit-learn's where it has them. Wilson intervals: E. B. Wilson, "Probable inference", JASA 22 (1927). The population
stability index: N. Siddiqi, "Credit Risk Scorecards" (2006).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from roe.dynamic import Array, Json, Value
from roe.scoring.card import FEW, Card, calibrated, fit
from roe.scoring.history import ScoredHistory

Z = 1.959963984540054  # of a 95 % interval


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


def deciles(won: Array, score: Array, parts: int = 10) -> list[Json]:
    """Tenths by score, the best first. Records of one score that are cut by a border count in shares, so their order is none."""
    order = np.argsort(-score, kind="stable")
    ordered, y = score[order], won[order].astype(float)
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    mean = np.add.reduceat(y, starts) / np.diff(np.r_[starts, len(y)]) if len(y) else np.zeros(0)
    smooth = np.repeat(mean, np.diff(np.r_[starts, len(y)])) if len(y) else y
    total = np.r_[0.0, np.cumsum(smooth)]
    rate = y.mean() if len(y) else 0.0
    rows: list[Json] = []
    for k in range(parts):
        first, last = (len(y) * k / parts, len(y) * (k + 1) / parts)
        won_there, n = float(np.interp(last, np.arange(len(total)), total) - np.interp(first, np.arange(len(total)), total)), last - first
        low, high = wilson(won_there, n)
        share = won_there / n if n else 0.0
        rows.append({
            "decile": k + 1, "records": n, "won": won_there, "rate": share, "low": low, "high": high, "lift": share / rate if rate else None,
            "least_score": float(ordered[min(max(math.ceil(last) - 1, 0), len(y) - 1)]) if len(y) else None,
        })  # fmt: skip
    return rows


def thresholds(won: Array, score: Array, most: int = 20) -> list[Json]:
    """Precision, recall, F1 and workload (the share of records at or above) at thresholds between the scores that occur."""
    cuts = np.unique(score)
    if len(cuts) > most:
        cuts = np.unique(np.quantile(score, np.linspace(0, 1, most + 1)[:-1], method="higher"))
    rows = []
    for cut in cuts[::-1].tolist():
        above = score >= cut
        hit, n = int((won & above).sum()), int(above.sum())
        precision, recall = hit / n if n else 0.0, hit / int(won.sum()) if won.any() else 0.0
        low, high = wilson(hit, n)
        f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
        rows.append({
            "threshold": cut, "precision": precision, "low": low, "high": high, "recall": recall, "f1": f1, "records": n, "workload": n / max(len(won), 1),
        })  # fmt: skip
    return rows


def calibration(won: Array, chance: Array, parts: int = 10) -> list[Json]:
    """Predicted and observed shares by tenths of the prediction, equal predictions together."""
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, parts + 1)[1:-1])) if len(chance) else np.zeros(0)
    bin_of = np.searchsorted(edges, chance, side="left")
    rows = []
    for k in np.unique(bin_of).tolist():
        mine = bin_of == k
        hit, n = int(won[mine].sum()), int(mine.sum())
        low, high = wilson(hit, n)
        rows.append({"predicted": float(chance[mine].mean()), "observed": hit / n, "low": low, "high": high, "records": n})
    return rows


def stability(before: Array, after: Array, parts: int = 10) -> float:
    """The population stability index of two samples of one score: under 0.1 little drift, above 0.25 much (Siddiqi)."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, parts + 1)[1:-1])) if len(before) else np.zeros(0)
    shares = []
    for sample in (before, after):
        counts = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def category_stability(before: Sequence[Value], after: Sequence[Value]) -> float:
    """The same of a feature: numbers by tenths, everything else by value."""
    if all(x is None or (isinstance(x, (int, float)) and not isinstance(x, bool)) for x in (*before, *after)):
        both = [np.array([math.nan if x is None else float(x) for x in values]) for values in (before, after)]
        return stability(*(np.nan_to_num(x, nan=-1e300) for x in both))
    levels = {x: i for i, x in enumerate(dict.fromkeys(map(str, (*before, *after))))}
    counts = [np.bincount([levels[str(x)] for x in values], minlength=len(levels)) + 0.5 for values in (before, after)]
    p, q = (c / c.sum() for c in counts)
    return float(((q - p) * np.log(q / p)).sum())


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
    deciles: list[Json]
    thresholds: list[Json]
    calibration: list[Json]
    roc: list[tuple[float, float]]
    drift: Json
    warnings: list[str]
    card: Card | None = None
    trained: int = 0
    by_chance: bool = False  # the records held out are not the newest
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> Json:
        report = {k: getattr(self, k) for k in (
            "name", "records", "won", "held_out", "trained", "auc", "auc_before", "brier", "log_loss", "deciles", "thresholds", "calibration", "roc", "drift",
            "warnings", "notes",
        )}  # fmt: skip
        if self.card is not None:
            lines = [{"name": c.name, "points": c.points, "records": c.records} for c in self.card.criteria]
            report["card"] = {"intercept": self.card.intercept, "slope": self.card.slope, "criteria": lines}
        return report


def backtest(history: ScoredHistory, early: Sequence[int], late: Sequence[int], how: str, name: str = "") -> Result:
    """Of the score `name` of the records; without one, of a card that is fitted to the early records. ValueError where there is one outcome."""
    from sklearn.metrics import brier_score_loss, log_loss, roc_curve

    before, after = history.take(early), history.take(late)
    y_before, y = np.array(before.outcome, bool), np.array(after.outcome, bool)
    if not len(y) or y.all() or not y.any() or y_before.all() or not y_before.any():
        raise ValueError("one of the two parts has one outcome only")
    card = None
    if name:
        x_before, x = (np.array(records.scores[name], float) for records in (before, after))
        scale = calibrated(Card([], 0.0, 0.0, len(early)), y_before, x_before)
    else:
        card = scale = fit(before)
        x_before, x = card.score(before), card.score(after)
    chance = scale.chance(x)
    false, true, _ = roc_curve(y, x, drop_intermediate=True)
    step = max(1, len(false) // 200)
    curve = [*zip(false[::step].tolist(), true[::step].tolist(), strict=True), (1.0, 1.0)]
    shifts = {k: category_stability(before.features[k], after.features[k]) for k in history.features}
    drift: Json = {
        "score": stability(x_before, x), "rate_before": float(y_before.mean()), "rate_after": float(y.mean()),
        "features": dict(sorted(shifts.items(), key=lambda item: (-item[1], item[0]))[:10]),
    }  # fmt: skip
    warnings = []
    for what, records in (("earlier", y_before), ("held-out", y)):
        few = min(int(records.sum()), int((~records).sum()))
        if few < FEW:
            warnings.append(
                f"the {what} records have only {int(records.sum())} won and {int((~records).sum())} lost: figures say little below {FEW} of each"
            )
    if drift["score"] > 0.25:
        warnings.append(f"the score has drifted: a stability index of {drift['score']:.2f} between the two periods")
    return Result(
        name or "fitted score card", len(y), int(y.sum()), how, auc(y, x), auc(y_before, x_before), float(brier_score_loss(y, chance)), float(log_loss(y, chance)),
        deciles(y, x), thresholds(y, x), calibration(y, chance), curve, drift, warnings, card, len(early), history.time is None,
    )  # fmt: skip
