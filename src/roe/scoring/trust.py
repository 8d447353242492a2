"""Whether to trust a score, in one sentence that needs no statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roe.scoring.backtest import Result
from roe.scoring.card import FEW
from roe.scoring.column_evidence import standard_error
from roe.scoring.leakage import Leak

NO_SKILL = 0.55  # area under the curve, at the cautious end: below, the score hardly ranks
TOO_GOOD = 0.95  # of a whole score: honest ones rarely reach it
FALL = 0.10  # of the area under the curve from the earlier records to the newest
DRIFT = 0.25


@dataclass(frozen=True, slots=True)
class TrustVerdict:
    """`answer` is yes, with care or no."""

    answer: str
    sentence: str


def verdict(result: Result, leaks: Sequence[Leak]) -> TrustVerdict:
    """Whether to trust the score; `leaks` are those among the columns that it uses."""
    used = [leak.column for leak in leaks if leak.is_used]
    won, lost = result.won, result.records - result.won
    area = result.auc or 0.5
    low = area - 2 * standard_error(area, won, lost)
    best = result.deciles[0]
    lift = f"the best tenth wins {best['rate']:.0%}, against {won / max(result.records, 1):.0%} of all"
    if used:
        return TrustVerdict(
            "no", f"Do not trust this score: it uses {_listed(used)}, which seems to be written after the outcome is known."
        )
    if min(won, lost) < FEW:
        return TrustVerdict(
            "no", f"Do not trust this score yet: it was tested on {won} won and {lost} lost records, and at least {FEW} of each are needed."
        )
    if low < NO_SKILL:
        return TrustVerdict(
            "no", f"Do not trust this score: on records that it had not seen it ranks hardly better than chance (AUC {area:.2f})."
        )
    doubts = []
    if area > TOO_GOOD:
        doubts.append(f"an AUC of {area:.2f} is rarely honest, so look for columns that are written after the outcome")
    if result.auc_before is not None and result.auc_before - area > FALL:
        doubts.append(f"it ranked the earlier records much better (AUC {result.auc_before:.2f}) than the newest ({area:.2f})")
    if result.drift["score"] > DRIFT:
        doubts.append("the newest records look different from the earlier ones")
    if result.by_chance:
        doubts.append("without --time it is not tested on records that came later")
    if doubts:
        return TrustVerdict("with care", f"Trust this score with care: {lift}, but {'; '.join(doubts)}.")
    return TrustVerdict(
        "yes",
        f"You can trust this score to rank records: {lift}, on {result.records:,} newer records that it had not seen (AUC {area:.2f}).",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{n}`" for n in names[:4])
    return shown + (f" and {len(names) - 4} more columns" if len(names) > 4 else "")
