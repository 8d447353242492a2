"""What a change of policy changes: rules by what they say, records that change hands, revisions of git, and limits."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import roe
from effort import tries
from helpers import AS_OF, EXAMPLES, compiled, example, example_policy, policy_text, tables
from roe.analysis import made_nights
from roe.analysis.diff import Impact, Load, Moved, changes, impact
from roe.analysis.equivalence import compare
from roe.cli import main
from roe.policy.format import format_policy

STATIC = EXAMPLES / "static"
DATA = ("--data", str(STATIC / "data"), "--as-of", "2026-02-01")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The static example with one rule gone, another action, and a shorter window."""
    folder = tmp_path / "other"
    shutil.copytree(STATIC, folder)
    path = folder / "policy.yaml"
    text = path.read_text()
    for old, new in ((" then: keep\n", " then: open\n"), ('when: account.tier = "A"', 'when: account.tier = "B"')):
        assert text.count(old) >= 1
        text = text.replace(old, new, 1)
    path.write_text(text)
    return folder


def run(*args: str) -> Any:
    return CliRunner().invoke(main, ["diff", *args])


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_a_policy_says_the_same_as_itself_however_it_is_laid_out(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / name, tmp_path / "copy")
    path = tmp_path / "copy" / "policy.yaml"
    path.write_text("# another comment\n\n" + format_policy(path.read_text("utf-8"), "policy.yaml"), "utf-8")
    assert changes(example_policy(name), roe.load(tmp_path / "copy")) == []


def test_rules_that_differ_are_shown_before_and_after(other: Path) -> None:
    found = changes(roe.load(STATIC), roe.load(other))
    assert [(c.where, c.kind, c.name) for c in found] == [
        ("engagement of account as ae", "changed", "protected"),
        ("engagement of account as csm", "changed", "tier-a"),
    ]
    assert "-> keep because" in found[0].before and "-> open because" in found[0].after


def test_the_impact_is_the_difference_of_two_runs(other: Path) -> None:
    before = example("static")
    after = roe.compile(roe.load(other))
    runs = [e.run(tables(before, STATIC / "data"), as_of="2026-02-01") for e in (before, after)]
    found = impact(*runs)
    owners = [{(d.id, d.role): d.previous if d.action == "refer" else d.owner for d in r.decisions} for r in runs]
    assert {(m.record, m.role): (m.before, m.after) for m in found.moved} == {
        k: (owners[0][k], owners[1][k]) for k in owners[0] if owners[0][k] != owners[1][k]
    }
    assert found.moved and sum(found.matrix().values()) == len(found.moved) == found.facts["moved"]
    for rep, (was, now, _, _) in found.load.items():
        assert (was, now) == tuple(sum(o == rep for o in own.values()) for own in owners)
    assert found.facts["windows_cut"] == sum(m.rule_before == "protected" for m in found.moved if m.role == "ae")
    assert impact(runs[0], runs[0]).moved == []


def test_a_field_that_differs_is_called_by_its_record_and_name() -> None:
    text = "roe: 1\nname: t\nroles: [ae]\ndefine: {{account.large: account.employees > {least}}}\nengagement: {{account: {{ae: [{{name: all, then: {then}}}]}}}}\n"
    old, new = (compiled(text.format(least=n, then=then)).policy for n, then in ((5, "keep"), (6, "open")))
    found = [(c.where, c.kind, c.name) for c in changes(old, new)]
    assert found == [("engagement of account as ae", "changed", "all"), ("account.large", "changed", "large")]
    assert changes(old, old) == []


def test_who_gains_from_whom_is_counted_also_of_records_that_nobody_has() -> None:
    def moved(before: str | None, after: str | None) -> Moved:
        return Moved("account", "A", "A", "ae", before, after, "", "", "", "", False, False)

    found = Impact(9, [moved("ann", "ben"), moved("ann", "ben"), moved(None, "ben"), moved("ann", None)], {})
    assert found.matrix() == {("ann", "ben"): 2, ("(nobody)", "ben"): 1, ("ann", "(nobody)"): 1}
    loads = {"ann": Load(1, 2, 2, None), "ben": Load(5, 1, 1, 3), "cat": Load(1, 3, 3, None), "dee": Load(4, 4, 4, 4)}
    found.load |= loads
    assert found.shifts() == [(rep, loads[rep]) for rep in ("ben", "cat", "ann")], "who gains or loses most comes first"
    found.names["ann"] = "Ann"
    assert [found.name(rep) for rep in ("ann", "ben", None)] == ["Ann", "ben", "(nobody)"]


