"""Invariants after a run: what is asked of records, of reps and of the run as a whole, and what does not hold.

A run adds up what it decided, in portions if it comes in portions; both evaluators can, since an invariant of records is a field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.diagnostics import Diagnostic
from roe.dynamic import Json, Saved
from roe.evaluator.engine import Run
from roe.evaluator.world import World
from roe.ledger.reconcile import key_parts
from roe.node import node
from roe.plan.outcome import LIVE
from roe.plan.parts import Invariant
from roe.policy.model import Policy
from roe.run import lists
from roe.run.result import Batch

if TYPE_CHECKING:
    from roe.evaluator.row import Row


NAMED = 5


@node
class Broken:
    """An invariant that does not hold: of which record, and what was found there."""

    invariant: Invariant
    entity: str
    record: str
    name: str
    found: str

    def row(self) -> list[str]:
        return [str(self.invariant.name), self.invariant.severity, self.entity, self.record, self.name, self.found]


@node(frozen=False)
class Tally:
    """What a run has decided so far."""

    policy: Policy
    before: Saved = field(default_factory=dict)  # `entity|record|role` -> its owner before this run, as the ledger has it
    facts: Counter[str] = field(default_factory=Counter)
    owned: Counter[tuple[str, str]] = field(default_factory=Counter)  # (role, rep) -> accounts
    broken: list[Broken] = field(default_factory=list)
    seen: dict[str, set[str]] = field(default_factory=dict)  # entity -> ids of the records in the data, where an invariant asks for them

    def add(self, batch: Batch) -> None:
        """Count what a batch decided, and ask its records what is asked of records, now that they have their owners."""
        world = batch.bound.world
        watches = any("vanished" in str(i.holds.text) for i in self.policy.plan.invariants if i.entity == "run")
        of_crm = [key_parts(key) for key, _ in batch.bound.memory.changed]
        for p in batch.portions:
            if watches:
                self.seen.setdefault(p.entity, set()).update(map(fold, lists.listed(p.lines["record"])))
            owners = lists.counted(p.lines["owner"])
            self.facts["decided"] += p.n
            self.facts["unowned"] += p.n - sum(owners.values())
            if p.entity == "account":
                self.owned.update({(p.role, rep): n for rep, n in owners.items()})
            changed = {record for e, record, role in of_crm if (e, role) == (p.entity, p.role)}
            moves = lists.where(p.lines, "$moved")
            for record, window in zip(lists.listed(moves["record"]), lists.listed(moves["window"]), strict=True):
                self.facts["moved"] += 1
                self.facts["undone"] += fold(record) in changed
                self.facts["customers_moved"] += customer(world.find(p.entity, record))
                self.facts["windows_cut"] += live(window or "")
        self.facts["changed_in_crm"] = len(of_crm)
        self._look(world)

    def vanished(self, world: World) -> int:
        """How many records that somebody owned are no longer in the data; those that others decide are for these to tell."""
        keys = ((key, *key_parts(key)) for key in self.before) if self.seen else ()
        absent = (
            (key, entity, record)
            for key, entity, record, _ in keys
            if entity in self.seen and record not in self.seen[entity] and not world.is_guest(entity, record)
        )
        return len({(entity, record) for key, entity, record in absent if self.before[key]["rep"] is not None})

    def _look(self, world: World) -> None:
        for invariant in self.policy.plan.invariants:
            if not invariant.step:
                continue
            of = invariant.entity
            for number, (key, holds) in enumerate(zip(world.values(of, "id"), world.values(of, invariant.step), strict=True)):
                if holds is not True:
                    row = world.all(of)[number]
                    self.broken.append(Broken(invariant, of, str(key), row.label, "unknown" if holds is None else _why(invariant, row)))

    def as_json(self) -> Json:
        """What it has counted, for whoever adds up several."""
        order = {id(x): i for i, x in enumerate(self.policy.plan.invariants)}
        broken = [[order[id(b.invariant)], b.entity, b.record, b.name, b.found] for b in self.broken]
        return {"facts": dict(self.facts), "owned": [[role, rep, n] for (role, rep), n in self.owned.items()], "broken": broken}

    def merge(self, counted: Saved) -> None:
        """Add what another has counted of other records."""
        self.facts.update(counted["facts"])
        self.owned.update({(role, rep): n for role, rep, n in counted["owned"]})
        self.broken += [Broken(self.policy.plan.invariants[i], *rest) for i, *rest in counted["broken"]]

    def close(self, world: World) -> list[Broken]:
        """Everything that does not hold, in the order of the policy."""
        reps = list(world.all("rep"))
        for invariant in self.policy.plan.invariants:
            if invariant.entity != "rep":
                continue
            code = world.compiled.code(invariant.holds)
            for rep in reps:
                n = self.owned[invariant.role, rep.written]
                if code({**world.scope(rep), "rep": rep, "owned": n}) is not True:
                    from roe.evaluator.render import brief

                    of = "" if rep["capacity"] is None else f" of {brief(rep['capacity'])}"
                    self.broken.append(Broken(invariant, "rep", str(rep["id"]), rep.label, f"owns {n}{of}"))
        self.facts["vanished"] += self.vanished(world)
        over = sum(rep["capacity"] is not None and self.owned[self.policy.roles[0], rep.written] > rep["capacity"] for rep in reps)
        facts = figures(self.facts, over)
        for invariant in self.policy.plan.invariants:
            if invariant.entity == "run" and world.compiled.code(invariant.holds)({**world.base, **facts}) is not True:
                shown = ", ".join(f"{k} = {facts[k]:g}" for k in facts if k in str(invariant.holds.text))
                self.broken.append(Broken(invariant, "run", "", "", shown))
        order = {id(x): i for i, x in enumerate(self.policy.plan.invariants)}
        return sorted(self.broken, key=lambda b: order[id(b.invariant)])


def figures(facts: Counter[str], over: int) -> dict[str, float]:
    """The figures of a run that invariants are about."""
    names = ("decided", "moved", "unowned", "customers_moved", "windows_cut", "vanished", "changed_in_crm", "undone")
    return {**{n: facts[n] for n in names}, "moved_share": facts["moved"] / max(facts["decided"], 1), "over_capacity": over}


def _why(invariant: Invariant, row: Row) -> str:
    """The values that an invariant of a record met."""
    from roe.evaluator.observe import observe
    from roe.evaluator.render import brief

    parts = [p for o in observe(invariant.holds, row.world.scope(row), row.world.lists) for p in o.parts]
    return "; ".join(f"{p.text} = {brief(p.value)}" for p in parts)[:200]


def customer(row: Row | None) -> bool:
    """Whether the account, or the record's account, is a customer: by its type, or since something was won there."""
    account = row if row is None or row.entity == "account" else row["account"]
    if account is None or not hasattr(account, "entity") or account.entity != "account":
        return False
    return str(account["type"] or "").lower().startswith("customer") or any(o["is_won"] is True for o in account["opportunities"])


