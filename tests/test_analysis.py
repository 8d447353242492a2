"""The analysis against brute force: on random policies small enough to enumerate, every verdict is what all records say."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

import roe
from effort import tries
from roe.analysis.check import left_out
from roe.analysis.checked import CheckedPolicy
from roe.analysis.equivalence import compare
from roe.analysis.finder import Finder
from roe.analysis.gaps import gaps, uncovered
from roe.analysis.overlaps import overlaps
from roe.analysis.verdicts import PROVEN, RuleTable, closed, timely
from roe.evaluator.engine import Evaluator
from roe.evaluator.row import Row
from roe.plan.operators import Choose

HOW_MANY, PARTS = tries((12, 1), (24, 2), (500, 4))
COUNTRIES = [None, "US", "DE", "FR", "BR"]
SEGMENTS = [None, "SMB", "Mid", "Ent"]
NUMBERS = [None, -3, 5, 10, 55, 100, 250, 500, 501.5, 1000]
FLAGS = [None, True, False]
TESTS = [
    'account.country = "US"', 'account.country in ("US", "DE")', 'account.country != "US"', "account.country = null", 'not(account.country = "DE")',
    'account.segment = "Ent"', 'account.segment in ("SMB", "Mid")', "account.segment = null", 'account.segment not in ("SMB")',
    "account.revenue > 100", "account.revenue >= 100", "account.revenue in [10..100)", "account.revenue <= 500", "not(account.revenue > 500)",
    "account.revenue between 10 and 500", "account.revenue != null", "account.flag", "not(account.flag)", "account.flag = true", "account.big",
    'account.size = "large"', 'account.size != "small"', "account.size = null", 'not(account.size = "large")', 'account.kind = "x"', "account.kind = null",
    'account.place.region = "R1"', "account.place = null", "account.place != null", "not(account.big) and account.flag", "account.points >= 10", "account.points = 5",
    '(account.country = "US" or account.revenue > 100)', '(account.flag or account.segment = "Ent") and account.revenue > 10', "true",
]  # fmt: skip


def some(rng: random.Random) -> str:
    return rng.choice([" and ", " and ", " or "]).join(f"({x})" for x in rng.sample(TESTS, rng.choice([1, 1, 2, 2, 3])))


def rules(rng: random.Random, most: int = 6) -> list[dict[str, Any]]:
    made = []
    for i in range(rng.randint(2, most)):
        rule: dict[str, Any] = {"name": f"r{i}", "then": rng.choice(["keep", "open", "hold", "return"])}
        if rng.random() < 0.9:
            rule["when"] = some(rng)
        made.append(rule)
    return made


def rows(rng: random.Random, name: str) -> list[dict[str, str]]:
    cells = {
        "country": ["-", "US", "US,DE", 'not("US")', "FR"],
        "segment": ["-", "SMB", "Mid,Ent", "Ent"],
        "revenue": ["-", "< 100", ">= 100", "[10..100]", "(100..500]", "> 500", "<= 100"],
        "flag": ["-", "-", "true", "false"],
    }
    return [{k: rng.choice(found) for k, found in cells.items()} | {name: "xyz"[i % 3]} for i in range(rng.randint(3, 5))]


def make(rng: random.Random) -> dict[str, Any]:
    return {
        "roe": 1, "name": "small", "roles": ["ae"],
        "fields": {"account": {"segment": {"type": "string", "values": SEGMENTS[1:]}, "flag": {"type": "boolean"}}},
        "define": {
            "account.big": rng.choice(["account.revenue > 100", 'account.revenue > 500 and account.country = "US"', "account.flag and account.revenue >= 10"]),
            "account.size": rng.choice(['if account.revenue >= 500 then "large" else if account.revenue >= 10 then "medium" else "small"',
                                        'if account.flag then "large" else if account.country = "US" then "small" else null']),
        },
        "tables": {"kind": {"hit": "first", "rows": rows(rng, "kind"), **({"default": "z"} if rng.random() < 0.3 else {})},
                   "one": {"hit": "unique", "rows": rows(rng, "one")}, "same": {"hit": "any", "rows": rows(rng, "same")}},
        "scores": {"points": {"criteria": [{"name": "a", "when": 'account.country = "US"', "points": 5}, {"name": "b", "when": "account.revenue > 100", "points": 5}]}},
        "territories": {"hit": "first", "rows": [{"name": "t1", "country": "US", "region": "R1"}, {"name": "t2", "country": "DE,FR", "segment": "Ent", "region": "R2"}]},
        "engagement": {"account": {"ae": rules(rng)}},
    }  # fmt: skip


def evaluator(policy: dict[str, Any], folder: Path) -> Evaluator:
    folder.mkdir(parents=True, exist_ok=True)
    if "place" not in policy["tables"]:
        table = policy.pop("territories")
        policy["tables"]["place"] = {
            "hit": "first",
            "rows": [dict(row) for row in table["rows"]],
            "outputs": ["name", "region"],
        }
        for row in policy["tables"]["place"]["rows"]:
            row["label"] = row.pop("name")
        policy["tables"]["place"]["outputs"] = ["label", "region"]
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy, sort_keys=False), "utf-8")
    return roe.compile(roe.load(folder))


def everything(e: Evaluator, as_of: str = "2026-01-01") -> list[Row]:
    """Every record that there is, as far as the rules can tell them apart."""
    found = [
        {"id": str(i), **{k: x for k, x in (("country", c), ("segment", s), ("revenue", n), ("flag", f)) if x is not None}}
        for i, (c, s, n, f) in enumerate(itertools.product(COUNTRIES, SEGMENTS, NUMBERS, FLAGS))
    ]
    return list(e.bind({"account": found}, as_of=as_of).world.rows["account"])


def held(table: RuleTable, rows: list[Row]) -> list[frozenset[int]]:
    n = range(len(table.step.rules))
    return [frozenset(i for i in n if table.chooser.truth(i, row.world.scope(row)) is True) for row in rows]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_verdict_is_what_all_records_say(part: int, tmp_path: Path) -> None:
    seen = dict.fromkeys(("never", "fires", "overlap", "apart", "gap", "whole", "redundant"), 0)
    for number in range(part, HOW_MANY, PARTS):
        rng = random.Random(number)
        e = evaluator(make(rng), tmp_path / str(number))
        records = everything(e)
        for table in CheckedPolicy(e).tables:
            here = held(table, records)
            n = len(table.step.rules)
            if table.step.hit == "first":
                deciding = {min(h) for h in here if h}
                never = list(table.never)
                assert {v.rules[0] for v in never} == set(range(n)) - deciding, (number, table.step.name)
                for v in never:
                    assert v.certainty == PROVEN
                    mine = [h for h in here if v.rules[0] in h]
                    assert all(h & set(v.others) for h in mine) and bool(mine) == bool(v.others), (number, table.step.name, v)
                    assert v.witness is None or (
                        (f := table.finder.asked(v.witness, table.chooser)) is not None and f[0][0] in range(v.rules[0])
                    )
                seen["never"] += len(never)
                seen["fires"] += len(deciding)
                does = [str(rule.value) for rule in table.step.rules]
                default = str(table.step.default)

                def effect(h: frozenset[int], does: list[str] = does, default: str = default) -> str:
                    return does[min(h)] if h else default

                spare = {r for r in deciding if all(effect(h) == effect(h - {r}) for h in here)}
                told = {v.rules[0] for v in table.redundant(does, default)}
                assert told == spare, (number, table.step.name)
                seen["redundant"] += len(spare)
            else:
                values = [rule.value for rule in table.step.rules]
                others = [{b for b in range(n) if values[b] != values[a]} for a in range(n)]
                for counting in (False, True):

                    def counts(a: int, b: int, counting: bool = counting, others: list[set[int]] = others) -> bool:
                        return not counting or b in others[a]

                    pairs = {(b, a) for h in here for a in h for b in h if a < b and counts(b, a)}
                    found = list(overlaps(table, counts))
                    assert {v.rules for v in found} == pairs, (number, table.step.name)
                    for v in found:
                        assert (
                            v.certainty == PROVEN
                            and v.witness is not None
                            and set(v.rules) <= set(table.finder.holding(v.witness, table.chooser) or ())
                        )
                    seen["overlap"] += len(pairs)
                    seen["apart"] += n * (n - 1) // 2 - len(pairs)
            left_out = list(uncovered(table))
            assert bool(left_out) == (frozenset() in here), (number, table.step.name)
            for v in left_out:
                assert v.certainty == PROVEN and v.witness is not None and table.finder.holding(v.witness, table.chooser) == (), (number, v)
            seen["gap" if left_out else "whole"] += 1
            for v in gaps(table, closed(table.cases), inner=False):
                assert v.witness is not None, (number, table.step.name, v)
                row = table.finder.row(v.witness)
                assert row is not None and any(
                    v.rules[0] in h and _one_apart(row, other) for h, other in zip(here, records, strict=True)
                ), (number, v)
    assert min(seen.values()) > 1, seen


def _one_apart(row: Row, other: Row) -> bool:
    """Whether two records differ in one field alone, up to numbers that no rule tells apart."""

    def place(x: Any) -> Any:
        return x if isinstance(x, str | bool | None) else sum((x > c) + (x >= c) for c in (10, 100, 500))

    names = ("country", "segment", "revenue", "flag")
    missing = [n for n in names if row[n] is None]
    return sum(bool(place(row[n]) != place(other[n])) for n in names if n not in missing) <= 1


def changed(rng: random.Random, policy: dict[str, Any]) -> None:
    """A change of some kind to a policy; some of them change nothing."""
    found = policy["engagement"]["account"]["ae"]
    kind = rng.randrange(7)
    if kind == 0:
        rng.shuffle(found)
    elif kind == 1:
        found[rng.randrange(len(found))]["when"] = some(rng)
    elif kind == 2 and len(found) > 2:
        del found[rng.randrange(len(found))]
    elif kind == 3:
        found.insert(rng.randrange(len(found) + 1), {"name": "extra", "when": some(rng), "then": rng.choice(["keep", "open"])})
    elif kind == 4:
        policy["tables"]["kind"]["rows"][0] = rows(rng, "kind")[0]
    elif kind == 5:
        rule = found[rng.randrange(len(found))]
        rule["when"] = f"not(not({rule.get('when', 'true')}))"
    else:
        policy["define"] = make(rng)["define"]


@pytest.mark.parametrize("part", range(PARTS))
def test_two_policies_are_equal_where_all_records_say_so(part: int, tmp_path: Path) -> None:
    seen = {"equivalent": 0, "different": 0, "undecided": 0}
    for number in range(part, HOW_MANY, PARTS):
        rng = random.Random(1000 + number)
        state = rng.getstate()
        old = evaluator(make(rng), tmp_path / f"{number}-old")
        rng.setstate(state)
        other = make(rng)
        changed(rng, other)
        new = evaluator(other, tmp_path / f"{number}-new")
        found = compare(old, new)
        records = everything(old), everything(new)
        differ = {
            where
            for where, a, b in _choosers(old, new)
            for x, y in zip(*records, strict=True)
            if _does(a.step, a(x.world.scope(x))) != _does(b.step, b(y.world.scope(y)))
        } | {f"account.{name}" for name in ("big", "size") for x, y in zip(*records, strict=True) if _known(x[name]) != _known(y[name])}
        told = {d.where for d in (*found.differences, *found.fields)}
        assert told <= differ, (number, told - differ)
        decided = "engagement of account as ae" in differ
        assert decided if found.verdict == "different" else not decided or found.verdict == "undecided", (number, found, differ)
        assert decided or found.verdict != "different", (number, found)
        seen["undecided"] += decided and found.verdict == "undecided"
        seen["different" if decided else "equivalent"] += 1
        for d in (*found.differences, *found.fields):
            if d.certainty == PROVEN:
                assert d.witness is not None and (d.gives_before, d.gives_after) != ("", "")
                pairs = [(w, a, b) for w, a, b in _choosers(old, new) if w == d.where]
                for _, a, b in pairs:
                    x, y = Finder(old).asked(d.witness, a), Finder(new).asked(d.witness, b)
                    assert x is not None and y is not None and x != y
    assert min(seen["equivalent"], seen["different"]) > 1 and seen["undecided"] <= 1, seen


def _choosers(old: Evaluator, new: Evaluator) -> list[tuple[str, Any, Any]]:
    out: list[Any] = [("engagement of account as ae", *(e.compiled.engagement["account", "ae"] for e in (old, new)))]
    return out + [
        (f"account.{name}", old.compiled.choosers["account", name], new.compiled.choosers["account", name])
        for name in ("kind", "one", "same", "place", "points")
    ]


def _known(value: Any) -> Any:
    """A condition's value as rules see it: unknown is no."""
    return value or None


