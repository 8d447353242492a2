"""A whole back-test: the scores, what leaks, and whether to trust each score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roe.dynamic import Json
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.scoring.backtest import Result, backtest
from roe.scoring.history import ScoredHistory, hold_out
from roe.scoring.leakage import Leak, check_names, find_leaks, leave_out_leaks, without_points
from roe.scoring.of_policy import ScoreQuestion, fields_read, policy_history
from roe.scoring.trust import TrustVerdict, verdict


@dataclass(frozen=True, slots=True)
class Tested:
    """A score with its figures and the sentence about them."""

    result: Result
    verdict: TrustVerdict


@dataclass(frozen=True, slots=True)
class ScoringReport:
    """What a back-test found."""

    history: ScoredHistory
    outcome: str
    leaks: list[Leak]
    tests: list[Tested]

    def as_json(self) -> Json:
        history = self.history
        return {
            "roe": 1, "outcome": self.outcome, "records": len(history.ids), "won": sum(history.outcome),
            "leakage": [leak.column for leak in self.leaks], "evidence": [leak.as_json() for leak in self.leaks], "left_out": history.dropped,
            "notes": history.notes,
            "scores": [{**t.result.as_json(), "trust": t.verdict.answer, "verdict": t.verdict.sentence} for t in self.tests],
        }  # fmt: skip


def backtest_card(history: ScoredHistory, outcome: str, keep: Sequence[str], drop: Sequence[str]) -> ScoringReport:
    """A card fitted to the earlier records, tested on the newest. ValueError where one of the two has one outcome only."""
    leaks = leave_out_leaks(history, keep, drop)
    early, late, how = _parts(history)
    result = backtest(history, early, late, how)
    used = result.card.features if result.card else frozenset()
    history.dropped |= without_points(history, used)
    return ScoringReport(history, outcome, leaks, [Tested(result, verdict(result, [x for x in leaks if x.column in used]))])


def backtest_policy(
    evaluator: Evaluator, question: ScoreQuestion, bind: Callable[[str], Bound], keep: Sequence[str], drop: Sequence[str]
) -> ScoringReport:
    """The scores of a policy. A field that leaks is reported if a score looks at it; `keep` vouches for it. Raises PolicyError, ValueError."""
    history = policy_history(evaluator, question, bind)
    check_names(history, drop, "--drop")
    check_names(history, keep, "--keep")
    for name in drop:
        if history.features.pop(name, None) is not None:
            history.dropped[name] = "dropped by name"
    reads = {name: fields_read(evaluator, question.entity, name) for name in history.scores}
    leaks = [leak.used(leak.column in keep) for leak in find_leaks(history) if any(leak.column in fields for fields in reads.values())]
    early, late, how = _parts(history)
    results = [backtest(history, early, late, how, name) for name in history.scores]
    return ScoringReport(
        history,
        question.outcome,
        leaks,
        [Tested(r, verdict(r, [x for x in leaks if x.column in reads[r.name] and not x.is_vouched])) for r in results],
    )


def _parts(history: ScoredHistory) -> tuple[list[int], list[int], str]:
    """The earlier and the held-out rows; records without a time are counted."""
    if history.time is not None:
        timeless = sum(x is None for x in history.time)
        if timeless:
            history.notes.append(f"{timeless:,} records have no date in --time, and are in neither part of the test")
    return hold_out(history)