@pytest.mark.parametrize("shape", ["text", "md", "json"])
def test_the_command_tells_it(other: Path, shape: str, tmp_path: Path) -> None:
    done = run(str(STATIC), str(other), *DATA, "--format", shape, "--page", str(tmp_path / "diff.html"))
    assert done.exit_code == 0, done.output
    assert "protected" in done.output and "<script" not in (tmp_path / "diff.html").read_text()
    if shape == "json":
        found = json.loads(done.output)
        assert not found["same"] and len(found["moved"]) == found["facts"]["moved"]
    else:
        assert "allocations change hands" in done.output


@pytest.mark.parametrize(
    ("limit", "code"),
    [("moved > 3", 1), ("moved_share > 50 / 100", 0), ("customers_moved > 0 or moved > 1000", 0), ("moved >", 2), ("moves > 1", 2)],
)
def test_limits(other: Path, limit: str, code: int) -> None:
    assert run(str(STATIC), str(other), *DATA, "--fail-if", limit).exit_code == code


def test_a_revision_of_git_is_a_policy_too(other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)

    def git(*args: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *args], check=True, capture_output=True)

    git("init", "-q")
    shutil.copytree(STATIC, repository / "rules")
    git("add", ".")
    git("commit", "-qm", "one")
    shutil.rmtree(repository / "rules")
    shutil.copytree(other, repository / "rules")
    done = run("HEAD:rules", "rules", "--format", "json")
    assert len(json.loads(done.output)["changes"]) == 2
    for wrong in ("HEAD:nowhere", "-x:rules", "nobody:rules"):
        done = run(wrong, "rules")
        assert done.exit_code == 2 and ("R801" in done.output or wrong[0] == "-"), done.output


def test_data_needs_a_moment(other: Path) -> None:
    assert run(str(STATIC), str(other), "--data", "x").exit_code == 2


