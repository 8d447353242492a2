"""A snapshot of large data: the records stay columns, and a record becomes a row when somebody opens its page.

The run is made in columns. A record is explained in a world as it was before its entity was decided, with the owners that the run gave
to what is decided earlier; there is one such world for each entity, over the same typed columns. Turns of pools are read back from
the run. What has to be replayed (why not, what if, the timeline) is replayed among the records around the one that is asked about.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from roe.columns.evidence import RunEvidence
from roe.columns.evidence_writer import EvidenceWriter
from roe.columns.explained import again, settle
from roe.columns.role_run import Allocations
from roe.columns.run import ColumnRun
from roe.columns.turn_files import write_turns
from roe.columns.turn_reading import read_turns
from roe.columns.world import ColumnWorld
from roe.dynamic import Saved, Value
from roe.evaluator.allocate import Pools
from roe.evaluator.allocation import PoolTurn
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator
from roe.evaluator.row import Row
from roe.ledger.reconcile import key_parts
from roe.plan.outcome import ACTIONS
from roe.progress import phase
from roe.run.allocations import ALLOCATIONS
from roe.run.columns import batch_of
from roe.run.result import Batch
from roe.web.app.outcomes import Outcomes, RecordOutcome
from roe.web.app.snapshot import Key, Snapshot, was_asked

LOOKED_AT = 20  # records of each pool that are looked at for its last turn


class ColumnSnapshot(Snapshot):
    """See above."""

    rows_alone = False

    def __init__(self, bound: Bound, source: str = "") -> None:
        super().__init__()
        assert isinstance(bound.world, ColumnWorld)
        self.evaluator: Evaluator = bound.evaluator
        self.source = source
        self._state = bound.state
        # their typed columns are shared before a run adds anything to them
        self._before = {entity: again(bound) for entity in bound.entities()} or {"": again(bound)}
        self.run = ColumnRun(bound)
        phase("keeping what was decided")
        batch = batch_of(self.run)
        self._allocations = pa.concat_tables([pa.table(p.lines).select(ALLOCATIONS) for p in batch.portions]) if batch.portions else None
        self.outcomes = Outcomes(_outcomes(self.run, batch))
        self._folder = tempfile.TemporaryDirectory(prefix="roe-ui-")
        folder = Path(self._folder.name)
        write_turns(folder, batch.turns, batch.pools)
        turns = read_turns(folder)
        self._handed: dict[str, list[Key]] = {}
        self._asked: dict[str, list[Key]] = {}  # the last records for which each pool was asked
        for key, turn in turns.items():
            entity, record, role = key_parts(key)
            self._handed.setdefault(turn["pool"], []).append((entity, record, role))
            for pool in (turn["pool"], *(name for name, _, _ in turn["before"])):
                self._asked[pool] = [*self._asked.get(pool, [])[1 - LOOKED_AT :], (entity, record, role)]
        for entity, world in self._before.items():
            world.turns = turns
            settle(self.run, entity, world)
            self._warm(entity, world)

    def _warm(self, entity: str, bound: Bound) -> None:
        """Explain one record, so that the columns that explanations read are there when somebody asks."""
        phase(f"preparing the pages of {entity} records")
        table = bound.world.tables[entity] if entity else None  # type: ignore[attr-defined]
        if table is not None and table.listed:
            first = table.row(0)
            for d in self.decisions(entity, str(first["id"])):
                _ = d.trace.steps
            for name in self.policy.model.entities[entity]:  # its related records, and what stands in it
                _ = first[name]

    @property
    def bound(self) -> Bound:
        return next(iter(self._before.values()))

    @cached_property
    def unknown(self) -> Counter[tuple[str, str, str]]:
        return Counter(
            {
                (part.entity, part.role, str(rule.name)): int(n)
                for part in self.run.allocations
                for rule, n in zip(part.rules, part.unknown, strict=True)
            }
        )

    @property
    def assigned(self) -> Mapping[str, Saved]:
        return self.run.bound.assigned

    @property
    def pools(self) -> Pools:
        return self.run.bound.pools

    def row(self, entity: str, record: str) -> Row | None:
        if entity not in self.policy.model.entities:
            return None
        row = self._before.get(entity, self.bound).world.find(entity, record)
        return row if row is not None and str(row["id"]) == record else None

    def decisions(self, entity: str, record: str) -> list[Decision]:
        bound, row = self._before.get(entity), self.row(entity, record)
        if bound is None or row is None:
            return []
        return [bound.decide_alone(row, role) for role in bound.roles(entity)]

    def handed(self, pool: str) -> Sequence[Key]:
        return self._handed.get(pool, [])

    def last_turn(self, pool: str) -> PoolTurn | None:
        for entity, record, role in reversed(self._asked.get(pool, [])):
            turn = next((d.turn for d in self.decisions(entity, record) if d.role == role), None)
            found = next((x for x in (*turn.chain(), turn) if x.pool == pool and was_asked(x)), None) if turn is not None else None
            if found is not None:
                return found
        return None

    @cached_property
    def _evidence(self) -> RunEvidence:
        """What the run saw, in a folder that ends with the snapshot."""
        folder = Path(self._folder.name)
        writer = EvidenceWriter(folder, self.evaluator, self.clock.now.isoformat(), self._state)
        writer.add(self.run, self._allocations)
        writer.close()
        return RunEvidence(folder)

    def replayable(self, entity: str, record: str) -> Bound:
        """The records around one, as rows, with what the ledger knows of them."""
        return self._evidence.bound(entity, record)


def _outcomes(run: ColumnRun, batch: Batch) -> Iterator[RecordOutcome]:
    """The outcomes of a run, by entity and record, the roles of a record together."""
    parts: dict[str, list[tuple[Allocations, list[str]]]] = {}
    for part, portion in zip(run.allocations, batch.portions, strict=True):
        parts.setdefault(part.entity, []).append((part, portion.lines["name"].to_pylist()))
    reps = run.world.tables["rep"]
    rep_ids = [str(reps.row(i)["id"]) for i in range(reps.n)]
    labels = [reps.row(i).label for i in range(reps.n)]
    for entity, several in parts.items():
        ids, names = several[0][0].table.ids.to_pylist(), several[0][1]
        columns = [(part.role, _column(part)) for part, _ in several]
        for at, record in enumerate(ids):
            for role, column in columns:
                action, owner, previous, rule, territory, pool, window, until, reason = (x[at] for x in column)
                yield RecordOutcome(
                    entity, str(record), str(names[at] or record), role, ACTIONS[action],
                    rep_ids[owner] if owner >= 0 else None, labels[owner] if owner >= 0 else "",
                    rep_ids[previous] if previous >= 0 else None, labels[previous] if previous >= 0 else "",
                    rule, territory, pool, window, until, reason,
                )  # fmt: skip


def _column(part: Allocations) -> tuple[list[Value], ...]:
    """The values of a role's allocations by row: action, owner, previous, rule, territory, pool, window, until, reason."""
    rules = [*(str(rule.name) for rule in part.rules), "exception", ""]  # -2 and -1 from the end
    return (
        part.action.tolist(), part.owner.tolist(), part.previous.tolist(), [rules[i] for i in part.rule.tolist()],
        [x or "" for x in part.territory.values()], [part.pools[i] if i >= 0 else "" for i in part.pool.tolist()],
        [x or "" for x in part.window.values()], [part.untils[i] if i >= 0 else None for i in part.until.tolist()], part.reason.to_pylist(),
    )  # fmt: skip
