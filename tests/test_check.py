"""`roe check` on policies with one seeded fault each, on the examples, on what comments allow, and on single faults of each kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import roe
from effort import tries
from helpers import AS_OF, EXAMPLES, ROOT, policy_text
from roe.analysis.cases import Cases
from roe.analysis.check import findings
from roe.analysis.checked import CheckedPolicy
from roe.analysis.overlaps import overlaps
from roe.analysis.verdicts import PROVEN
from roe.cli import main
from roe.diagnostics import CODES

FAULTS = ROOT / "tests" / "faults"
SEEDED = {  # folder: code, what the message says, how many records of the data it touches (None: it is not about records)
    "rule-behind-others": ("R405", "`premium` can never fire", 2),
    "bands-that-meet": ("R407", "both match employees = 500", 1),
    "case-that-no-row-covers": ("R411", "`desk` does not cover a case", 1),
    "default-that-hides-a-gap": ("R412", "revenue = 1000000", 1),
    "country-that-is-not-a-code": ("R415", "`germany` can never fire", 0),
    "days-without-anybody": ("R416", "from 2026-07-01 to 2026-07-15", 10),
    "staffed-by-a-leaver": ("R417", "`lou`, who is not active", None),
    "pool-without-members": ("R418", "the pool `events` has no members", None),
    "pool-that-is-too-small": ("R419", "can take 4 a day, but its history brings 6.0", 30),
    "list-that-nobody-asks-for": ("R420", "`old_partners` is never used", None),
    "field-that-no-record-has": ("R421", "account.renewal_risk", 3),
    "postal-code-in-two-tables": ("R422", 'both take postal_code = "80202"', 2),
}
OF_DATA = {"R417", "R418", "R419", "R421"}  # what only the data can show


def check(folder: Path, *args: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(main, ["check", str(folder), "--format", "json", *args])
    found: list[dict[str, Any]] = json.loads(done.output)
    return found


@pytest.mark.parametrize("name", sorted(SEEDED))
def test_a_seeded_fault_is_found_and_nothing_else(name: str) -> None:
    code, said, touched = SEEDED[name]
    (one,) = check(FAULTS / name)
    assert one["code"] == code and said in one["message"], one
    assert (one["touches"]["records"] if one["touches"] else None) == touched, one
    assert one["certainty"] in ("proven", "possible") and one["help"]
    assert [d["code"] for d in check(FAULTS / name, "--no-data")] == ([] if code in OF_DATA else [code])


@pytest.mark.parametrize("name", sorted(p.name for p in FAULTS.iterdir()))
def test_witnesses_of_a_faulty_policy_are_decided_as_it_is_said(name: str) -> None:
    subject = CheckedPolicy(roe.compile(roe.load(FAULTS / name)))
    seen = 0
    for table in subject.tables:
        for v in table.never if table.step.hit == "first" else ():
            if v.witness is not None:
                fired = table.finder.asked(v.witness, table.chooser)
                assert fired is not None and fired[0][0] < v.rules[0]
                seen += 1
        for v in overlaps(table) if table.step.hit == "unique" else ():
            assert v.witness is not None and set(v.rules) <= set(table.finder.holding(v.witness, table.chooser) or ())
            seen += 1
    assert seen >= {
        "rule-behind-others": 1,
        "bands-that-meet": 1,
        "rows-that-meet-on-a-day": 2,
        "rules-behind-one": 3,
        "rows-behind-one": 2,
    }.get(name, 0)
    assert findings(subject) == findings(CheckedPolicy(subject.evaluator)), "whatever was asked before"


EVERY_DATE = {"windows", "crm"}  # whose conditions about dates make `roe check` look at all days of seventy years


@pytest.mark.parametrize("name", sorted(tries(AS_OF.keys() - EVERY_DATE, AS_OF.keys(), AS_OF.keys())))
def test_the_examples_have_no_findings(name: str) -> None:
    assert [d for d in check(EXAMPLES / name) if d["severity"] != "hint"] == []


def test_a_comment_with_a_reason_allows_one_finding(tmp_path: Path) -> None:
    """The first has a reason, the second has none, and the third allows what is not there."""
    text = (FAULTS / "rules-behind-one" / "policy.yaml").read_text("utf-8")
    text = text.replace("then: hold}", "then: hold}   # roe: allow R405 because the next quarter needs it")
    text = text.replace("then: keep}", "then: keep}   # roe: allow R405").replace(
        "then: open}", "then: open}   # roe: allow R407 because of nothing", 1
    )
    found = check(policy_text(tmp_path, text))
    assert [d["message"].split()[0] for d in found if d["code"] == "R405"] == ["`old`", "`late`"]
    assert {d["message"] for d in found if d["code"] == "R424"} == {
        "the comment gives no reason",
        "the comment allows R407, but suppresses no finding here",
    }
    above = text.replace("   # roe: allow R405\n", "\n").replace(
        "      - {name: late", "      # roe: allow R405 because it was agreed\n      - {name: late"
    )
    found = check(policy_text(tmp_path / "above", above))
    assert [d["message"].split()[0] for d in found if d["code"] == "R405"] == ["`old`"]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("tables: {t: {hit: any, rows: [{employees: '> 5', t: a}, {employees: '> 9', t: b}, {employees: '<= 5', t: a}]}}", "R410", "and disagree"),
        ("tables: {t: {hit: priority, priority: [g, s], rows: [{employees: '> 9', t: s}, {employees: '> 5', t: g}], default: s}}", "R405", "is never chosen: `g` has priority"),
        ("territories: {rows: [{name: a, country: 'DE,AT'}, {name: b, country: 'FR,DE'}]}", "R405", "`DE` in `b` never decides"),
        ("pools: {p: {members: [{rep: x, until: 2026-01-01}, {rep: y, from: 2026-02-01}]}}", "R416", "nobody is in the pool `p` from 2026-01-01 to 2026-02-01"),
        ("territories: {rows: [{name: a, country: US}], staffing: [{territory: a, role: ae, rep: x, until: 2026-03-01}, {territory: a, role: ae, rep: y, from: 2026-02-01}]}", "R407", "`x` and `y` both staff `a` as ae from 2026-02-01 to 2026-03-01"),
        ("scores: {s: {criteria: [{name: a, when: 'account.employees in [100..500]', points: 1}, {name: b, when: account.employees >= 500, points: 2}]}}", "R425", "`a` and `b` both count employees = 500"),
        ("territories: {hit: unique, rows: [{name: a, employees: '< 10'}, {name: b, employees: '> 20'}]}", "R411", "employees >= 10 and employees <= 20"),
        ("sources: [{name: a, when: 'lead.country in (\"US\", \"DE\")'}, {name: b, when: lead.country = \"US\" and lead.employees > 5}]", "R405", "`b` can never fire: `a`"),
        ("scores: {s: {criteria: [{name: a, when: account.employees > 5 and account.employees < 3, points: 1}]}}", "R415", "no record meets its conditions"),
        ("fields: {account: {kind: {type: string, values: [x, y], required: true}}}\ntables: {t: {rows: [{kind: 'x,y', t: a}, {employees: '> 1', t: b}]}}", "R405", "`b` can never fire"),
    ],
)  # fmt: skip
def test_one_fault_of_each_kind(body: str, code: str, said: str, tmp_path: Path) -> None:
    engagement = "engagement:\n  account:\n    ae:\n      - {name: all, then: keep}\n"
    found = check(policy_text(tmp_path, f"roe: 1\nname: one\nroles: [ae]\n{body}\n{engagement}"))
    assert [(d["code"], said in d["message"] + str(d["witness"])) for d in found] == [(code, True)], found


TWO_LISTS = """
roe: 1
name: lists
roles: [ae]
lists: {west: ["94105", "97201", "80202", "98101"], east: ["10001", "80202", "02108", "33101"]}
territories:
  rows: [{name: a, country: US}, {name: b, country: DE}]
  staffing: [{territory: a, role: ae, rep: x}]