BASE = """
roe: 1
name: base
roles: [ae]
fields: {account: {cost: {type: number}}}
lists:
  named: [a.com, b.com]
  dated: {file: dated.csv}
define:
  account.big: account.employees > 100
  account.calls: count(account.activities[type = "call"])
pools: {p: {members: [x, y]}}
engagement:
  account:
    ae:
      - {name: named, when: account.domain in named, then: keep}
      - {name: dated, when: account.domain in dated, then: hold}
      - {name: small, when: not(account.big), then: open}
      - {name: called, when: account.calls > 3, then: {route: p}}
      - {name: rest, then: return}
"""
DATED = "domain,from,until\nc.com,2026-01-01,\n"


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        (("a.com, b.com", "b.com, a.com"), "equivalent", ""),
        (("a.com, b.com", "a.com"), "different", 'domain = "b.com"'),
        (("account.employees > 100", "not(account.employees <= 100)"), "equivalent", ""),
        (("account.employees > 100", "account.employees >= 100"), "different", "employees = 100"),
        (("account.employees > 100", "account.employees != null and account.employees > 100"), "different", "employees"),  # unknown is no more
        (("when: account.domain in named", "when: 'account.domain in (\"a.com\", \"b.com\")'"), "equivalent", ""),
        (("[type = \"call\"]", "[type = \"mail\"]"), "undecided", "account.calls"),
        (("members: [x, y]", "members: [x]"), "undecided", "pool p"),
        (("cost: {type: number}", "cost: {type: number, default: 3}"), "undecided", "account.cost"),
        (("c.com,2026-01-01", "c.com,2026-02-01"), "different", "c.com"),
        (("name: base", "name: base\ntimezone: Europe/Berlin"), "undecided", "timezone"),
        (("account.calls > 3", "account.calls >= 3"), "undecided", ""),
        (("then: hold", "then: hold, because: x"), "different", "c.com"),
        (("when: account.calls > 3, then", "when: account.calls > 3 and true, then"), "equivalent", ""),
    ],
)  # fmt: skip
def test_verdicts_of_single_changes(
    change: tuple[str, str], verdict: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What neither a proof nor a made-up run shows is never called equivalent: an aggregate, a field's default, a time zone."""
    old, new = change
    if verdict == "undecided":  # however many runs are made up
        monkeypatch.setattr(made_nights, "WORLDS", tries(3, made_nights.WORLDS, made_nights.WORLDS))
    assert (BASE + DATED).count(old) == 1
    folders = [
        policy_text(tmp_path / str(i), text, dated_csv=dated)
        for i, (text, dated) in enumerate([(BASE, DATED), (BASE.replace(old, new), DATED.replace(old, new))])
    ]
    found = json.loads(run(*map(str, folders), "--format", "json").output)
    assert found["verdict"] == verdict, found
    assert said in json.dumps([found["not_compared"], found["cases"]]).replace('\\"', '"') or said in run(*map(str, folders)).output


def test_a_record_that_is_there_may_have_fields_that_differ_too(tmp_path: Path) -> None:
    """That an account has an ultimate parent at all, and what this parent's type is, are asked of one record."""
    shutil.copytree(EXAMPLES / "territories", tmp_path / "other")
    path = tmp_path / "other" / "policy.yaml"
    text = path.read_text("utf-8")
    old = 'account.ultimate_parent.type = "Holding"'
    assert text.count(old) == 1
    path.write_text(text.replace(old, 'account.ultimate_parent.type != "Holding"'), "utf-8")
    compared = compare(example("territories"), roe.compile(roe.load(tmp_path / "other")))
    assert compared.verdict != "equivalent"


POOL = "engagement: {account: {ae: [{name: all, then: {route: p}}]}}\npools: {p: {members: [ann, ben], caps: {open_accounts: CAP}, fallback: FALLBACK}}\n"
OWNED = "engagement: {account: {ae: [{name: all, then: keep}]}}\n"
EXCEPTIONS = OWNED + "exceptions: [{record: A1, role: ae, owner: WHO, approved_by: max, reason: deal, until: 2099-01-01}]\n"
CREDITS = (
    OWNED
    + "credits: {src: {for: account, rules: [{name: own, shares: {account.owner.ae: 100}}], disputes: {refer: DESK, within: 5 days}}}\n"
)
VACANT = (
    "territories: {hit: first, rows: [{name: us, country: US}], staffing: [{territory: us, role: ae, rep: ann, until: 2020-01-01}],"
    " fallback: {ae: WHO}}\nengagement: {account: {ae: [{name: t, then: {assign: territory_owner}}]}}\n"
)


@pytest.mark.parametrize(
    ("text", "old", "new", "verdict"),
    [
        (POOL.replace("FALLBACK", "ann"), "CAP", ("1", "2"), "different"),
        (POOL.replace("CAP", "0"), "FALLBACK", ("ann", "ben"), "different"),
        (POOL.replace("CAP", "5"), "FALLBACK", ("ann", "ben"), "different, as a made-up record shows"),  # nobody in this data needs it
        (EXCEPTIONS, "WHO", ("ann", "ben"), "different"),
        (EXCEPTIONS.replace("record: A1", "record: A9"), "WHO", ("ann", "ben"), "different"),  # a record that is not there, and may be
        (CREDITS, "DESK", ("ops", "finance"), "different"),
        (VACANT, "WHO", ("ann", "ben"), "different"),
    ],
)
@pytest.mark.parametrize("beside", ["old", "new", "nobody"])
def test_records_beside_a_policy_are_decided_where_its_text_does_not_tell(
    text: str, old: str, new: tuple[str, str], verdict: str, beside: str, tmp_path: Path
) -> None:
    data = {
        "data/accounts.csv": "id,name,country,owner\nA1,Acme,US,ann\nA2,Beta,US,ann\nA3,Gamma,US,ben\n",
        "data/reps.csv": "id,name\nann,Ann\nben,Ben\n",
        "data/disputes.csv": "id,credit,record,by,opened,reason\nd1,src,A1,ben,2026-01-30,mine\n",
    }
    for side, value in zip(("old", "new"), new, strict=True):
        policy_text(tmp_path / side, "roe: 1\nname: x\nroles: [ae]\n" + text.replace(old, value), **(data if beside == side else {}))
    done = run(str(tmp_path / "old"), str(tmp_path / "new"))
    assert done.exit_code == 0, done.output
    assert done.output.startswith(verdict.partition(",")[0] if beside != "nobody" else ("undecided", "different"))
    if beside != "nobody" and verdict == "different":
        assert 'id = "A' in done.output


def test_data_that_is_given_counts_for_the_verdict(tmp_path: Path) -> None:
    for side, who in (("old", "ann"), ("new", "ben")):
        policy_text(tmp_path / side, "roe: 1\nname: x\nroles: [ae]\n" + EXCEPTIONS.replace("WHO", who))
    policy_text(tmp_path / "records", "", **{"accounts.csv": "id\nA1\n", "reps.csv": "id\nann\nben\n"})
    done = run(str(tmp_path / "old"), str(tmp_path / "new"), "--data", str(tmp_path / "records"), "--as-of", "2026-02-01")
    assert done.exit_code == 0 and done.output.startswith("different: 1 case"), done.output


def test_the_page_of_a_diff_counts_one_and_millions_as_people_read_them() -> None:
    from roe.analysis.equivalence import Comparison
    from roe.web.diff import diff_page

    facts: dict[str, float] = {
        "moved": 1_234_567,
        "decided": 2_000_000,
        "moved_share": 0.617,
        "customers_moved": 1,
        "windows_cut": 1,
        "unowned": 0,
    }
    page = diff_page([], Comparison(), Impact(2_000_000, [], {}, facts), "old", "new")
    assert "1,234,567 of 2,000,000 allocations change hands" in page
    assert "1 customer<" in page and "1 live window is cut short" in page


def test_policies_with_other_fields_are_compared() -> None:
    """A case may be about a field that one of them does not have."""
    result = run(str(STATIC), str(EXAMPLES / "dynamic-books"))
    assert result.exit_code == 0 and result.output.startswith("different: ")


# What `changes` says of two policies, one row a change: a text of the policy before and after, and every change as (where, kind, name, before, after).
CHANGED = """
roe: 1
name: t
roles: [ae, sdr]
fields: {account: {cost: {type: number}}}
lists: {named: [a.com, b.com]}
define: {account.big: account.employees > 5}
scores: {best: {rank: {of: account.cost, within: account.country}}}
freezes: {account.size: {value: account.cost, from: 2026-02-01}}
tables: {desk: {hit: priority, priority: [x, y], rows: [{country: US, desk: x}, {country: DE, desk: y}], default: z}}
pools: {p: {members: [ann, ben], caps: {per_day: 2}}}
engagement:
  account:
    ae:
      - {name: one, when: account.big, then: keep}
      - {name: two, when: 'account.desk = "x"', then: {route: p}, because: said}
      - {name: three, then: {refer: ops, within: 3 days}}
      - {name: four, then: {assign: account.parent.owner.ae}, else: return}
"""
AE = "engagement of account as ae"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("keep}", "hold}", [(AE, "changed", "one", "account.big -> keep", "account.big -> hold")]),
        ("when: account.big, ", "", [(AE, "changed", "one", "account.big -> keep", "true -> keep")]),
        ("because: said", "because: so", [(AE, "changed", "two", 'account.desk = "x" -> route p because said', 'account.desk = "x" -> route p because so')]),
        ("else: return", "else: open", [(AE, "changed", "four", "true -> assign account.parent.owner.ae, else return", "true -> assign account.parent.owner.ae, else open")]),
        ("{name: one, when", "{name: uno, when", [(AE, "removed", "one", "account.big -> keep", ""), (AE, "added", "uno", "", "account.big -> keep")]),
        (
            "      - {name: one, when: account.big, then: keep}\n      - {name: two, when: 'account.desk = \"x\"', then: {route: p}, because: said}\n",
            "      - {name: two, when: 'account.desk = \"x\"', then: {route: p}, because: said}\n      - {name: one, when: account.big, then: keep}\n",
            [(AE, "moved", "the order of the rules", "one > two > three > four", "two > one > three > four")],
        ),
        ("    ae:", "    sdr: [{name: all, then: open}]\n    ae:", [("engagement of account as sdr", "added", "all", "", "true -> open"), ("policy", "changed", "order of roles", "account ae", "account sdr, account ae")]),
        ("employees > 5", "employees > 6", [("account.big", "changed", "big", "account.employees > 5", "account.employees > 6")]),
        ("account.big", "account.large", [(AE, "changed", "one", "account.big -> keep", "account.large -> keep"), ("account.large", "added", "large", "", "account.employees > 5"), ("account.big", "removed", "big", "account.employees > 5", "")]),
        ("{country: DE, desk: y}", "{country: FR, desk: y}", [("account.desk", "changed", "2. y", 'country = "DE" -> y', 'country = "FR" -> y')]),
        ("default: z", "default: x", [("account.desk", "changed", "(default)", "z", "x")]),
        ("priority: [x, y]", "priority: [y, x]", [("account.desk", "changed", "(priority)", "x, y", "y, x")]),
        ("hit: priority, priority: [x, y]", "hit: first", [("account.desk", "changed", "(hit)", "priority", "first"), ("account.desk", "changed", "(priority)", "x, y", "")]),
        ("[a.com, b.com]", "[a.com]", [("lists", "changed", "named", '"a.com", "b.com"', '"a.com"')]),
        ("named: [a.com, b.com]", "top: [a.com, b.com]", [("lists", "removed", "named", '"a.com", "b.com"', ""), ("lists", "added", "top", "", '"a.com", "b.com"')]),
        ("roles: [ae, sdr]", "roles: [sdr, ae]", [("policy", "changed", "roles", "ae, sdr", "sdr, ae")]),
        ("name: t\n", "name: other\n", []),  # what a policy is called decides nothing
    ],
)  # fmt: skip
def test_every_change_of_a_policy_is_shown_where_it_stands(old: str, new: str, expected: list[tuple[str, str, str, str, str]]) -> None:
    assert CHANGED.count(old) >= 1
    before, after = (compiled(text).policy for text in (CHANGED, CHANGED.replace(old, new)))
    found = [(c.where, c.kind, c.name, c.before, c.after) for c in changes(before, after)]
    assert found == expected


