"""A policy on records, and what changes as decisions are made: one record, or every record of a run.

The order of authority is the same everywhere: an approved exception, then the engagement rules, then nobody. Accounts are
decided before leads, and leads see this run's account owners. Within an entity, records go by (created, id), so the order
of the input never matters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from roe.dynamic import Json, Record, Saved, Values
from roe.evaluator.able import reason_left, reason_unable, receiver
from roe.evaluator.assigned import STATE, assignment, days_that_count, granted, held_back
from roe.evaluator.data_owner import known_of
from roe.evaluator.decision import Decision, label
from roe.evaluator.frozen import freeze
from roe.evaluator.gone import set_aside_older
from roe.evaluator.memory import DecisionValues
from roe.evaluator.past import RecordPast
from roe.evaluator.row import OwnersOfRow, Row
from roe.evaluator.world import World
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.scopes import Scope
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered, as_remembered
from roe.plan.operators import Allocate, Choose, Expr
from roe.plan.outcome import Outcome, RoleSteps
from roe.plan.parts import ExceptionRow
from roe.plan.plan import Plan

if TYPE_CHECKING:
    from roe.evaluator.allocate import Pools
    from roe.evaluator.allocation import PoolTurn
    from roe.evaluator.engine import Evaluator


ON_REQUEST = "on request"  # why a turn is given back that somebody asked for
KEPT = (("", "rep"), ("_since", "since"), ("_rest", "rest"), ("_reason", "reason"), ("_runner_up", "runner_up"))  # of a book, in the state
EXCLUSIVE = ("unique", "any")
ORDER = ("account", "lead", "contact", "opportunity")


class Bound:
    """An evaluator, records, and the state that changes as decisions are made."""

    def __init__(self, evaluator: Evaluator, world: World, state: Remembered) -> None:
        self.evaluator, self.world, self.state = evaluator, world, state
        self.policy = evaluator.policy
        self.plan = self.policy.plan
        world.frozen = state.get("frozen", {})
        world.decided_claims = state.get("claims", {})
        for entity, values in state.get("records", {}).items():  # what people have entered, beside the data
            model = self.policy.model.entities.get(entity, {})
            days = [name for name, f in model.items() if f.type.name == "date"]
            world.take(entity, [x | {name: v.parse_date(x[name]) for name in days if name in x} | {"$line": 0} for x in values])
        set_aside_older(world, state)
        world.resolve_all()
        self.memory = world.memory = world.remember(state)
        world.past = RecordPast(world, state)
        self.recall_books()
        self.assigned: dict[str, Json] = dict(state.get("assigned", {}))
        self.backs: list[tuple[str, Row, str, str]] = []  # turns that are given back: pool, record, role, rep
        self._give_back()
        self._heed_changes()
        self.undone: set[str] = set()  # the records and roles whose change in the CRM a decision has taken back
        self._settled: set[str] = set()
        self.turns: Saved = {}  # turns of an earlier run, read back instead of taken again
        # of records that are taken out of large data: the world around them once they, the policy or the moment have changed
        self.anew: Callable[[Evaluator, Mapping[str, Iterable[Values]], Clock], World] | None = None
        self.tried: Mapping[str, Mapping[str, str]] = {}  # by record and role the reps who must not have it now, with the reasons
        self.exceptions: dict[tuple[str, str, str], ExceptionRow] = {}  # by entity, record and role
        for row in (*granted(state), *self.plan.exceptions, *held_back(state)):
            record = world.find(row.entity, row.record) if row.entity in world.rows else None
            if record is None or world.is_guest(row.entity, record["id"]) or world.is_untouched(row.entity, record["id"]):
                continue
            if self.excepts(row, record):
                self.exceptions.setdefault((row.entity, record["id"], str(row.role)), row)

    def _give_back(self) -> None:
        """The turns of earlier runs that are given back: for a reason that the pool declares, or because somebody asked for it."""
        for key, x in self.assigned.items():
            step = self.plan.pools.get(x["by"])
            is_asked = bool(x.get("asked"))
            if step is None or x.get("free") or x.get("back") or not (is_asked or step.credit_back):
                continue
            entity, record, role = key_parts(key)
            row = self.world.find(entity, record) if entity in self.world.rows else None
            reason = ON_REQUEST if is_asked else "" if row is None else self.reason_to_give_back(step, row, role, x["rep"])
            if row is not None and reason:
                self.assigned[key] = {**{name: value for name, value in x.items() if name != "asked"}, "back": reason}
                self.backs.append((step.name, row, role, x["rep"]))

    def reason_to_give_back(self, step: Allocate, row: Row, role: str, rep: str) -> str:
        """The rule by which a record gives back the turn that a rep took for it; empty if there is none."""
        scope = {**self.world.scope(row), "account": row if row.entity == "account" else row["account"], "rep": self.world.rep(rep)}
        code = self.evaluator.compiled.code
        return next((str(rule.name) for rule in step.credit_back if all(code(c)(scope) is True for c in rule.conditions)), "")

    def _heed_changes(self) -> None:
        """What was changed in the CRM since the last run: a record that a pool gave stays with its new owner, and its service level goes
        on; one whose owner was taken away is given anew. `by_hand: decide` leaves it to the rules.
        """
        for key in [key for key in self.assigned if self.memory.is_gone(key)]:
            del self.assigned[key]
        for key, facts in self.memory.changed:
            entity, _, role = key_parts(key)
            if key not in self.assigned or self.plan.by_hand.get(f"{entity}|{role}") == "decide":
                continue
            if facts.holder is None:
                del self.assigned[key]
            else:
                self.assigned[key] = {**self.assigned[key], "rep": facts.holder}

    def undoes(self, d: Decision) -> str:
        """What a decision says where it takes back what somebody changed in the CRM since the last run."""
        facts = self.memory.known.get(self.key(d))
        if facts is None or not facts.is_changed_in_crm or d.owner == facts.holder:
            return ""
        rep = self.world.rep(facts.holder)
        self.undone.add(self.key(d))
        return f"; this undoes the change to {'nobody' if rep is None else rep.label} that was made in the CRM"

    def recall_books(self, only: Collection[str] | None = None) -> None:
        """What the state knows of accounts in books: of all of them, or of those with these ids."""
        for book, saved in self.state.get("books", {}).items():
            if book in self.plan.books:
                accounts = saved["accounts"] if only is None else {key: saved["accounts"][key] for key in only if key in saved["accounts"]}
                for suffix, key in KEPT:
                    self.world.recall(f"{book}{suffix}", {account: x[key] for account, x in accounts.items()})

    def excepts(self, row: ExceptionRow, record: Row) -> bool:
        """Whether an exception decides a record today: one for a rep who has left does not."""
        owner = self.world.rep(row.owner)
        return self.evaluator.compiled.in_force(row, self.world.scope(record)) and not (owner is not None and reason_left(owner))

    def approved(self, row: Row, role: str) -> ExceptionRow | None:
        """The exception that holds for a record."""
        return self.exceptions.get((row.entity, row["id"], role))

    @cached_property
    def pools(self) -> Pools:
        """The pools with their state, made when a record first asks for one."""
        from roe.evaluator.allocate import Pools

        pools = Pools(self.plan.pools, self.world, {**self.state, "assigned": self.assigned})
        for pool, row, role, rep in self.backs:
            pools.pools[pool].give_back(row, role, rep)
        return pools

    def roles(self, entity: str) -> list[str]:
        return [role for e, role in self.plan.engagement if e == entity]

    def entities(self) -> list[str]:
        """The entities that have rules, in the order in which they are decided."""
        return in_order(self.plan)

    def settle_claims(self) -> None:
        """Settle all claims by what the records say at the start, whoever asks for them later."""
        if self.plan.claims is not None:
            _ = self.world.settled

    def decide_all(self) -> Iterator[Decision]:
        self.settle_claims()
        for entity in self.entities():
            yield from self._decide_entity(entity)

    def _decide_entity(self, entity: str) -> Iterator[Decision]:
        decided: list[tuple[Row, Values]] = []
        known: dict[int, tuple[Row, Values]] = {}
        exclusive = [
            name for (e, name), step in self.plan.steps.items() if e == entity and isinstance(step, Choose) and step.hit in EXCLUSIVE
        ]
        for row in sorted(self.world.rows[entity], key=queue):
            owners: Values = dict(row["owner"])
            for role in self.roles(entity):
                decision = self._decide(row, role)
                owners[role] = self.world.rep(decision.owner)
                if decision.owner != decision.previous:
                    after = self.memory.decided(decision)
                    known.setdefault(id(row), (row, {}))[1].update(known_of(self.world, row, role, after))
                yield decision
            for name in exclusive:  # a table that allows one row is held to it on every record, asked for or not
                row[name]
            decided.append((row, owners))
        # what comes later sees the owners of this run, and since when and after whom
        self.world.own(entity, [(row, OwnersOfRow(owners)) for row, owners in decided], list(known.values()))
        self._settled.add(entity)

    def new(self, record: Record, entity: str = "lead") -> Row:
        """Add one record, such as a lead that has just come in. Raises ValueError if it is rejected."""
        before = len(self.world.rejects)
        added = self.world.add(entity, [record])
        if not added:
            reject = self.world.rejects[before]
            raise ValueError(f"{reject.field}: {reject.reason}")
        self.world.resolve(added[0])
        return added[0]

    def decide(self, record: Row | Record, role: str | None = None, *, entity: str = "lead") -> Decision:
        """The decision on a record of this world, or on a new one; the first role of its entity unless one is named."""
        row = record if isinstance(record, Row) else self.new(record, entity)
        for earlier in self.entities():
            if earlier == row.entity:
                break
            if earlier not in self._settled:  # a lead sees this run's owners of its account
                for _ in self._decide_entity(earlier):
                    pass
        return self._decide(row, role if role is not None else next(iter(self.roles(row.entity)), ""))

    def decide_alone(self, row: Row, role: str) -> Decision:
        """The decision on a record of a world in which everything before it is settled already."""
        return self._decide(row, role)

    def _decide(self, row: Row, role: str) -> Decision:
        compiled = self.evaluator.compiled
        steps = compiled.role(row.entity, role)
        scope = self.world.scope(row)
        decision = Decision(row.entity, str(row["id"]), row.label, role, "unassigned", row=row)
        previous = row["owner"].get(role)
        decision.previous = previous["id"] if previous is not None else None
        decision.since = row[f"owner_since.{role}"]
        decision.territory, decision.window = self._text(steps.territory, scope), self._text(steps.window, scope)
        approved = self.approved(row, role)
        if approved is not None:
            decision.exception, decision.rule = approved, "exception"
            self.settle(decision, steps, steps.approved(approved), scope)
            return decision
        chooser = compiled.engagement[row.entity, role]
        choice = decision.choice = chooser(scope)
        decision.unknown = tuple(str(chooser.step.rules[i].name) for i in choice.unknown)
        if not choice.fired:
            self.settle(decision, steps, steps.no_rule, scope)
            return decision
        decision.rule = str(chooser.step.rules[choice.fired[0]].name)
        self.settle(decision, steps, steps.of(choice.fired[0]), scope)
        return decision

    def _text(self, expr: Expr | None, scope: Scope) -> str:
        return "" if expr is None else label(self.evaluator.compiled.code(expr)(scope))

    def key(self, d: Decision) -> str:
        return f"{d.entity}|{d.id}|{d.role}"

    def settle(self, d: Decision, steps: RoleSteps, outcome: Outcome, scope: Scope) -> None:
        """Compute the owner that an outcome gives, or the first that finds somebody; then until when, and why."""
        code = self.evaluator.compiled.code
        rep = None
        while True:
            if outcome.pool:
                rep = self._allocate(d, outcome.pool)
            else:
                rep = None if outcome.owner is None else self.world.assignee(code(outcome.owner)(scope), d.role)
                if outcome.asks_if_able:
                    rep = receiver(rep, d.previous)
            if rep is not None or outcome.otherwise is None:
                break
            outcome = outcome.otherwise
        d.action = outcome.action
        d.owner, d.owner_name = (rep["id"], rep.label) if rep is not None else (None, "")
        if not outcome.names_pool:
            d.pool = ""
        why, due = (d.turn.why, d.turn.until) if d.turn is not None else ("", None)
        names = steps.names
        scope |= {names.rule: d.rule, names.owner: rep, names.pool: d.pool, names.why: why, names.due: due}
        d.until = None if outcome.until is None else code(outcome.until)(scope)
        d.reason = self.world.fill((outcome.reason.instead if why else None) or outcome.reason, scope) + self.undoes(d)

    def unable(self, d: Decision) -> dict[str, str]:
        """The reps whom the rule of a decision names and who may not receive the record now, by id, with reasons."""
        steps, scope, reasons = self.evaluator.compiled.role(d.entity, d.role), self.world.scope(d.row), dict[str, str]()
        outcome = steps.of(d.choice.fired[0]) if d.choice is not None and d.choice.fired and d.exception is None else None
        while outcome is not None:
            if outcome.asks_if_able and outcome.owner is not None:
                rep = self.world.assignee(self.evaluator.compiled.code(outcome.owner)(scope), d.role)
                if rep is not None and receiver(rep, d.previous) is None:
                    reasons[rep["id"]] = reason_unable(rep)
            outcome = outcome.otherwise
        return reasons

    def _allocate(self, d: Decision, pool: str) -> Row | None:
        """The rep whom a pool gives."""
        d.turn = self._turn(d, pool)
        d.pool = d.turn.pool
        return d.turn.rep

    def _turn(self, d: Decision, pool: str) -> PoolTurn:
        """What a pool gives: the turn of an earlier run, or of this one."""
        key = self.key(d)
        earlier = self.assigned.get(key)
        if key in self.turns:
            from roe.evaluator.allocation import nobody, recorded

            written = self.turns[key]
            asked = written["before"][0][0] if written["before"] else written["pool"]
            if written["standing"] < 0:  # what an earlier run assigned, and nobody was asked
                asked = earlier["pool"] if earlier else pool
            # a run has the last turn of a record: a pool that was asked before had found nobody
            return recorded(written, self.world) if asked == pool else nobody(pool, written["n"])
        if earlier and earlier.get("pool") == pool:
            return self._again(d, earlier)
        turn = self.pools.route(pool, d.row, d.role, self.tried.get(key))
        self._assigned(d, pool, turn, [])
        return turn

    def _assigned(self, d: Decision, pool: str, turn: PoolTurn, tried: list[str]) -> None:
        """Remember what a pool has assigned, so that the same record twice is one assignment."""
        if turn.rep is None:
            return
        by = self.pools.pools[turn.pool]
        turn.until = self.pools.due(self.pools.pools[pool], self.world.clock.now, turn.rep)
        self.assigned[self.key(d)] = assignment(
            turn.rep["id"],
            pool,
            turn.pool,
            self.world.clock.now,
            turn.position,
            self.pools.together.company(by, d.row),
            tried,
            bool(turn.why),
        )

    def _again(self, d: Decision, earlier: Saved) -> PoolTurn:
        """A record that a pool assigned before: the pool is asked again only if somebody else is to have it."""
        from roe.evaluator.again import found_again

        found = found_again(self, d.row, d.role, earlier)
        turn = found.turn or self.pools.route(earlier["pool"], d.row, d.role, found.without)
        if found.tried is not None:
            self._assigned(d, earlier["pool"], turn, found.tried)
        return turn

    def was_worked(self, row: Row, role: str, earlier: Saved) -> bool:
        """Whether the rep to whom a pool assigned a record has worked it since."""
        rep = self.world.rep(earlier["rep"])
        assert rep is not None
        return self.pools.worked(self.pools.pools[earlier["pool"]], row, rep, v.parse_temporal(earlier["at"]))

    def saved(self, decisions: Iterable[DecisionValues]) -> Remembered:
        """The state after a run of these decisions; see `OwnerMemory.after`."""
        sections: Json = {
            "version": STATE,
            "as_of": v.literal(self.world.clock.now),
            **self.memory.after(decisions),
            "assigned": dict(sorted(self.assigned.items())),
            **self._turns_saved(),
            **({"frozen": frozen} if (frozen := freeze(self.world)) else {}),
            **({"seen": seen} if (seen := self.world.past.saved()) else {}),
            **({"claims": self.world.settled.saved()} if self.plan.claims is not None else {}),
            **({"books": self.state["books"]} if self.state.get("books") else {}),
            **({"events": {key: since for key, since, _ in self.raised()}} if self.plan.events else {}),
        }
        return as_remembered(sections)

    def _turns_saved(self) -> Remembered:
        if self.plan.pools:
            return self.pools.saved()
        return {"pools": {}, "days": days_that_count(self.state.get("days", {}), self.world.clock.today)}

    def raised(self) -> list[tuple[str, str, bool]]:
        """(`entity|record|event`, since when, whether it was raised by this run) of every event that is up."""
        up, today, raised = self.state.get("events", {}), str(self.world.clock.today), []
        for event in self.plan.events:
            ids = self.world.values(event.entity, "id")
            for row_number, (record, holds) in enumerate(zip(ids, self.world.values(event.entity, event.name), strict=True)):
                key = f"{event.entity}|{record}|{event.name}"
                if holds is True:
                    raised.append((key, up.get(key, today), key not in up))
                elif key in up and event.rearm is not None:
                    row = self.world.all(event.entity)[row_number]
                    if self.evaluator.compiled.code(event.rearm)(self.world.scope(row)) is not True:
                        raised.append((key, up[key], False))
        return sorted(raised)

    def fill(self, template: str, row: Row) -> str:
        """A sentence with its `{expression}` parts replaced by their values."""
        return self.world.fill(template, self.world.scope(row))


def in_order(plan: Plan) -> list[str]:
    """The entities that have rules, in the order in which they are decided."""
    return sorted({e for e, _ in plan.engagement}, key=lambda e: (ORDER.index(e) if e in ORDER else len(ORDER), e))


def queue(row: Row) -> tuple[bool, str, str]:
    """What orders records that wait for a pool."""
    from roe.evaluator.together import queue_place

    return queue_place(row["created"], row["id"])
