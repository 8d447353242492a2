"""A run of the row evaluator as portions of plain columns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from roe.crm.ids import spelt
from roe.data.reading import Reject
from roe.dynamic import Json
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Run
from roe.evaluator.extra import extra_rows
from roe.evaluator.recorded import pools_json, turn_line
from roe.evaluator.row import Row
from roe.plan.parts import Crm
from roe.run.allocations import ALLOCATION_COLUMNS
from roe.run.result import CALM, Batch, Lines, Portion
from roe.run.summary import read_of


def batch_of(run: Run) -> Batch:
    """Everything that files and summaries say of a run."""
    decided = _by_role(run)
    portions = [_portion(run, entity, role, decisions) for (entity, role), decisions in decided.items()]
    rejects: dict[str, list[tuple[bool, Reject]]] = {}
    for reject in run.world.rejects:
        rejects.setdefault(reject.entity, []).append((False, reject))
    turns = sorted((d.turn.n, turn_line(d.turn, run.bound.key(d))) for d in run.decisions if d.turn is not None)
    return Batch(
        portions,
        run.bound,
        read_of(run.world, {entity: len(rows) for entity, rows in run.world.rows.items()}, rejects),
        [line for _, line in turns],
        pools_json(run.bound.pools.histories() if run.bound.plan.pools else {}),
        extra_of(run),
        lambda entity: _traces(run, entity),
        run,
    )


def extra_of(run: Run) -> dict[str, list[list[str]]]:
    """The rows of the files that only some policies have."""
    owners = {key: [(d.owner, d.previous) for d in own] for key, own in _by_role(run).items()}
    return extra_rows(run.bound, owners)


def _by_role(run: Run) -> dict[tuple[str, str], list[Decision]]:
    """The decisions by entity and role, in the order of the ids."""
    decided: dict[tuple[str, str], list[Decision]] = {key: [] for key in run.bound.plan.engagement}
    for d in sorted(run.decisions, key=lambda d: d.id):
        decided[d.entity, d.role].append(d)
    return decided


def _portion(run: Run, entity: str, role: str, decisions: list[Decision]) -> Portion:
    world = run.world
    lines: Lines = {column.name: [column.cell(d, world) for d in decisions] for column in ALLOCATION_COLUMNS}
    lines.update(_for_crm(run, entity, role, decisions))
    unknown = Counter(name for d in decisions for name in d.unknown)
    return Portion(entity, role, world.owner_column(entity, role), lines, dict(unknown))


def _for_crm(run: Run, entity: str, role: str, decisions: list[Decision]) -> Lines:
    """What the CRM is to load: whether the record moves, its new owner or queue, and the one it shows."""
    crm, world = run.bound.plan.crm, run.world
    queue = crm.queues.get((entity, role))
    first = role == world.policy.roles[0]  # whose column a queue may stand in
    owners, shown = [world.rep(d.owner) for d in decisions], [world.rep(d.in_crm) for d in decisions]
    queues = [(d.row["owner_queue"] if first else None) or queue for d in decisions]
    return {
        "$moved": [d.moved and d.action not in CALM for d in decisions],
        "$value": [queue if rep is None else called(rep, crm) for rep in owners],
        "$old": [q if rep is None else called(rep, crm) for rep, q in zip(shown, queues, strict=True)],
    }


def called(rep: Row, crm: Crm) -> str:
    """What the CRM's files have for a rep: the id, or a name or e-mail address if there is one."""
    return rep.written if crm.owner == "id" or not rep[crm.owner] else str(rep[crm.owner])


def _traces(run: Run, entity: str) -> Iterator[str]:
    """The explanations of all decisions on an entity's records, a line of JSON each."""
    spelling = run.world.spelling()
    decisions = sorted((d for d in run.decisions if d.entity == entity), key=lambda d: (d.id, d.role))
    with run.world.as_before(entity):
        for d in decisions:
            trace: Json = d.trace.as_json()
            yield json.dumps(spelt(trace, spelling) if spelling else trace, ensure_ascii=False, separators=(",", ":"))