@pytest.mark.parametrize(
    ("old", "new", "where", "name", "words"),
    [
        ("within: 3 days", "within: 4 days", AE, "three", ("refer ops 3 days", "refer ops 4 days")),
        ("per_day: 2", "per_day: 3", "pools", "p", ("per_day = 2", "per_day = 3")),
        ("within: account.country", "within: account.state", "account.best_within", "best_within", ("account.country", "account.state")),
        ("from: 2026-02-01", "from: 2026-03-01", "account.size", "size", ("2026-02-01", "2026-03-01")),
        ("cost: {type: number}", "cost: {type: number, default: 3}", "fields", "account.cost", ("default nothing", "default 3")),
        ("name: t\n", "name: t\nworking_hours: 08:00-16:00\n", "policy", "working hours", ("09:00", "08:00")),
        ("name: t\n", "name: t\ntimezone: Europe/Berlin\n", "policy", "timezone", ("UTC", "Europe/Berlin")),
        ("name: t\n", "name: t\nwindows: {w: {role: ae, lasts: 30 days}}\n", "policy", "windows", ("", "name w")),
    ],
)
def test_a_change_of_a_part_is_shown_by_its_text(old: str, new: str, where: str, name: str, words: tuple[str, str]) -> None:
    before, after = (compiled(text).policy for text in (CHANGED, CHANGED.replace(old, new, 1)))
    change = next(c for c in changes(before, after) if (c.where, c.name) == (where, name))
    assert words[0] in change.before and words[1] in change.after and words[1] not in change.before