def live(window: str) -> bool:
    return any(window.endswith(f": {state}") for state in LIVE)


def of_run(run: Run) -> list[Broken]:
    """What does not hold after a run of the row evaluator."""
    from roe.run.rows import batch_of

    if not run.bound.plan.invariants:
        return []
    tally = Tally(run.bound.policy)
    tally.add(batch_of(run))
    return tally.close(run.world)


def told(broken: list[Broken]) -> Iterator[Diagnostic]:
    """One diagnostic for each invariant that does not hold."""
    by: dict[int, list[Broken]] = {}
    for b in broken:
        by.setdefault(id(b.invariant), []).append(b)
    for group in by.values():
        invariant = group[0].invariant
        of = (
            f": {group[0].found}"
            if invariant.entity == "run"
            else f" for {len(group)} {invariant.entity} record{'s' if len(group) > 1 else ''}"
        )
        touches = None if invariant.entity == "run" else (len(group), tuple(b.record for b in group[:NAMED]))
        message = f"`{invariant.name}` does not hold{of}"
        help = "see invariants.csv of the run; change the rules, or the invariant"
        yield Diagnostic("R423", message, invariant.name.span(), help, severity=_SEVERITY[invariant.severity], touches=touches)


_SEVERITY = {"error": "error", "warn": "warning"}
