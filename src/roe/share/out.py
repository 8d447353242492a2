"""A run whose records are shared out, by any carrier: tables cut up by record, the batch evaluator in each task, pools in between.

A task gets the records of one bucket with everything that refers to them, the other tables whole, and the policy's own
files. It runs what a local run would on that much data. What cannot be shared out is decided in one task, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import chain

from roe.columns.raw import Raw
from roe.columns.read import read_columns
from roe.data.scan import TableOrigin
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.ledger.by_record import rest_of
from roe.ledger.remembered import Remembered
from roe.share.carrier import Frame
from roe.share.claims import without_claims
from roe.share.kind import OfKind, Work
from roe.share.memory import Change, others_owned, with_newest
from roe.share.names import meant_by_several
from roe.share.plan import Share, share
from roe.share.pools import Said
from roe.share.result import TaskResult
from roe.share.tables import cut_up, dated
from roe.share.tasks import of_all

Check = Callable[[Mapping[str, Raw]], None]


@dataclass
class SharedOut:
    """What all tasks decide, as it comes; the entities that tasks share out; what the reading of those said, where no task has it; why the
    records stayed together, if they did; and what one task said of all turns, if it gave them out.
    """

    results: Iterable[TaskResult]
    split: set[str]
    origins: dict[str, TableOrigin]
    together: str = ""
    turns: Said | None = None
    others: dict[str, Raw] = field(default_factory=dict)  # the tables that every task has
    warnings: list[Diagnostic] = field(default_factory=list)
    whole: dict[str, str] = field(default_factory=dict)  # large files that were in memory all the same, and why
    changes: list[Change] = field(default_factory=list)  # of the memory, by what was decided for all tasks


def share_out(work: Work, check: Check = lambda tables: None) -> SharedOut:
    """Let tasks decide every record. `check` sees the tables first, those that are shared out without their rows. Raises PolicyError for data
    that cannot be read.
    """
    how = share(work.evaluator.policy)
    shared = how if isinstance(how, str) else _in_buckets(work, how, check)
    return _in_one_task(work, shared, check) if isinstance(shared, str) else shared


def _in_one_task(work: Work, reason: str, check: Check) -> SharedOut:
    raws, problems = read_columns(work.evaluator.policy, work.data, complete=True)
    if errors(problems):
        raise PolicyError(problems)
    check(raws)
    common = work.carrier.common(work.evaluator, work.as_of, raws, work.state or {})
    results = work.carrier.numbers(1).results(of_all(work.decide, common))
    return SharedOut(results, set(work.evaluator.policy.model.entities), {}, reason, warnings=problems)


def _in_buckets(work: Work, how: Share, check: Check) -> SharedOut | str:
    """Tasks for some of the records each; or why these must stay together."""
    state, policy, carrier = work.state or {}, work.evaluator.policy, work.carrier
    why = kept_together(work.evaluator, state, how)
    if why:
        return why
    cuts = cut_up(policy, work.data, how, carrier.scratch)
    if isinstance(cuts, str):
        return cuts
    broadcast, origins = cuts[0].broadcast, cuts[0].origins
    check({**broadcast, **{of: Raw({}, 0, None, origin) for of, origin in origins.items()}})
    kinds: list[OfKind] = []
    for kind, cut in reversed([*zip(how.kinds, cuts, strict=True)]):
        one = OfKind.of(work, kind, cut, kinds[0] if kinds else None)
        if isinstance(one, str):
            return one
        kinds.insert(0, one)
        state = with_newest(state, policy, kind.entity, dated(cut, policy, kind.entity))
    why = next((why for cut in cuts if (why := meant_by_several(policy, cut, carrier))), "")
    if why:
        return why
    remembered = reduce(
        rest_of, (kind.entity for kind in how.kinds), without_claims(state) if any(kind.claims for kind in how.kinds) else state
    )
    common = carrier.common(work.evaluator, work.as_of, broadcast, remembered)
    done = partial(SharedOut, origins=origins, others=broadcast, warnings=cuts[0].warnings, whole=cuts[0].whole)
    if len(kinds) == 1 and kinds[0].is_in_pieces():
        return done(kinds[0].decided_in_pieces(common), {how.entity})
    guests: Frame | str | None = None
    for one in kinds:
        why = guests if isinstance(guests, str) else one.fill(common, state, guests)
        if why:
            return why
        guests = one.lent(common)
    as_in_files = sorted(kinds, key=lambda one: one.how.entity)
    split = {of for kind in how.kinds for of in (kind.entity, *kind.children)}
    said = next((one.said for one in kinds if one.said is not None), None)
    changes = [change for one in kinds for change in one.changes]
    return done(chain.from_iterable(one.decided(common) for one in as_in_files), split, turns=said, changes=changes)


def kept_together(evaluator: Evaluator, state: Remembered, how: Share) -> str:
    """Why what the ledger knows keeps the records together; empty if it does not."""
    entities = [kind.entity for kind in how.kinds]
    other = others_owned(state, entities)
    if other:
        return f"the ledger knows owners of {other} records, too"
    ids = [evaluator.policy.model.entities[entity]["id"] for entity in entities]
    if state and any(field.normalize or field.aliases for field in ids):
        return "the ids of the data are not those of the ledger"
    return ""