@pytest.mark.parametrize(
    ("old", "new", "where", "name", "before", "after"),
    [
        ("caps: {per_day: 2}", "caps: {per_day: 3, per_week: 9}, strategy: weighted, weight: rep.capacity", "pools", "p", "weight nothing; caps per_day = 2; strategy round_robin", "weight rep.capacity; caps per_day = 3, per_week = 9; strategy weighted"),
        ("caps: {per_day: 2}", "caps: {per_day: 2}, hours: working", "pools", "p", "hours False", "hours True"),
        ("name: t\n", "name: t\ndata: {lead: {dates: day-first}}\n", "policy", "data", "", "lead = dates day-first; optional False; rows 0; complete False"),
    ],
)  # fmt: skip
def test_of_a_changed_part_only_what_differs_is_shown(old: str, new: str, where: str, name: str, before: str, after: str) -> None:
    one, other = (compiled(text).policy for text in (CHANGED, CHANGED.replace(old, new, 1)))
    there = {(c.where, c.name): (c.before, c.after) for c in changes(one, other)}
    back = {(c.where, c.name): (c.before, c.after) for c in changes(other, one)}
    assert sorted(there[where, name][0].split("; ")) == sorted(before.split("; "))
    assert sorted(there[where, name][1].split("; ")) == sorted(after.split("; "))
    assert back[where, name] == there[where, name][::-1]


