"""Pools that look at the record, in columns: the same turns as one by one, whatever the kinds, caps, companies and fallbacks."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
import yaml

import roe
from effort import tries
from helpers import AS_OF, EXAMPLES, compiled, example, policy_text
from made_policies import ask_a_second_pool
from roe.data.read import read_tables

pytest.importorskip("pyarrow")

MEMBERS = [
    'rep.team = "A" and contains(rep.languages, lead.language)', "rep.region = lead.region", 'rep.team = "B" or rep.level >= lead.level',
    'rep.team = "A"', "contains(rep.languages, lead.language) and rep.region in (lead.region, lead.account.region)",
]  # fmt: skip
WEIGHTS = ["rep.ramp", "if lead.level > 2 then rep.ramp else 1", "rep.level + 1"]
CAPS = [
    {"per_day": "rep.level * 3"},
    {"open_leads": "9"},
    {"per_day": "if lead.level > 3 then 2 else 6"},
    {"per_week": "7", "open_leads": "rep.level + 4"},
]


def made(rng: random.Random, folder: Any) -> Any:
    """A policy of pools that look at the lead, and data for it."""
    pools = []
    for name, fallback in (("p", "q"), ("q", "mia"), ("r", "p")):
        strategy = rng.choice(["round_robin", "weighted", "top_score", "least_loaded"])
        more = [f"    members: '{rng.choice(MEMBERS)}'", f"    strategy: {strategy}", f"    fallback: {fallback}"]
        more += [f"    weight: '{rng.choice(WEIGHTS)}'"] * (strategy == "weighted")
        more += ["    score: 'if rep.region = lead.region then rep.level else 0'"] * (strategy == "top_score")
        more += [f"    caps: {json.dumps(rng.choice(CAPS))}"] * (rng.random() < 0.7)
        more += ["    together: " + rng.choice(["lead.company", "never", "never"])]
        more += ["    sticky: lead.last_rep"] * (rng.random() < 0.3)
        pools += [f"  {name}:", *more]
    text = "roe: 1\nname: t\ntimezone: UTC\nroles: [sdr]\nfields:\n  lead: {language: string, region: string, level: number, last_rep: string}\n"
    text += "  rep: {languages: string, level: number}\n  account: {region: string}\npools:\n" + "\n".join(pools)
    text += "\nengagement:\n  lead:\n    sdr:\n      - {name: one, when: lead.level > 2, then: {route: p}}\n"
    text += "      - {name: two, when: 'lead.region = \"N\"', then: {route: r}, because: '{lead.name} is in the north'}\n      - {name: rest, then: {route: q}}\n"
    policy = yaml.safe_load(text)
    seconds = random.Random(text)
    if seconds.random() < 0.5:
        ask_a_second_pool(seconds, policy["pools"], policy["engagement"]["lead"]["sdr"])
    folder.mkdir()
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy, sort_keys=False), "utf-8")

    def some(values: list[Any]) -> Any:
        return rng.choice([*values, None])

    reps = [
        {
            "id": f"r{i}",
            "name": f"R{i}",
            "team": some(["A", "B"]),
            "region": some(["N", "S"]),
            "languages": some(["en", "en de", "fr"]),
            "level": str(rng.randrange(5)),
            "ramp": some(["1", "0.5", "0.3"]),
        }
        for i in range(9)
    ]
    leads = [
        {"id": f"L{i:03}", "name": f"Lead {i}", "created": f"2026-01-{rng.randrange(1, 28):02}", "language": some(["en", "de", "fr"]), "region": some(["N", "S"]),
         "level": some(["1", "2", "3", "4"]), "company": some([f"C{rng.randrange(12)}"]), "account": some(["A1", "A2"]), "last_rep": some(["r1", "r2", None, None])}
        for i in range(90)
    ]  # fmt: skip
    accounts = [{"id": "A1", "region": "N"}, {"id": "A2", "region": "S"}]
    return roe.compile(roe.load(folder)), {"lead": leads, "rep": [*reps, {"id": "mia", "name": "Mia"}], "account": accounts}


def test_random_pools_give_the_same_turns(tmp_path: Any) -> None:
    """By rows, in columns, in portions, and across tasks that have some leads each."""
    pytest.importorskip("pyarrow")
    from alike import COLUMNS, ROWS, TASKS, assert_alike
    from in_tasks import InTasks
    from made_worlds import write_tables

    shared, seeds = 0, tries(4, 12, 100)
    for seed in range(seeds):
        folder = tmp_path / str(seed)
        evaluator, tables = made(random.Random(seed), folder)
        write_tables(folder / "data", tables)
        tasks = sorted(TASKS.items())[seed % len(TASKS)]
        try:
            engines = {**ROWS, **COLUMNS, **dict([tasks])}
            assert_alike(engines, evaluator, folder / "data", "2026-02-01", folder, remembers=False, turns=("jsonl", "parquet")[seed % 2])
        except AssertionError as e:
            raise AssertionError(f"seed {seed}: {e}") from e
        if issubclass(tasks[1], InTasks):
            shared += tasks[1].together == ""
    assert shared > seeds / 3


@pytest.mark.parametrize("cap", ["open_leads", "per_day"])
def test_a_lead_in_two_roles_counts_once_for_a_rep(cap: str, tmp_path: Any) -> None:
    """Both roles of a lead may go to one rep, who then has one more open lead, and two more of today."""
    from roe.columns.run import ColumnRun
    from roe.columns.turn_files import lines_of
    from roe.run.columns import batch_of
    from roe.run.rows import batch_of as by_rows

    policy = f"""
