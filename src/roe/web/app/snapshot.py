"""What the pages know: a policy, records at a moment, every decision on them, and an index of names.

Two kinds answer the same questions. `RowSnapshot` has the records as rows and keeps each decision, as a run in rows makes them.
`roe.web.app.columns` has them as columns, for large data. Whoever explains a record holds `lock`, since a world computes as it is read.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from roe.analysis.graph import Said, said_of
from roe.dynamic import Saved, Value
from roe.evaluator.allocate import Pools
from roe.evaluator.allocation import PoolTurn
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator, Run
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar.clock import Clock
from roe.plan.operators import Choose
from roe.plan.plan import Plan
from roe.policy.model import Policy
from roe.web.app.outcomes import Outcomes, outcome
from roe.web.app.search import Hit, SearchIndex

FOUND_BY = ("email", "domain", "website", "phone")
OLD_NAMES = ("former_name", "old_name", "old_names", "previous_name", "other_domains")
BELONGS_TO = ("account", "lead", "contact")
Key = tuple[str, str, str]
T = TypeVar("T")
ALSO_FOUND = ("contact", "opportunity")


class Snapshot(ABC):
    """See above. `source` says in a few words where the records are from."""

    evaluator: Evaluator
    outcomes: Outcomes
    source: str = ""
    outdated: bool = False  # whether somebody has acted since, and the records are being decided anew
    rows_alone: bool = True  # whether the world is one of rows, which every analysis can read

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._made: dict[Hashable, Value] = {}

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What a page works out of this snapshot, made when somebody first asks for it."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    # --- each kind answers these in its own way ---------------------------------------------------------------------------

    @property
    @abstractmethod
    def bound(self) -> Bound:
        """The records as they are before anything is decided of them, for reading values."""

    @abstractmethod
    def decisions(self, entity: str, record: str) -> list[Decision]:
        """The decisions on a record in each role, ready to be explained."""

    @abstractmethod
    def replayable(self, entity: str, record: str) -> Bound:
        """A bound evaluator in rows that a decision on the record can be replayed in."""

    @abstractmethod
    def handed(self, pool: str) -> Sequence[Key]:
        """(entity, record, role) of what a pool handed out in the run, the last one last."""

    @abstractmethod
    def last_turn(self, pool: str) -> PoolTurn | None:
        """The last turn of the run in which a pool was asked who is next, itself or as one that others fall back on."""

    @property
    def assigned(self) -> Mapping[str, Saved]:
        """What the state keeps of each record that a pool has given out, by `entity|record|role`, as the run left it."""
        return self.bound.assigned

    @property
    def pools(self) -> Pools:
        """The pools as the run left them."""
        return self.bound.pools

    @property
    @abstractmethod
    def unknown(self) -> Counter[tuple[str, str, str]]:
        """(entity, role, rule) -> on how many records the rule lacks a value."""

    # --- and these follow -------------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        return self.evaluator.policy

    @property
    def plan(self) -> Plan:
        return self.evaluator.policy.plan

    @property
    def world(self) -> World:
        return self.bound.world

    @property
    def clock(self) -> Clock:
        return self.bound.world.clock

    @cached_property
    def entities(self) -> list[str]:
        """The entities that have rules, in the order in which they are decided."""
        return self.bound.entities()

    def row(self, entity: str, record: str) -> Row | None:
        if entity not in self.policy.model.entities:
            return None
        row = self.world.find(entity, record)
        return row if row is not None and str(row["id"]) == record else None

    def rep_name(self, rep: str | None) -> str:
        """The name of a rep; the id of one whom the data does not have any more, since that is not nobody."""
        row = self.world.rep(rep)
        return rep or "" if row is None else str(row.label)

    def label(self, entity: str, record: str) -> str:
        """The name of a record; the id of one that the data does not have any more."""
        row = self.row(entity, record)
        return record if row is None else str(row.label)

    def reps(self) -> list[Row]:
        return list(self.world.all("rep"))

    def holders(self, entity: str, record: str) -> set[str]:
        """The reps who own a record in any role, or owned it until now; of one that nobody decides, those of what it belongs to."""
        outcomes = self.outcomes.of(entity, record)
        if outcomes or entity in self.entities:
            return {rep for o in outcomes for rep in (o.owner, o.previous) if rep is not None}
        row = self.row(entity, record)
        above = [row[name] for name in BELONGS_TO if name in self.policy.model.entities[entity]] if row is not None else []
        return {rep for other in above if isinstance(other, Row) for rep in self.holders(other.entity, str(other["id"]))}

    @cached_property
    def _teams(self) -> dict[str, frozenset[str]]:
        return teams_of(self.reps())

    def team_of(self, rep: str) -> frozenset[str]:
        return self._teams.get(rep, frozenset((rep,)))

    def managed_by(self, manager: str) -> frozenset[str]:
        """The reps of a manager: those for whom the data names them; the whole team where it names no managers at all."""
        managers = self._managers
        return frozenset(rep for rep, named in managers.items() if named == manager) if managers else self.team_of(manager)

    @cached_property
    def _managers(self) -> dict[str, str]:
        return {str(rep["id"]): str(above["id"]) for rep in self.reps() if isinstance(above := rep["manager"], Row)}

    def team_names(self) -> dict[str, list[Row]]:
        """The teams by name, each with its reps: by `team`, or by manager where the data has no teams."""
        by_name: dict[str, list[Row]] = {}
        leads = set(self._managers.values())
        for rep in self.reps():
            lead = rep["manager"] or (rep if str(rep["id"]) in leads else None)
            name = rep["team"] or (f"Team of {lead.label}" if isinstance(lead, Row) else "No team" if leads else "Everybody")
            by_name.setdefault(" ".join(str(name).split()), []).append(rep)  # an address has no lines
        return dict(sorted(by_name.items()))

    def said(self, entity: str, role: str) -> list[Said]:
        """The rules of a role in words, made once."""
        return self.once(("said", entity, role), lambda: said_of(self.plan.engagement[entity, role], self.rep_name))

    @cached_property
    def index(self) -> SearchIndex:
        return SearchIndex(self._hits())

    def _hits(self) -> Iterator[Hit]:
        world, model = self.world, self.policy.model.entities
        for rep in self.reps():
            yield Hit("rep", str(rep["id"]), str(rep.label), _texts((rep["id"], rep.written, rep["email"])))
        for pool in self.plan.pools:
            yield Hit("pool", str(pool), str(pool), ())
        for name in territories(self):
            yield Hit("territory", name, name, ())
        for entity in (*self.entities, *(e for e in ALSO_FOUND if e not in self.entities)):
            known = [name for name in (*FOUND_BY, *OLD_NAMES) if name in model[entity]]
            ids, names = world.values(entity, "id"), world.values(entity, "name")
            others = [world.values(entity, name) for name in known]
            for number, (record, name) in enumerate(zip(ids, names, strict=True)):
                yield Hit(entity, str(record), str(name or record), _texts((record, *(column[number] for column in others))))


class RowSnapshot(Snapshot):
    """The records as rows; every decision of the run is kept."""

    def __init__(self, run: Run, source: str = "") -> None:
        super().__init__()
        self.evaluator, self._bound, self.source = run.bound.evaluator, run.bound, source
        self._decisions: dict[tuple[str, str], list[Decision]] = {}
        self._handed: dict[str, list[Key]] = {}
        self._last: dict[str, PoolTurn] = {}
        for d in run.decisions:
            self._decisions.setdefault((d.entity, d.id), []).append(d)
            if d.turn is not None:
                self._handed.setdefault(d.turn.pool, []).append((d.entity, d.id, d.role))
                self._last |= {turn.pool: turn for turn in (*d.turn.chain(), d.turn) if was_asked(turn)}
        self.outcomes = Outcomes(outcome(d, self.rep_name) for d in run.decisions)

    @property
    def bound(self) -> Bound:
        return self._bound

    @cached_property
    def unknown(self) -> Counter[tuple[str, str, str]]:
        return Counter((d.entity, d.role, rule) for found in self._decisions.values() for d in found for rule in d.unknown)

    def decisions(self, entity: str, record: str) -> list[Decision]:
        return self._decisions.get((entity, record), [])

    def replayable(self, entity: str, record: str) -> Bound:
        return self._bound

    def handed(self, pool: str) -> Sequence[Key]:
        return self._handed.get(pool, [])

    def last_turn(self, pool: str) -> PoolTurn | None:
        return self._last.get(pool)


def was_asked(turn: PoolTurn) -> bool:
    """Whether the pool's members are known at this turn: it was not one that an earlier run took."""
    return turn.history is not None and turn.standing is not None


