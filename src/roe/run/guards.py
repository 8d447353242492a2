"""What a run with a ledger refuses before it commits anything, and what it warns of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from roe.diagnostics import Diagnostic
from roe.ledger.reconcile import CHANGED_IN_CRM
from roe.plan.operators import Derive
from roe.policy.model import Policy
from roe.source import Span
from roe.words import counted, some

if TYPE_CHECKING:
    from roe.ledger.entries import Activated, Owned, RunEntry
    from roe.ledger.moment import At
    from roe.ledger.store import Store
    from roe.run.memory import Memory

NAMED = 5  # records that a warning names


def without_a_ledger(policy: Policy) -> list[Diagnostic]:
    """A frozen value is one of an earlier night: without a ledger there is none, and every run would freeze today's."""
    frozen = [f"{step.entity}.{step.name}" for step in policy.plan.steps.values() if isinstance(step, Derive) and step.frozen is not None]
    if not frozen:
        return []
    help = "add `--state FOLDER`; `roe explain`, `roe check` and tests use today's value"
    return [Diagnostic("R649", f"`{frozen[0]}` is frozen for a period, which needs a ledger", Span("--state", 1, 1, 2), help)]


def decides(policy: Policy) -> list[str]:
    """`entity|role` of everything that a policy decides."""
    return [f"{entity}|{role}" for entity, role in policy.plan.engagement]


def another_policy(store: Store, policy: Policy) -> list[Diagnostic]:
    """Another policy that decides the same owners on this ledger, and was not followed by this one with `--activate`."""
    mine, named = set(decides(policy)), str(policy.name)
    from roe.ledger.entries import RunEntry

    last: dict[str, RunEntry] = {}
    for x in store.runs():
        e = x.entry
        if isinstance(e, RunEntry) and e.what == "run" and e.policy:
            last.pop(e.policy, None)
            if e.counts.get("activate"):  # what this one decides, no other does from here on
                last = {name: run for name, run in last.items() if not _both(run, set(e.counts.get("decides", ())))}
            last[e.policy] = e
    for name, run in last.items():
        both = sorted(_both(run, mine)) if name != named else []
        if both and named not in last:
            entity, role = both[0].split("|")
            message = f"the policy `{name}` already decides the {role} of {entity} records on this ledger, and `{named}` decides it too"
            help = "use a ledger of its own (--state), or let this policy take over: --activate"
            return [Diagnostic("R650", message, Span("--state", 1, 1, 2), help)]
    return []


def _both(run: RunEntry, pairs: set[str]) -> set[str]:
    return set(run.counts.get("decides", ())) & pairs


def activated(policy: Policy, digest: str, revision: str, at: At, who: str) -> Activated:
    from roe.ledger.entries import Activated

    return Activated(at=at, policy=str(policy.name), digest=digest, revision=revision, by=who)


def lacking_owners(lost: Iterable[tuple[str, str]]) -> list[Diagnostic]:
    """(entity, role) of owners whom the CRM once showed, and for whom the data now has no column: nobody could tell who has changed there."""
    diagnostics = []
    for entity, role in lost:
        message = f"the data has lost its column for the {role} of {entity} records"
        diagnostics.append(Diagnostic("R651", message, Span("--data", 1, 1, 2), f"export the column of the {role}, or start a new ledger"))
    return diagnostics


def older_rows(records: Iterable[str]) -> str | None:
    """What a run says of rows that the CRM changed before it showed what an earlier run has read."""
    older = sorted(records)
    if not older:
        return None
    n = len(older)
    return f"the data of {counted(n, 'record')} is older than what an earlier run has read, and changes no owner: {some(older, NAMED)}"


def not_loaded(late: Iterable[tuple[str, date]], within: timedelta, today: date) -> str | None:
    """What a run says of decisions that the CRM should have loaded by now; `late` are records with the days of their decisions."""
    records = sorted({record for record, day in late if day + within <= today})
    if not records:
        return None
    n = len(records)
    decisions, again = ("decision", "it is") if n == 1 else ("decisions", "they are")
    days = counted(within.days, "day")
    return (
        f"the CRM has not loaded the {decisions} on {counted(n, 'record')} for {days}; {again} in changes.csv again: {some(records, NAMED)}"
    )


class Contested:
    """The records whose owner rules take back from an integration, and have before: the next export changes it once more."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.records: set[str] = set()
        self.systems: set[str] = set()
        self._before: Owned | None = None

    def note(self, e: Owned) -> None:
        """See an entry of the run. Those of a record and role follow each other."""
        before, self._before = self._before, e
        if before is not None and _takes_back(before, e) and before.system in self._earlier(e):
            self.records.add(e.record)
            self.systems.add(before.system)

    def _earlier(self, e: Owned) -> set[str]:
        """The integrations from which rules took the record back before this run."""
        told = self.memory.store.of_record(e.entity, e.record, (e.KIND,))
        own = [x.entry for x in told if x.number <= self.memory.number and isinstance(x.entry, type(e)) and x.entry.role == e.role]
        return {earlier.system for earlier, later in pairwise(own) if _takes_back(earlier, later)}

    def sentence(self) -> str:
        """What is to be said of them; empty if there are none."""
        if not self.records:
            return ""
        who = " and ".join(sorted(self.systems))
        return (
            f"{who} and the rules take {counted(len(self.records), 'record')} from each other again and again: "
            f"{some(sorted(self.records), NAMED)}; say with `by_hand:` whose word counts, or `refer` them"
        )


def _takes_back(one: Owned, other: Owned) -> bool:
    """Whether the next entry about a record's owner says that rules take back at once what an integration has changed."""
    is_same = (one.entity, one.record, one.role) == (other.entity, other.record, other.role)
    return is_same and one.by == "system" and other.by not in CHANGED_IN_CRM and one.rep != other.rep