def _does(step: Choose, choice: Any) -> Any:
    return (str(choice.value), choice.conflict)


DAYS = ("2026-01-01", "2026-02-01", "2026-03-01", "2026-05-01")
MOMENTS = ("2025-12-31", "2026-01-01", "2026-01-15", "2026-02-01", "2026-02-10", "2026-03-01", "2026-03-15", "2026-05-01", "2026-07-01")


def test_time_is_a_subject_like_any_other(tmp_path: Path) -> None:
    """Rules and staffing with periods: on some of all days something holds exactly where the analysis says so."""
    seen = {"never": 0, "gap": 0, "whole": 0, "between": 0}
    for number in range(max(4, HOW_MANY // 6)):
        rng = random.Random(5000 + number)
        policy = make(rng)
        for rule in policy["engagement"]["account"]["ae"]:
            if rng.random() < 0.7:
                first, last = sorted(rng.sample(DAYS, 2))
                rule |= {"from": first} if rng.random() < 0.3 else {"until": last} if rng.random() < 0.4 else {"from": first, "until": last}
        staff = []
        for name in ("t1", "t2"):
            for _ in range(2):
                first, last = sorted(rng.sample(DAYS, 2))
                staff.append({"territory": name, "role": "ae", "rep": rng.choice("ab"), "from": first, "until": last})
        policy["territories"] = {
            "hit": "first",
            "rows": [{"name": "t1", "country": "US"}, {"name": "t2", "country": "DE"}],
            "staffing": staff,
        }
        policy["tables"]["place"] = {"rows": [{"country": "US", "label": "x", "region": "R1"}], "outputs": ["label", "region"]}
        e = evaluator(policy, tmp_path / str(number))
        records = [row for moment in MOMENTS for row in everything(e, moment)]
        tables = {t.step.name: t for t in CheckedPolicy(e).tables}
        for name in ("engagement_ae", "territory_owner.ae"):
            table = tables[name]
            here = held(table, records)
            deciding = {min(h) for h in here if h}
            assert {v.rules[0] for v in table.never} == set(range(len(table.step.rules))) - deciding, (number, name)
            seen["never"] += len(table.step.rules) - len(deciding)
        left_out = list(uncovered(tables["engagement_ae"]))
        assert bool(left_out) == any(not h for h in held(tables["engagement_ae"], records)), number
        assert all(
            v.certainty == PROVEN and tables["engagement_ae"].finder.holding(v.witness, tables["engagement_ae"].chooser) == ()
            for v in left_out
            if v.witness
        )
        seen["gap" if left_out else "whole"] += 1
        told = {
            str(tables["territory_owner.ae"].step.rules[v.rules[0]].conditions[0].text)
            for v in gaps(tables["territory_owner.ae"], timely, inner=True)
        }
        wanted = set()
        for name in ("t1", "t2"):
            periods = [(s["from"], s["until"]) for s in staff if s["territory"] == name]
            covered = [any(a <= m < b for a, b in periods) for m in MOMENTS]
            begin, end = covered.index(True), len(covered) - covered[::-1].index(True)
            wanted |= {name} if not all(covered[begin:end]) else set()
        assert told == wanted, (number, staff)
        seen["between"] += len(wanted)
    assert min(seen.values()) > 0, seen


def test_a_long_table_of_bands_that_overlap_is_looked_at_to_its_end(tmp_path: Path) -> None:
    """Rows `[i..i+9]` of three countries in turn. For the US none begins from 60 to 79: 57 ends with 66, and the next begins with 81."""
    count = tries(90, 90, 1_250)
    countries = ("US", "CA", "DE")
    places = [(i, countries[i % 3]) for i in range(count) if countries[i % 3] != "US" or i not in range(60, 80)]
    lines = [{"employees": f"[{i}..{i + 9}]", "country": country, "x": f"r{i}"} for i, country in places]
    policy = {
        "roe": 1, "name": "t", "roles": ["ae"], "tables": {"x": {"hit": "unique", "rows": lines}},
        "engagement": {"account": {"ae": [{"name": "all", "then": "open"}]}},
    }  # fmt: skip
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy, sort_keys=False), "utf-8")
    evaluator = roe.compile(roe.load(tmp_path))
    shown = [d for d in left_out(CheckedPolicy(evaluator)) if d.code == "R411" and d.certainty == PROVEN]
    records = {str(d.witness) for d in shown}
    assert records & {f'employees = {n}, country = "US"' for n in range(67, 81)}, records
    bound = evaluator.bind({"account": [{"id": f"A{n:02}", "country": "US", "employees": n} for n in (66, 67, 80, 81)]}, as_of="2026-01-01")
    assert bound.world.values("account", "x") == ["r57", None, None, "r81"]