def test_of_things_by_name_only_those_that_differ_are_shown() -> None:
    text = CHANGED.replace("name: t\n", "name: t\ndata: {account: {dates: day-first}, lead: {dates: day-first}}\n", 1)
    one, other = (compiled(x).policy for x in (text, text.replace("lead: {dates: day-first}", "lead: {dates: month-first}")))
    assert [(c.name, c.before, c.after) for c in changes(one, other)] == [("data", "lead = dates day-first", "lead = dates month-first")]


IMPACT = """
roe: 1
name: t
roles: [ae]
fields: {account: {next: {type: string}}, rep: {capacity: {type: number}}}
windows: {w: {role: ae, lasts: 30 days}}
engagement: {account: {ae: [{name: one, when: account.next != null, then: THEN}, {name: gone, when: account.employees = 0, then: GONE}, {name: rest, then: keep}]}}
"""


def test_the_facts_of_an_impact_are_counted() -> None:
    """A1 to A3 go from ann to ben, A4 to nobody, and A5 from nobody to cat: five of six are moved.

    A1 is a customer. Ann got A2 ten days ago, so her window of 30 days is cut short. Ben has his two and three more, above his four; cat has
    as much as she can have.
    """
    runs = []
    for then, gone in (("keep", "keep"), ("{assign: account.next}", "return")):
        evaluator = compiled(IMPACT.replace("THEN", then).replace("GONE", gone))
        accounts: list[dict[str, Any]] = [
            {"id": "A1", "owner": "ann", "owner_since": "2025-01-01", "type": "Customer", "next": "ben"},
            {"id": "A2", "owner": "ann", "owner_since": "2026-01-22", "next": "ben"},
            {"id": "A3", "owner": "ann", "owner_since": "2025-01-01", "next": "ben"},
            {"id": "A4", "owner": "ann", "owner_since": "2025-01-01", "employees": 0},
            {"id": "A5", "next": "cat"},
            {"id": "B1", "owner": "ben", "owner_since": "2025-01-01", "type": "Customer"},
            {"id": "B2", "owner": "ben", "owner_since": "2025-01-01"},
            {"id": "C1", "owner": "cat", "owner_since": "2025-01-01"},
        ]
        reps: list[dict[str, Any]] = [{"id": "ann", "capacity": "10"}, {"id": "ben", "capacity": "4"}, {"id": "cat", "capacity": "2"}]
        runs.append(evaluator.run({"account": accounts, "rep": reps}, as_of="2026-02-01"))
    found = impact(*runs)
    assert [(m.record, m.before, m.after, m.customer, m.cut) for m in found.moved] == [
        ("A1", "ann", "ben", True, False), ("A2", "ann", "ben", False, True), ("A3", "ann", "ben", False, False),
        ("A4", "ann", None, False, False), ("A5", None, "cat", False, False),
    ]  # fmt: skip
    assert found.facts == {
        "decided": 8, "moved": 5, "moved_share": 5 / 8, "unowned": 1, "customers_moved": 1, "windows_cut": 1, "over_capacity": 1, "most_lost": 4, "most_gained": 3
    }  # fmt: skip
    assert found.load == {"ann": (4, 0, 0, 10), "ben": (2, 5, 5, 4), "cat": (1, 2, 2, 2)}
    assert found.shifts() == [("ann", (4, 0, 0, 10)), ("ben", (2, 5, 5, 4)), ("cat", (1, 2, 2, 2))]
    same = impact(runs[0], runs[0])
    assert same.shifts() == [] and same.facts["moved_share"] == 0 == same.facts["most_lost"] == same.facts["most_gained"]