def territories(snapshot: Snapshot) -> list[str]:
    """The names of all territories, of every entity, once each."""
    names: dict[str, None] = {}
    for (_, name), step in snapshot.plan.steps.items():
        if isinstance(step, Choose) and step.stage == "territory" and not name.endswith("_decided_by"):
            names |= dict.fromkeys(str(rule.name) for rule in step.rules)
    return list(names)


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(x)[:500] for x in values if x not in (None, ""))


def teams_of(reps: Sequence[Row]) -> dict[str, frozenset[str]]:
    """The team of each rep: those with the same manager and the manager, or with the same `team` where nobody has a manager."""
    managed = any(isinstance(rep["manager"], Row) for rep in reps)
    groups: dict[str, set[str]] = {}
    for rep in reps:
        if managed:
            manager = rep["manager"]
            if isinstance(manager, Row):
                groups.setdefault(str(manager["id"]), {str(manager["id"])}).add(str(rep["id"]))
        elif rep["team"] is not None:
            groups.setdefault(str(rep["team"]), set()).add(str(rep["id"]))
    found = {str(rep["id"]): {str(rep["id"])} for rep in reps}
    for members in groups.values():
        for rep_id in members:
            found.setdefault(rep_id, {rep_id}).update(members)
    return {rep: frozenset(team) for rep, team in found.items()}
