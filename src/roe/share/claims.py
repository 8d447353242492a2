"""Claims on records that are shared out: tasks find out what each claim says by itself, one task decides them in the order of time, and tasks
take the answers to theirs back.

That one task has no record, but of each claim when and by whom it was made, when it would end, and what else may be a reason to refuse it. It
runs what every engine runs (`ClaimOrder`). To a task that knows why its claims are refused, each of them is as one that an earlier run decided.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Final

import numpy as np
import pyarrow as pa

from roe.columns.raw import Raw
from roe.columns.world import ColumnWorld
from roe.evaluator.bound import Bound
from roe.evaluator.claim_order import ClaimOrder, ToldClaim
from roe.evaluator.claims import made_by_now
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered, as_remembered
from roe.share.carrier import Common, Frame, Task
from roe.share.memory import Change, changes_between
from roe.share.parcels import CLAIMS, PARCEL, ROWS, each_of, of_bytes, packed
from roe.share.tasks import Batches

TOLD, ASKED = "$told", "$asked for claims"  # parcels: what claims say, and whose answers a task wants
CHANGED = "$changed claims"  # parcels for the driver: what claims change in the memory
CLAIM, ID, REASON, TEXT = "claim", "id", "reason", "text"
PART: Final = "claims"  # of the memory
PARTS_OF_CLAIM = tuple(f.name for f in fields(ToldClaim))


def told(evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered) -> dict[str, pa.Table]:
    """What a task's claims say by themselves; and the ids of them all, and of the claims on records that it reads besides."""
    world = ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of))
    Bound(evaluator, world, state)
    step, typed = evaluator.policy.plan.claims, world.columns_of["claim"]
    assert step is not None
    claims = [json.dumps([getattr(claim, name) for name in PARTS_OF_CLAIM]) for claim in made_by_now(step, world, world.all("claim"))]
    found = {TOLD: pa.table({CLAIM: pa.array(claims, pa.string())}), ASKED: pa.table({ID: typed.ids.cast(pa.string())})}
    return {of: rows for of, rows in found.items() if len(rows)}


def of_claims(entity: str, common: Common) -> Task:
    """One task for all claims: whoever sent one, or reads one, gets why it is refused."""

    def task(batches: Batches) -> Batches:
        before = common.state().get(PART, {})
        claims, asked = list[ToldClaim](), list[tuple[int, list[str]]]()
        for bucket, of, rows in each_of(batches):
            if of == TOLD:
                claims += (ToldClaim(*json.loads(text)) for text in rows[CLAIM].to_pylist())
            else:
                asked.append((bucket, rows[ID].to_pylist()))
        reasons = {claim.id: reason for claim, reason in ClaimOrder(entity).reasons(claims, before)}
        for bucket, ids in asked:
            known = [key for key in ids if key in reasons]
            answers = pa.table({ID: pa.array(known, pa.string()), REASON: pa.array([reasons[key] for key in known], pa.string())})
            yield from packed(CLAIMS, answers, np.full(len(known), bucket)).to_batches()
        after = as_remembered({PART: dict(sorted(reasons.items()))})
        changes = [json.dumps(x) for x in changes_between(as_remembered({PART: before}), after)]
        yield from packed(CHANGED, pa.table({TEXT: pa.array(changes, pa.string())}), np.zeros(len(changes), np.int32)).to_batches()

    return task


def settled(found: Frame, entity: str, common: Common) -> tuple[Frame, list[Change]]:
    """Parcels with the answers for tasks, and what the claims leave in the memory."""
    answers = found.in_one().each(of_claims(entity, common), PARCEL).kept()
    texts = [text for row in answers.only(CHANGED).rows() for text in of_bytes(bytes(row[ROWS]))[TEXT].to_pylist()]
    return answers.only(CLAIMS), [(part, key, value) for part, key, value in map(json.loads, texts)]


def without_claims(state: Remembered) -> Remembered:
    """A memory without the claims of earlier runs, which only the task that decides them asks for."""
    return as_remembered({part: x for part, x in state.items() if part != PART})