roe: 1
name: t
roles: [sdr, ae]
pools:
  desk: {{members: 'rep.team = "A"', strategy: weighted, weight: rep.ramp, caps: {{{cap}: 9}}, together: never, fallback: rest}}
  tongues: {{members: 'rep.team = lead.region', caps: {{{cap}: 12}}, together: never, fallback: desk}}
  rest: {{members: 'rep.team = "B"'}}
fields: {{lead: {{region: string}}}}
engagement:
  lead:
    sdr: [{{name: one, when: 'lead.region = "B"', then: {{route: tongues}}}}, {{name: rest, then: {{route: desk}}}}]
"""
    second = "    ae: [{name: all, then: {route: desk}}]\n"
    reps = [{"id": f"r{i}", "name": f"R{i}", "team": "AABC"[i % 4], "ramp": ["1", "0.5"][i % 2]} for i in range(9)]
    rng, handed = random.Random(1), 0
    for number in range(6):
        text = policy.replace("'rep.team = lead.region'", "'rep.team = \"C\"'") if number % 2 else policy
        evaluator = roe.compile(roe.load(policy_text(tmp_path / str(number), text + second * (number > 3))))
        leads = [
            {"id": f"L{i:03}", "created": f"2026-01-{rng.randrange(1, 28):02}", "region": rng.choice(["B", None])}
            for i in range(80)
        ]  # fmt: skip
        tables: dict[str, Any] = {"lead": leads, "rep": reps}
        run = ColumnRun.of(evaluator, tables, as_of="2026-02-01")
        assert lines_of(batch_of(run).turns) == by_rows(evaluator.run(tables, as_of="2026-02-01")).turns, number
        handed += bool(run.handed)
    assert handed == 6


@pytest.mark.parametrize("tasks", ["3 tasks", "portions"])
def test_a_pool_may_tell_hundreds_of_kinds_apart(tasks: str, tmp_path: Any) -> None:
    """Every lead is a kind of its own, which one rep must not have; the reps reach their caps one after the other, each in all kinds."""
    from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike
    from made_worlds import write_tables

    policy = """
roe: 1
name: t
roles: [sdr]
pools:
  desk: {members: 'rep.team = "A" and lead.not_by != rep.id and lead.size < rep.level', caps: {per_day: 90}, strategy: weighted, weight: rep.ramp, together: never}
  rest: {members: [zoe], together: never}
fields: {lead: {size: number, not_by: string}, rep: {level: number}}
engagement: {lead: {sdr: [{name: all, then: {route: desk}, else: {route: rest}}]}}
"""
    rng = random.Random(5)
    reps = [{"id": f"r{i}", "name": f"R{i}", "team": "A", "level": 280 + i * 60, "ramp": ["1", "0.5"][i % 2]} for i in range(5)]
    leads = [
        {"id": f"L{i:03}", "created": f"2026-01-{rng.randrange(1, 28):02}", "size": i, "not_by": f"r{i % 5}"} for i in range(500)
    ]  # fmt: skip
    write_tables(tmp_path / "data", {"rep": [*reps, {"id": "zoe", "name": "Zoe"}], "lead": leads})
    engines = {**ROWS, **COLUMNS, tasks: TASKS[tasks]}
    evaluator = roe.compile(roe.load(policy_text(tmp_path / "policy", policy)))
    found = assert_alike(engines, evaluator, tmp_path / "data", "2026-02-01", tmp_path, remembers=False)
    assert TASKS[tasks].together == ""
    counts = Counter(x["owner"] for x in allocations(found))
    taken = [counts[f"r{i}"] for i in range(5)]
    assert max(taken) == 90 and counts["zoe"] == 500 - sum(taken) > 0


def test_the_inbound_example_is_handed_out_in_columns() -> None:
    from roe.columns.run import ColumnRun

    evaluator = example("inbound")
    tables, _ = read_tables(evaluator.policy, EXAMPLES / "inbound" / "data")
    assert ColumnRun.of(evaluator, tables, as_of=AS_OF["inbound"]).handed


OWNED = """
roe: 1
name: owned
roles: [sdr]
fields: {lead: {language: string}}
pools: {desk: {members: %s, strategy: round_robin}}
engagement: {lead: {sdr: [{name: all, then: {route: desk}}]}}
"""


@pytest.mark.parametrize("members", ["[ann, ben]", "'rep.role = lead.language'"], ids=["many at once", "by kind"])
def test_a_record_that_its_owner_gets_again_is_none_of_the_day(members: str) -> None:
    """Nothing asks who has these leads. The days that the next run will know count only who got a lead that was somebody else's, or nobody's."""
    from roe.columns.run import ColumnRun

    evaluator = compiled(OWNED % members)
    reps = [{"id": rep, "role": "de"} for rep in ("ann", "ben")]
    before = ["ann", "ann", "ben", "ben", None, "cid"]  # the turns are ann, ben, ann, ben, ann, ben
    leads = [{"id": f"L{i}", "language": "de", "owner.sdr": rep} for i, rep in enumerate(before)]
    tables: dict[str, Any] = {"rep": [*reps, {"id": "cid", "role": "AE"}], "lead": leads}
    run = ColumnRun.of(evaluator, tables, as_of="2026-02-01")
    assert run.state()["days"] == evaluator.run(tables, as_of="2026-02-01").state()["days"]
    assert run.state()["days"] == {"ann": {"2026-02-01": 2}, "ben": {"2026-02-01": 2}}  # not L0 of ann's, nor L3 of ben's