def test_a_capacity_is_of_accounts_and_reps_go_by_name(tmp_path: Path) -> None:
    """Leads fill no capacity, as in the figures of a run: Ann Archer has two accounts of two, and a lead. Two reps of one name show their ids."""
    policies = []
    for name, then in (("old", "keep"), ("new", "{assign: '\"ann\"'}")):
        text = f"roe: 1\nname: n\nroles: [ae]\nengagement: {{account: {{ae: [{{name: all, then: {then}}}]}}, lead: {{ae: [{{name: lead, then: {then}}}]}}}}\n"
        policies.append(policy_text(tmp_path / name, text))
    data = tmp_path / "data"
    data.mkdir()
    (data / "accounts.csv").write_text("id,name,owner\nA1,Acme,ann\nA2,Globex,ben\n")
    (data / "leads.csv").write_text("id,email,owner\nL1,x@y.com,cat\n")
    (data / "reps.csv").write_text("id,name,capacity\nann,Ann Archer,2\nben,Bo Birch,5\ncat,Bo Birch,5\n")
    asked = [*map(str, policies), "--data", str(data), "--as-of", "2026-02-01"]
    shown = run(*asked).output
    assert re.search(r"Ann Archer +1 +3 +\+2 +2 of 2\n", shown) and "account Globex (A2) as ae: Bo Birch (ben) -> Ann Archer" in shown
    assert "| Bo Birch (cat) | Ann Archer | 1 |" in run(*asked, "--format", "md").output
    assert run(*asked, "--fail-if", "over_capacity > 0").exit_code == 0
    (data / "reps.csv").write_text("id,name,capacity\nann,Ann Archer,1\nben,Bo Birch,5\ncat,Bo Birch,5\n")
    full = run(*asked, "--fail-if", "over_capacity > 0")
    assert full.exit_code == 1 and "2 of 1, over" in full.output


def test_a_record_that_one_policy_alone_decides_is_nobodys_in_the_other() -> None:
    evaluators = [
        compiled(IMPACT.replace("THEN", "keep").replace("GONE", "keep").replace("{account: {ae", f"{{{x}: {{ae"))
        for x in ("account", "lead")
    ]
    one, other = (
        e.run({"account": [{"id": "A", "owner": "ann"}], "lead": [], "rep": [{"id": "ann"}]}, as_of="2026-02-01") for e in evaluators
    )
    for runs, (before, after) in (((one, other), ("ann", None)), ((other, one), (None, "ann"))):
        found = impact(*runs)
        (m,) = found.moved
        assert (m.before, m.after, m.rule_before, m.rule_after) == (before, after, "rest" if before else "", "rest" if after else "")
        reasons = [m.reason_before, m.reason_after]
        assert (reasons[0] == "not decided", reasons[1] == "not decided") == (before is None, after is None)
        assert found.facts["moved_share"] == 1


def test_an_impact_without_records_is_nothing() -> None:
    nothing = compiled(IMPACT.replace("THEN", "keep").replace("GONE", "keep")).run({"account": []}, as_of="2026-02-01")
    assert set(impact(nothing, nothing).facts.values()) == {0}
