"""A run on Spark without Spark: its tasks, one after the other in this process, and everything else as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from roe.columns.raw import Raw
from roe.crm.ids import fold
from roe.data.headers import columns_of, field_of
from roe.run.engines import Spark
from roe.run.files import COLUMNS, TABLES, Files, Watch
from roe.run.invariants import Tally
from roe.run.spark import ORDER, Left, Wanted, _broken, _fill, check, decide, keep_others
from roe.spark.memory import RECORD, received_state, rest_of, rows_of, sent_state, state_of
from roe.spark.plan import Share, share
from roe.spark.pools import GIVEN, ROLE, SAID, Said, columns_for_pools, hand_out, waiting
from roe.spark.run import MARK, SharedOut, kept_together
from roe.spark.tasks import LINE, received, sent


class InTasks(Spark):
    """`number` tasks; `together` says of the last run why one task decided all records."""

    number: ClassVar[int] = 3
    together: ClassVar[str] = ""

    def fill(self, files: Files, watch: Watch) -> None:
        job = self.job
        raws = received(sent(job.source.columns()))
        check(job, raws)
        how = share(job.evaluator.policy)
        self.wanted = Wanted(str(files.folder), False, job.traces, job.remembers)
        reason = how if isinstance(how, str) else kept_together(job.evaluator, job.state, how)
        made = self._in_buckets(raws, how) if isinstance(how, Share) and not reason else reason
        if isinstance(made, str):
            whole = decide(job.evaluator, job.as_of, raws, received_state(sent_state(job.state)), wanted=self.wanted, whole=True)
            made = SharedOut(None, set(raws), {}, made), [whole]
        shared, results = made
        type(self).together = shared.together
        tally, self._left = Tally(job.evaluator.policy), Left()
        if job.traces:
            keep_others(shared.others, files.folder, job.evaluator, job.as_of, job.state)
        rows = pa.concat_tables(results)
        for name in TABLES:
            some = rows.filter(pa.compute.equal(rows[MARK], name)).sort_by([(c, "ascending") for c in ORDER[name]])
            files.table(name, pa.table({c: some[f"c{i}"] for i, c in enumerate(COLUMNS[name])}))
        _fill(shared, files, tally, self._left, [row for row in rows.to_pylist() if row[MARK] not in TABLES])
        if shared.turns is not None:
            self._left.changes += shared.turns.changes
        self._left.broken = _broken(shared, tally, job.evaluator, job.as_of, job.state)

    def _in_buckets(self, raws: dict[str, Raw], how: Share) -> Any:
        job, state = self.job, self.job.state
        others = {entity: raw for entity, raw in raws.items() if entity != how.entity and entity not in how.children}
        memory, rest = rows_of(state, how.entity), sent_state(rest_of(state, how.entity))
        known = _bucket(memory[RECORD], self.number)

        def task(number: int, given: Mapping[str, Any]) -> tuple[dict[str, Raw], Any]:
            tables = dict(others)
            for entity in (how.entity, *how.children):
                if entity in raws:
                    raw, key = raws[entity], "id" if entity == how.entity else how.children[entity]
                    rows = np.flatnonzero(_bucket(self._column(entity, raw, key), self.number) == number)
                    columns = {**raw.columns, **(given if entity == how.entity else {})}
                    own = {name: pa.array(column).take(pa.array(rows)) for name, column in columns.items()}
                    tables[entity] = Raw(own, len(rows), raw.lines[rows], raw.origin, self._habits(entity, raw))
            return tables, state_of(how.entity, memory.filter(pa.array(known == number)) if len(memory) else None, received_state(rest))

        given: dict[str, Any] = {}
        said = None
        if how.handed_out_by is not None:
            raw = raws[how.entity]
            columns = columns_for_pools(job.evaluator.policy, how, raw.columns)
            asked = [waiting(job.evaluator, job.as_of, *task(i, {}), entity=how.entity, columns=columns) for i in range(self.number)]
            waits = pa.concat_tables(asked).sort_by(LINE)
            own = Raw.of_table(waits.drop_columns([LINE]), waits[LINE].to_numpy(), raw.origin, self._habits(how.entity, raw))
            whole = received_state(sent_state(state))
            handed = hand_out(
                job.evaluator, job.as_of, {**others, how.entity: own}, whole, entity=how.entity, files=None, remembers=job.remembers
            ).to_pylist()
            said = Said.of(row[SAID] for row in handed if row[SAID] is not None)
            if said.reason:
                return said.reason
            for role in [role for entity, role in job.evaluator.policy.plan.engagement if entity == how.entity]:
                for name in GIVEN:
                    of = {row[LINE]: row[name] for row in handed if row[ROLE] == role}
                    given[name + role] = pa.array([of.get(line) for line in raw.lines.tolist()], pa.string())
        results = [decide(job.evaluator, job.as_of, *task(i, given), wanted=self.wanted) for i in range(self.number)]
        return SharedOut(None, {how.entity, *how.children}, {}, turns=said, others=others), results

    def _column(self, entity: str, raw: Raw, field: str) -> Any:
        policy = self.job.evaluator.policy
        held = columns_of(entity, policy.model.entities[entity], raw.columns, policy.model.roles())
        return pa.array(raw.columns[held[field]]) if field in held else pa.nulls(raw.n, pa.string())

    def _habits(self, entity: str, raw: Raw) -> Any:
        policy = self.job.evaluator.policy
        fields = policy.model.entities[entity]
        held = columns_of(entity, fields, raw.columns, policy.model.roles())
        return {c: habits for name, c in held.items() if (habits := raw.habits_of(c, field_of(fields, name))) is not None}


def _bucket(texts: Any, number: int) -> Any:
    """The task of each record, by its id."""
    return np.array([sum(fold((x or "").strip()).encode()) % number for x in texts.to_pylist()], np.int64)