engagement:
  account:
    ae:
      - {name: west, when: account.postal_code in west, then: keep}
      - {name: east, when: account.postal_code in east, then: open}
      - {name: owner, when: territory != null, then: {assign: territory_owner}}
      - {name: rest, then: hold}
"""


def test_lists_that_share_a_value_and_territories_without_anybody(tmp_path: Path) -> None:
    found = check(policy_text(tmp_path, TWO_LISTS))
    assert [(d["code"], d["message"]) for d in found] == [
        ("R416", "nobody staffs `b` as ae"), ("R422", 'the lists `east` and `west` both have postal_code = "80202"'),
    ]  # fmt: skip
    other = policy_text(tmp_path / "else", TWO_LISTS.replace("{assign: territory_owner}", "{assign: territory_owner}, else: open"))
    assert [d["code"] for d in check(other)] == ["R422"]


@pytest.mark.parametrize(
    ("rules", "code", "said"),
    [
        (["account.employees > 10", "account.employees > 100", ""], "R405", "`r2` can never fire: `r1`"),
        (["account.employees > 10", "account.employees <= 10", "account.employees != null", ""], "R405", "`r1`, `r2` come first and together match"),
        (["account.employees > 10 -> keep", "account.employees > 100 -> open", "account.country = null -> open", " -> open"], "R413", "`r3` makes no difference"),
        (["account.employees = null or account.employees != null", ""], "R414", "is true of every account"),
        (["account.employees > 10"], "R411", "do not cover some accounts"),
        (["account.big", "account.employees > 2000", ""], "R405", "`r2` can never fire: `r1`"),
        (["account.kind = \"small\"", "account.employees < 5", ""], "R405", "`r2` can never fire: `r1`"),
        (["account.country = \"Prussia\"", ""], "R415", "no record meets its conditions"),
    ],
)  # fmt: skip
def test_rules_of_one_role(rules: list[str], code: str, said: str, tmp_path: Path) -> None:
    kinds = ["keep", "open", "hold", "return"]
    lines = []
    for i, text in enumerate(rules, 1):
        when, _, then = text.partition("->")
        asked = f"when: {json.dumps(when.strip())}, " if when.strip() else ""
        lines.append(f"      - {{name: r{i}, {asked}then: {then.strip() or kinds[i % 4]}}}")
    defined = 'define: {account.big: account.employees > 1000, account.kind: \'if account.employees < 10 then "small" else "large"\'}\n'
    body = "\n".join(lines)
    found = check(policy_text(tmp_path, f"roe: 1\nname: one\nroles: [ae]\n{defined}engagement:\n  account:\n    ae:\n{body}\n"))
    assert (code, True) in [(d["code"], said in d["message"]) for d in found], found
    assert {d["code"] for d in found} <= {code, "R405", "R413"}


def test_a_field_compared_with_a_field_needs_a_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("z3")
    text = """
