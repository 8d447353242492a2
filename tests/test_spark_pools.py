"""Pools over records that are shared out: the turns are those of a run in columns, into however many tasks the records go."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import AS_OF, EXAMPLES, policy_text
from roe.cache import load_policy
from roe.data.read import read_tables
from roe.policy.reads import reads

pa = pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")

ENTITY = "lead"

TWO_ROLES = """
roe: 1
name: t
timezone: Europe/Berlin
roles: [sdr, ae]
fields: {lead: {status: string, score: number, owner: {column: [SDR Owner, AE Owner]}}}
pools:
  desk: {members: 'rep.team = "SDR"', strategy: weighted, weight: rep.ramp, caps: {per_day: rep.capacity}, together: lead.company, fallback: rest}
  rest: {members: 'rep.team = "REST"', sticky: lead.account.owner.ae, together: never, fallback: mia}
invariants:
  - {name: two, every: lead, holds: lead.owner.ae != lead.owner.sdr, severity: warn}
  - {name: few, every: rep, holds: owned < 0, severity: warn}
  - {name: calm, every: run, holds: moved_share < 0.1, severity: warn}
engagement:
  lead:
    sdr:
      - {name: good, when: lead.score > 10, then: {assign: lead.account.owner.sdr}, else: {route: desk}}
      - {name: kept, when: lead.owner.sdr != null, then: keep}
      - {name: rest, then: {route: rest}}
    ae: [{name: all, when: lead.owner.ae = null, then: {route: desk}}, {name: kept, then: keep}]
