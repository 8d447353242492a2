"""A run on Spark without Spark: its tasks, one after the other in this process, and everything else as it is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from roe.columns.raw import Raw
from roe.data.headers import columns_of, field_of
from roe.run.engines import Limit, SparkEngine
from roe.run.files import COLUMNS, TABLES, Files, Watch
from roe.run.invariants import Tally
from roe.run.spark import ORDER, Left, Wanted, _broken, _fill, check, decide, keep_others
from roe.spark.memory import MEMORY, RECORD, received_state, rest_of, rows_of, sent_state, with_newest
from roe.spark.parcels import BUCKET, OF, Key, key_of, opened, packed, table_of
from roe.spark.plan import Share, share
from roe.spark.pools import Said, columns_for_pools, hand_out, waiting
from roe.spark.run import MARK, SharedOut, kept_together
from roe.spark.tasks import HANDED, SAID, WAITING, Shared, of_bucket, of_records, received, sent, sent_policy


class InTasks(SparkEngine):
    """`number` tasks; `together` says of the last run why one task decided all records."""

    number: ClassVar[int] = 3
    together: ClassVar[str] = ""

    def limits(self) -> list[Limit]:
        return [limit for limit in super().limits() if limit.what != "packages"]

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
        job, policy = self.job, self.job.evaluator.policy
        state = with_newest(job.state, policy, how.entity, [raws[how.entity]])
        split = {entity: raws[entity] for entity in (how.entity, *how.children) if entity in raws}
        others = {entity: raw for entity, raw in raws.items() if entity not in split}
        tables = {entity: table_of(raw) for entity, raw in split.items()}
        shared = {
            entity: Shared(raw.origin.shown, tables[entity].schema, Key(), self._habits(entity, raw)) for entity, raw in split.items()
        }
        sent_to_all = sent_policy(policy)
        bucket = (sent_to_all, job.as_of, sent(others), sent_state(rest_of(state, how.entity)), how.entity, shared)
        memory = rows_of(state, how.entity)
        parcels = [packed(MEMORY, memory, _bucket(memory[RECORD], self.number))]
        for entity, raw in split.items():
            key = key_of(policy, entity, "id" if entity == how.entity else how.children[entity], raw.columns)
            parcels.append(packed(entity, tables[entity], _bucket(key.of(tables[entity]), self.number)))

        def tasks(made: Any, given: Iterable[Any], sends: str = "") -> list[pa.Table]:
            """What all tasks send back, each from its parcels."""
            rows = pa.concat_tables([*parcels, *given])
            each = [rows.filter(pa.compute.equal(rows[BUCKET], i)) for i in range(self.number)]
            found = [list(of_bucket(made, *bucket, sends=sends)(iter(table.to_batches()))) for table in each if table.num_rows]
            return [pa.Table.from_batches(batches) for batches in found if batches]

        said, handed = None, []
        if how.handed_out_by is not None:
            columns = columns_for_pools(policy, how, split[how.entity].columns)
            waits = tasks(partial(waiting, entity=how.entity, columns=columns), [], WAITING)
            give = partial(hand_out, entity=how.entity, files=None, remembers=job.remembers)
            task = of_records(give, sent_to_all, job.as_of, sent(others), sent_state(state), shared[how.entity], how.entity)
            gave = pa.Table.from_batches(list(task(batch for table in waits for batch in table.to_batches())))
            ((_, texts),) = opened(gave.filter(pa.compute.equal(gave[OF], SAID)).to_batches())
            said = Said.of(texts[SAID])
            if said.reason:
                return said.reason
            handed = [gave.filter(pa.compute.equal(gave[OF], HANDED))]
        origins = {entity: raw.origin for entity, raw in split.items()}
        return SharedOut(None, set(split), origins, turns=said, others=others), tasks(partial(decide, wanted=self.wanted), handed)

    def _habits(self, entity: str, raw: Raw) -> Any:
        policy = self.job.evaluator.policy
        fields = policy.model.entities[entity]
        held = columns_of(entity, fields, raw.columns, policy.model.roles())
        return {c: habits for name, c in held.items() if (habits := raw.habits_of(c, field_of(fields, name))) is not None}


def _bucket(texts: Any, number: int) -> Any:
    """The task of each record, by its id."""
    return np.array([sum((x or "").encode()) % number for x in texts.to_pylist()], np.int64)