roe: 1
name: fields
roles: [ae]
fields: {account: {cost: {type: number}, ends: {type: date}}}
engagement:
  account:
    ae:
      - {name: dear, when: account.revenue > account.cost, then: keep}
      - {name: dearer, when: account.revenue > account.cost + 10, then: open}
      - {name: ended, when: account.ends < today, then: hold}
      - {name: long-ended, when: account.ends + 30 days < today, then: return}
      - {name: odd, when: account.cost > account.revenue and account.revenue > account.cost, then: return}
      - {name: rest, then: open}
"""
    found = {d["message"].split("`")[1]: d for d in check(policy_text(tmp_path, text))}
    assert set(found) == {"dearer", "long-ended", "odd"}
    assert all(d["certainty"] == PROVEN for d in found.values())
    from roe.analysis import smt

    monkeypatch.setattr(smt, "available", lambda: False)
    assert {d["message"].split("`")[1] for d in check(tmp_path)} <= {"odd", "long-ended"}  # dates need no solver


def test_a_solver_says_impossible_of_nothing_that_brute_force_finds() -> None:
    """Random conditions between two numbers: what is called impossible holds for none of all pairs."""
    pytest.importorskip("z3")
    import itertools
    import random
    import tempfile

    from roe.analysis.smt import Relations
    from roe.grammar.clock import Clock
    from roe.grammar.closures import compile_expression
    from roe.grammar.parser import parse
    from roe.grammar.scopes import CLOCK

    with tempfile.TemporaryDirectory() as folder:
        policy = roe.load(policy_text(Path(folder), "roe: 1\nname: x\nroles: [ae]\nfields: {account: {cost: {type: number}}}\n"
                                      "engagement: {account: {ae: [{name: a, then: keep}]}}\n"))  # fmt: skip
    cases = Cases(policy, policy.plan.engagement["account", "ae"])
    rng = random.Random(3)
    parts = ["account.revenue {o} account.cost", "account.revenue {o} account.cost + {n}", "account.revenue - account.cost {o} {n}", "account.revenue {o} {n}",
             "account.cost {o} {n}", "account.cost = null", "account.revenue * 2 {o} account.cost", "not(account.revenue {o} account.cost)"]  # fmt: skip
    values = [None, *range(-6, 7)]
    impossible_, possible, shown = 0, 0, 0
    for _ in range(150):
        texts = [
            p.replace("{o}", rng.choice(["<", "<=", ">", ">=", "=", "!="])).replace("{n}", str(rng.randrange(-3, 4)))
            for p in rng.sample(parts, 3)
        ]
        trees = [tree for text in texts if (tree := parse(text)[0]) is not None]
        codes = [compile_expression(tree) for tree in trees]
        holds = any(
            codes[0](row) is True and codes[1](row) is True and codes[2](row) is not True
            for row in ({CLOCK: Clock.at("2026-01-01"), "account": {"revenue": r, "cost": c}} for r, c in itertools.product(values, values))
        )
        said = Relations(cases, trees).impossible([0, 1], [2])
        assert not (said and holds), texts
        impossible_, possible, shown = impossible_ + said, possible + (not said), shown + holds
    # whole numbers near zero do not show all that is possible, but nearly
    assert impossible_ > 20 and possible > 50 and shown > 0.9 * possible


def test_options_of_the_command() -> None:
    gap, left = str(FAULTS / "days-without-anybody"), FAULTS / "staffed-by-a-leaver"
    assert CliRunner().invoke(main, ["check", gap]).exit_code == 0
    assert CliRunner().invoke(main, ["check", gap, "--strict"]).exit_code == 1
    assert check(left) and check(left, "--as-of", "2026-01-01"), "who is not active is not, whatever the day"
    sarif = json.loads(CliRunner().invoke(main, ["check", str(FAULTS / "rules-behind-one"), "--format", "sarif"]).output)
    assert len(sarif["runs"][0]["results"]) == 3


def test_a_data_folder_of_something_else_is_no_mistake(tmp_path: Path) -> None:
    folder = policy_text(
        tmp_path, "roe: 1\nname: x\nroles: [ae]\nengagement: {account: {ae: [{name: all, then: keep}]}}\n", data__notes_csv="a,b\n1,2\n"
    )
    done = CliRunner().invoke(main, ["check", str(folder)])
    assert done.exit_code == 0 and "skipped the records" in done.stderr
    assert CliRunner().invoke(main, ["check", str(folder), "--data", str(folder / "data")]).exit_code == 2


def test_each_finding_of_the_analysis_has_a_code_with_a_page() -> None:
    for code in (
        "R405",
        "R407",
        "R410",
        "R411",
        "R412",
        "R413",
        "R414",
        "R415",
        "R416",
        "R417",
        "R418",
        "R419",
        "R420",
        "R421",
        "R422",
        "R423",
        "R424",
    ):
        assert code in CODES and (ROOT / "docs" / "diagnostics" / f"{code}.md").is_file()


@pytest.mark.parametrize("given", ["rest", "{name: rest}"])
def test_the_default_of_territories_is_a_territory(given: str, tmp_path: Path) -> None:
    text = (
        "roe: 1\nname: t\nroles: [ae]\nterritories:\n  hit: first\n"
        f"  default: {given}\n"
        "  rows: [{name: us, country: US, region: AMER}]\n"
        "  staffing: [{territory: us, role: ae, rep: ann}, {territory: rest, role: ae, rep: ben}]\n"
        "engagement: {account: {ae: [{name: none, when: territory.name = null, then: open}, {name: all, then: {assign: territory_owner}}]}}\n"
    )
    evaluator = roe.compile(roe.load(policy_text(tmp_path, text)))
    run = evaluator.run(
        {"account": [{"id": "A1", "country": "US"}, {"id": "A2"}], "rep": [{"id": "ann"}, {"id": "ben"}]}, as_of="2026-02-01"
    )
    assert [(d.id, d.owner, d.territory) for d in run.decisions] == [("A1", "ann", "us"), ("A2", "ben", "rest")]
