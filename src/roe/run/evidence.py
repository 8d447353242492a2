"""What a run keeps in the ledger to explain its decisions, years later and without the data: the whole trace of each that says something new.

A trace has the rules that were asked, in their words of that day, and every value that they read. It is made once, as the run commits, and
read back as it is; nothing is decided again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from roe.dynamic import Json, Value, Values
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Run
from roe.evaluator.row import Row
from roe.ledger.encode import AS_READ
from roe.ledger.entries import Evidence, Owned, Referred
from roe.ledger.entry import Entry
from roe.ledger.moment import At
from roe.ledger.store import Store
from roe.policy.reads import reads

Key = tuple[str, str, str]  # entity, record, role


def decided_key(e: Entry) -> Key | None:
    """The record and role of which an entry says that something was decided; None of other entries."""
    return (e.entity, e.record, e.role) if isinstance(e, (Owned, Referred)) else None


def evidence_of(run: Run, keys: set[Key], at: At, digest: str, store: Store) -> Iterator[Evidence]:
    """The evidence of a run by rows: of decisions that say something new, and of those that read another value than the last time."""
    before = store.evidence_marks()
    read: dict[str, set[str]] = {}
    for entity, name in reads(run.bound.policy):
        read.setdefault(entity, set()).add(name)
    wanted = []
    for d in run.decisions:
        key, fingerprint = (d.entity, d.id, d.role), _fingerprint(d.row, read)
        if key in keys or before.get(key) != fingerprint:
            wanted.append((d, fingerprint))
    wanted.sort(key=lambda x: (x[0].entity, x[0].id, x[0].role))
    for _, some in groupby(wanted, lambda x: x[0].entity):
        decisions = list(some)
        with run.world.as_before(decisions[0][0].entity):
            for d, fingerprint in decisions:
                values = {AS_READ: fingerprint, **explained(d)}
                yield Evidence(at=at, entity=d.entity, record=d.id, role=d.role, digest=digest, values=values)


def _fingerprint(row: Row, read: Mapping[str, set[str]]) -> str:
    """What tells the values that the policy reads of a record from other ones; values that only time changes are not among them."""
    return hashlib.sha256(repr(_read_values(row, read, 2)).encode()).hexdigest()[:16]


def _read_values(row: Row, read: Mapping[str, set[str]], depth: int) -> list[Value]:
    """The stored values of a record that are read, those of the records that it names, and which records its lists have."""
    fields = row.world.policy.model.entities[row.entity]
    values: list[Value] = [(name, str(x)) for name, x in sorted(dict(row).items()) if name.startswith("owner.") and not isinstance(x, dict)]
    for name in sorted(read.get(row.entity, ())):
        f = fields.get(name)
        if f is None:
            continue
        value = row[name] if f.via else dict.get(row, name) if name not in row.derived else None
        if isinstance(value, list):
            values.append((name, [str(x["id"]) for x in value if isinstance(x, Row)]))
        elif isinstance(value, Row):
            values.append((name, str(value["id"]), _read_values(value, read, depth - 1) if depth else ()))
        elif not isinstance(value, dict):
            values.append((name, repr(value)))
    return values


def explained(d: Decision) -> Json:
    """What is kept of a decision: its trace, how `roe explain` prints it, what the record answers to, and the names of its reps."""
    from roe.evaluator.render import as_markdown, as_text

    trace, world = d.trace, d.row.world
    called = [str(x).lower() for x in (d.row["domain"], d.row["email"]) if x]
    reps = [rep for key in (d.owner, d.previous, d.in_crm) if (rep := world.rep(key)) is not None]
    names = {str(rep["id"]): rep.label for rep in reps}
    return {"name": d.name, "called": called, "names": names, "trace": trace.as_json(), "text": as_text(trace), "md": as_markdown(trace)}


def shown(values: Sequence[Values], shape: str) -> str:
    """Evidence as `roe explain` prints it."""
    import json

    if shape == "json":
        traces = [x.get("trace") for x in values]
        return json.dumps(traces[0] if len(traces) == 1 else traces, indent=2, ensure_ascii=False)
    return "\n\n".join(str(x.get("md" if shape == "md" else "text", "")) for x in values)
