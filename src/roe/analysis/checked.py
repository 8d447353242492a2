"""What `roe check` looks at: a policy and, with data, its records; and how a verdict becomes a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING

from roe.analysis.finder import Finder
from roe.analysis.verdicts import UNDECIDED, RuleTable, Verdict
from roe.diagnostics import Diagnostic
from roe.evaluator.engine import Evaluator
from roe.plan.operators import Choose
from roe.source import Span, Text

if TYPE_CHECKING:
    from roe.evaluator.bound import Bound
    from roe.evaluator.row import Row


NAMED = 5  # records of the data that a finding names
WRITTEN = ("engagement", "territory", "staffing", "score", "table", "source")  # stages whose rules somebody wrote
WRITTEN_OUT = ("engagement", "score", "source")  # stages whose rules are called rules, not rows
LISTS = ("engagement", "table", "territory", "staffing")


class CheckedPolicy:
    """What is checked: a policy, and with data its records at a moment; `today` is the day of witnesses that need none of their own.

    `ends_by` is the day from which it is asked what has ended; without one, and without data, nobody asks.
    """

    def __init__(self, evaluator: Evaluator, bound: Bound | None = None, today: date | None = None, ends_by: date | None = None) -> None:
        self.evaluator, self.bound = evaluator, bound
        self.ends_by = ends_by or today or (bound.world.clock.today if bound is not None else None)
        finder = Finder(evaluator, today)
        choosers = [*evaluator.compiled.choosers.values(), *evaluator.compiled.engagement.values()]
        self.tables = [RuleTable(finder, c.step, c) for c in choosers if c.step.stage in WRITTEN and len(c.step.rules)]

    def touched(self, entity: str, touches: Callable[[Row], bool] | None) -> tuple[int, tuple[str, ...]] | None:
        """Which records of the data a finding is about."""
        if self.bound is None or touches is None:
            return None
        rows = [row for row in self.bound.world.rows[entity] if touches(row)]
        return len(rows), tuple(str(row["id"]) for row in rows[:NAMED])


def diagnostic(
    subject: CheckedPolicy,
    table: RuleTable,
    code: str,
    at: Text,
    message: str,
    help: str,
    verdict: Verdict,
    related: Iterable[tuple[str, Span]] = (),
) -> Diagnostic:
    """A verdict as a finding."""
    if verdict.certainty == UNDECIDED:
        message, help = f"undecided whether {message}: there are too many rules to try every case", "split the list, or test it"
    witness = "" if verdict.witness is None else str(verdict.witness)
    return Diagnostic(
        code, message, at.span(), help, tuple(related), certainty=verdict.certainty, witness=witness,
        touches=subject.touched(table.step.entity, verdict.touches),
    )  # fmt: skip


def title(step: Choose) -> str:
    """What a list of rules is called."""
    if step.stage == "engagement":
        return f"the rules of {step.entity} as {step.name.removeprefix('engagement_')}"
    return f"`{step.name}`"


def anchor(step: Choose) -> Text:
    """The place that stands for a whole list: its last rule."""
    return step.rules[-1].name