"""
REPS = "id,name,team,ramp,capacity\na,A,SDR,1,14\nb,B,SDR,0.5,30\nc,C,SDR,0.3,9\nd,D,REST,,\ne,E,REST,,\nz,Z,,,\nmia,Mia,,,\n"


def two_roles(folder: Path, rng: random.Random) -> Any:
    """Some leads have an owner who is in no pool; dates repeat, and rows with a bad cell, no id or an id twice are rejected."""
    leads = "Lead ID,Company,Account,CreatedDate,Score,SDR Owner,Email\n"
    for i in rng.sample(range(140), 140):
        owner = rng.choice(["z", "", "", ""])
        company = "" if owner else rng.choice([f"C{rng.randrange(25)}", ""])
        leads += f"L{i:03},{company},{rng.choice(['A1', 'A2', ''])},{rng.randrange(1, 13):02}/{rng.randrange(1, 28):02}/2025,"
        leads += f"{rng.choice(['3', '11', '20', 'x'])},{owner},\n"
    leads += "L005,C1,,01/02/2025,3,,\n,C1,,01/02/2025,3,,\n"
    accounts = "id,name,owner\nA1,Acme,z\nA2,Bolt,e\n"
    return policy_text(folder, TWO_ROLES, data__leads_csv=leads, data__accounts_csv=accounts, data__reps_csv=REPS)


def in_tasks(evaluator: Any, tables: Any, as_of: str, number: int, decide: Any = None) -> Any:
    """What the tasks of a Spark run do, one after the other; the reason if turns must be taken one by one."""
    from functools import partial

    from roe.columns.raw import Raw
    from roe.data.headers import columns_of, field_of
    from roe.share.common import Here
    from roe.share.parcels import LINE, Key, opened, packed, table_of
    from roe.share.plan import Share, share
    from roe.share.pools import Said, hand_out
    from roe.share.tasks import HANDED, SAID, Shared, of_records
    from roe.share.waiting import columns_for_pools, waiting

    how = share(evaluator.policy)
    assert isinstance(how, Share), how
    whole = {entity: Raw.of_rows(rows) for entity, rows in tables.items()}
    leads, others = whole[ENTITY], {entity: raw for entity, raw in whole.items() if entity != ENTITY}
    fields = evaluator.policy.model.entities[ENTITY]
    held = columns_of(ENTITY, fields, leads.columns, evaluator.policy.model.roles())
    habits = {c: h for name, c in held.items() if (h := leads.habits_of(c, field_of(fields, name))) is not None}
    columns = columns_for_pools(evaluator.policy, how, leads.columns, remembers=False)
    bucket = np.array([hash((x, "bucket")) % number for x in pa.array(leads.columns[held["id"]]).to_pylist()])

    def task(i: int, handed: Any = None) -> Any:
        rows = np.flatnonzero(bucket == i)
        own = {name: pa.array(c).take(pa.array(rows)) for name, c in leads.columns.items()}
        gave = {HANDED: Raw.of_table(handed)} if handed is not None and len(rows) else {}
        return {**others, ENTITY: Raw(own, len(rows), leads.lines[rows], leads.origin, habits), **gave}

    found = [
        (i, of, rows)
        for i in range(number)
        for of, rows in waiting(evaluator, as_of, task(i), {}, entity=ENTITY, columns=columns, is_first=True).items()
    ]
    parcels = [batch for i, of, rows in found for batch in packed(of, rows, np.full(len(rows), i)).to_batches()]
    give = partial(hand_out, entity=ENTITY, files=None)
    giver = of_records(
        give, Here(evaluator, as_of, others, {}), Shared("", table_of(leads).schema, Key(held["id"]), habits), ENTITY, waiting_first=False
    )
    gave = dict(opened(giver(iter(parcels))))
    said = Said.of(gave[0][SAID])
    if said.reason:
        return said.reason
    shares = [(decide or _batch)(evaluator, as_of, task(i, gave.get(i, {}).get(HANDED))) for i in range(number)]
    return said, shares, sum(len(rows) for _, _, rows in found if LINE in rows.column_names)


def _batch(evaluator: Any, as_of: str, tables: Any) -> Any:
    from roe.run.columns import batch_of
    from roe.share.pools import run_of

    return batch_of(run_of(evaluator, as_of, tables, {}, ENTITY))


def compare(evaluator: Any, tables: Any, as_of: str, number: int) -> str:
    from roe.columns.run import ColumnRun
    from roe.columns.turn_files import lines_of
    from roe.run.columns import batch_of

    found = in_tasks(evaluator, tables, as_of, number)
    if isinstance(found, str):
        return found
    said, shares, _ = found
    expected = batch_of(ColumnRun.of(evaluator, tables, as_of=as_of))
    assert said.turns == lines_of(expected.turns)
    assert said.pools == expected.pools
    for i, portion in enumerate(expected.portions):
        for name in portion.lines.column_names:
            own = {
                x: y for share in shares for x, y in zip(*(share.portions[i].lines[c].to_pylist() for c in ("record", name)), strict=True)
            }
            assert own == dict(zip(portion.lines["record"].to_pylist(), portion.lines[name].to_pylist(), strict=True)), name
    return ""


def test_any_trace_is_made_from_what_tasks_have_kept(tmp_path: Path) -> None:
    """Each task keeps what it saw of its own leads; what all of them saw alike is kept once."""
    from roe.columns.evidence import RunEvidence
    from roe.columns.raw import Raw
    from roe.columns.turn_files import POOLS
    from roe.run.engine import Job
    from roe.run.shared import Wanted, decide, keep_others
    from roe.run.source import Source

    root = two_roles(tmp_path / "p", random.Random(4))
    evaluator = roe.compile(roe.load(root))
    tables, _ = read_tables(evaluator.policy, root / "data")
    out = tmp_path / "out"
    job = Job(evaluator, Source(evaluator.policy, root / "data"), "2026-02-01")
    keep_others({entity: Raw.of_rows(rows) for entity, rows in tables.items() if entity != ENTITY}, out, job)
    said, _, _ = in_tasks(
        evaluator, tables, "2026-02-01", 3, lambda e, at, own: decide(e, at, own, {}, wanted=Wanted(str(out), traces=True), entity=ENTITY)
    )
    (out / "turns.jsonl").write_text("".join(line + "\n" for line in said.turns), "utf-8")
    (out / POOLS).write_text(said.pools, "utf-8")
    evidence = RunEvidence(out)
    assert len(evidence.parts(ENTITY)) == len(evidence.parts("owners")) == 3 and len(evidence.parts("rep")) == 1
    for d in evaluator.bind(tables, as_of="2026-02-01").decide_all():
        expected = d.trace.as_json()
        assert (d.entity, d.id) in evidence.find(d.id)
        assert evidence.decision(d.entity, d.id, d.role).trace.as_json() == expected, (d.id, d.role)


@pytest.mark.parametrize("number", [1, 3, 7])
def test_two_roles_owners_and_rejects(number: int, tmp_path: Path) -> None:
    root = two_roles(tmp_path / "p", random.Random(4))
    evaluator = roe.compile(roe.load(root))
    tables, _ = read_tables(evaluator.policy, root / "data")
    assert compare(evaluator, tables, "2026-02-01", number) == ""
    assert in_tasks(evaluator, tables, "2026-02-01", number)[2] < 142  # rejected rows do not travel


@pytest.mark.parametrize("line", ["L500,C1,,01/02/2025,3,a,", "L501,,,01/02/2025,20,b,", "L502,C1,,01/02/2024,3,z,"])
def test_owners_of_waiting_leads_and_of_others_of_their_companies_count_in_tasks_too(line: str, tmp_path: Path) -> None:
    root = two_roles(tmp_path / "p", random.Random(4))
    leads = root / "data" / "leads.csv"
    leads.write_text(leads.read_text("utf-8") + line + "\n", "utf-8")
    evaluator = roe.compile(roe.load(root))
    tables, _ = read_tables(evaluator.policy, root / "data")
    assert compare(evaluator, tables, "2026-02-01", 2) == ""


def test_why_turns_must_be_taken_one_by_one_is_said(tmp_path: Path) -> None:
    root = two_roles(tmp_path / "p", random.Random(4))
    policy = root / "policy.yaml"
    policy.write_text(policy.read_text("utf-8").replace('rep.team = "SDR"\'', 'rep.team = "SDR" and lead.id != rep.id\''), "utf-8")
    leads = root / "data" / "leads.csv"
    more = "".join(f"X{i},,,01/02/2025,3,,\n" for i in range(1100))
    leads.write_text(leads.read_text("utf-8") + more, "utf-8")
    evaluator = roe.compile(roe.load(root))
    found = in_tasks(evaluator, read_tables(evaluator.policy, root / "data")[0], "2026-02-01", 2)
    assert found == "the pool `desk` would have to tell too many kinds of leads apart"


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        ("{members: [a, b], strategy: least_loaded}", ""),
        ("{members: 'some a in lead.activities satisfies a.type = rep.team'}", "the pool `desk` must decide each lead separately"),
        ("{members: 'rep.id = lead.hint or lead.created < now'}", ""),
        ("{members: 'rep.team = \"SDR\" and count(lead.activities) < 3'}", "a pool reads more about each lead than its own fields"),
        ("{members: [a, b], sticky: 'if count(lead.activities) > 3 then lead.hint else null'}", "a pool reads more about each lead than its own fields"),
    ],
)  # fmt: skip
def test_what_keeps_records_in_one_task(pool: str, why: str, tmp_path: Path) -> None:
    from roe.share.plan import Share, share

    text = f"roe: 1\nname: t\nroles: [sdr]\nfields: {{lead: {{hint: string}}}}\npools: {{desk: {pool}}}\n"
    found = share(roe.load(policy_text(tmp_path, text + "engagement: {lead: {sdr: [{name: all, then: {route: desk}}]}}\n")))
    assert found.startswith(why) if isinstance(found, str) else why == "" and isinstance(found, Share)


def test_the_inbound_example() -> None:
    evaluator = roe.compile(roe.load(EXAMPLES / "inbound"))
    tables, _ = read_tables(evaluator.policy, EXAMPLES / "inbound" / "data")
    assert compare(evaluator, tables, AS_OF["inbound"], 3) == ""


def test_a_policy_whose_pool_gets_deals_reads_their_accounts(tmp_path: Path) -> None:
    """Deals of one account go together unless the policy says otherwise, so whoever shares deals out must know their accounts."""
    rules = "      - {name: all, then: {route: desk}}\n"
    for entity, is_read in (("opportunity", True), ("lead", False)):
        text = f"roe: 1\nname: p\nroles: [ae]\npools:\n  desk: {{members: 'rep.role = \"AE\"'}}\nengagement:\n  {entity}:\n    ae:\n{rules}"
        (tmp_path / "policy.yaml").write_text(text, "utf-8")
        policy, problems = load_policy(tmp_path)
        assert policy is not None, problems
        assert (("opportunity", "account") in reads(policy)) == is_read
