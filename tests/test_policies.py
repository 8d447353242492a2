"""Policy files: YAML's traps, what is wrong and where, and that nothing but a diagnostic ever comes out."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import roe
from effort import tries
from helpers import EXAMPLES, ROOT, policy_text
from roe.cache import load_policy
from roe.diagnostics import CODES, FORMATS, PolicyError, as_text
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator
from roe.policy.format import format_policy
from roe.stages.build import build

MINIMAL = "roe: 1\nname: x\nroles: [ae]\n"


def test_text_is_read_as_the_schema_says(tmp_path: Path) -> None:
    policy_text(
        tmp_path,
        MINIMAL
        + """
lists: {nordics: [NO, SE, DK], zips: [01234, 1e3, 0x1F], words: [yes, off, null, ~, 2026-01-01, 1:30]}
engagement:
  account:
    ae:
      - {name: on, when: account.country in nordics, then: {assign: '"ola"'}}
      - {name: 0123, when: account.postal_code in zips, then: {assign: '"zoe"'}}
""",
    )
    policy, found = build(tmp_path)
    assert policy is not None, found
    assert policy.plan.lists["nordics"] == ["NO", "SE", "DK"]
    assert policy.plan.lists["zips"] == ["01234", "1e3", "0x1F"]
    assert policy.plan.lists["words"] == ["yes", "off", "null", "~", "2026-01-01", "1:30"]
    evaluator = Evaluator(policy)

    def decide(**r: str) -> Decision:
        return evaluator.decide({"id": "1", **r}, as_of="2026-01-01")

    assert decide(country="Norway").owner == "ola"
    assert decide(postal_code="01234").owner == "zoe"
    assert decide(postal_code="01234").rule == "0123"
    assert decide(postal_code="668").rule == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("roe: 1\nname: a\nname: b\n", "R302"),
        ("roe: 1\nname: &a x\ndescription: *a\n", "R303"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "R303"),
        ("roe: 1\nname: x\n--- \nroe: 1\n", "R301"),
        ("roe: 1\n\tname: x\n", "R301"),
        ("roe: 1\nname: x\nrolez: [a]\n", "R305"),
        ("roe: 1\n", "R304"),
        ("roe: 2\nname: x\n", "R304"),
        ("", "R301"),
        ("!", "R301"),
        ("[1, 2]", "R304"),
        ("roe: 1\nname: x\ninclude: [../../etc/passwd]\n", "R308"),
        ("roe: 1\nname: x\ninclude: [/etc/passwd]\n", "R308"),
        ("roe: 1\nname: x\ninclude: [missing.yaml]\n", "R307"),
        ("roe: 1\nname: x\ninclude: [policy.yaml]\n", "R310"),
        ("roe: 1\nname: x\ntimezone: Mars/Olympus\n", "R311"),
        ("roe: 1\nname: x\ncalendar: XX\n", "R311"),
        ("roe: 1\nname: !!python/object/apply:os.system [ls]\n", "R304"),
        ("roe: 1\nname: x\nx: " + "[" * 60 + "]" * 60, "R309"),
    ],
)
def test_refused(tmp_path: Path, text: str, code: str) -> None:
    policy_text(tmp_path, text)
    policy, found = build(tmp_path)
    assert policy is None and code in [d.code for d in found], found


def test_links_may_not_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    root = policy_text(tmp_path / "p", MINIMAL + "lists: {l: {file: l.csv}}\n")
    try:
        (root / "l.csv").symlink_to(tmp_path / "secret.csv")
    except OSError:
        pytest.skip("no symbolic links here")
    assert [d.code for d in build(root)[1]] == ["R308"]


def test_places_inside_every_kind_of_scalar(tmp_path: Path) -> None:
    """The caret points at the name, in plain, quoted, folded and block text, and in a CSV cell."""
    text = (
        MINIMAL
        + """define:
  account.a: account.emploees > 5
  account.b: "account.nam = \\"x\\" and account.emploees > 5"
  account.c: 'account.name = "it''s" and account.emploees > 5'
  account.d: |
    account.name = "x"
    and account.emploees > 5
  account.e: >-
    account.name = "x"
    and account.emploees > 5
  account.f: account.name = "x"
    and account.emploees > 5
tables:
  g: {table: t__g.csv}
"""
    )
    policy_text(tmp_path, text.replace("t__g.csv", "t/g.csv"), t__g_csv='name,employees,grade\nr1,"< emploees, > 3",A\n')
    _, found = build(tmp_path)
    lines = {}
    for file in ("policy.yaml", "t/g.csv"):
        lines[file] = (tmp_path / file).read_text().split("\n")
    seen = 0
    for d in found:
        where = lines[d.span.file][d.span.line - 1][d.span.column - 1 : d.span.end_column - 1]
        assert where in ("emploees", "nam"), (d, where)
        seen += 1
    assert seen == 8, as_text(found)


def test_several_mistakes_are_all_named(tmp_path: Path) -> None:
    policy_text(
        tmp_path,
        MINIMAL
        + "engagement:\n  account:\n    ae:\n"
        + "".join(f"      - {{name: r{i}, when: account.x{i} = 1, then: keep}}\n" for i in range(5)),
    )
    assert [d.code for d in build(tmp_path)[1]] == ["R204"] * 5


def test_formats_are_well_formed(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    policy_text(tmp_path, MINIMAL + "define: {account.a: 'account.nope = \"<&\\x07>\"', account.b: 1 +}\n")
    _, found = build(tmp_path)
    assert len(found) >= 2
    assert len(json.loads(FORMATS["json"](found, False))) == len(found)
    assert json.loads(FORMATS["sarif"](found, False))["version"] == "2.1.0"
    assert len(ElementTree.fromstring(FORMATS["junit"](found, False))) == len(found)
    assert FORMATS["github"](found, False).startswith("::error file=policy.yaml,line=")


def test_every_code_has_a_page() -> None:
    pages = {p.stem for p in (ROOT / "docs" / "diagnostics").glob("R*.md")} - {"README"}
    assert pages == set(CODES)
    for code, (title, _) in CODES.items():
        assert title in (ROOT / "docs" / "diagnostics" / f"{code}.md").read_text("utf-8")


# --- mutations ------------------------------------------------------------------------------------------------------

FILES = sorted(p for p in EXAMPLES.rglob("*") if p.suffix in (".yaml", ".csv") and "data" not in p.parts and "tests" not in p.parts)
TOKENS = ["&a ", "*a", "\t", "'", '"', "{", "}", "[", "]", ": ", "- ", "\x00", "é", "\ud7ff", "null", "~", "!!int 3", "|", ">", "%", "@", "`", "roe: 1", "\r\n", "1e999", "((", "not(", "..", "account.", " and ", "-", ",", "\ufeff", "9999999999999999999999", "2026-13-45", "# x"]  # fmt: skip


def mutate(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + rng.choice(TOKENS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randint(1, 12) :]
        elif kind == 2:
            lines = text.split("\n")
            i = rng.randrange(len(lines))
            lines.insert(rng.randrange(len(lines) + 1), lines[i])
            text = "\n".join(lines)
        elif kind == 3:
            lines = text.split("\n")
            del lines[rng.randrange(len(lines))]
            text = "\n".join(lines)
        elif kind == 4:
            words = text.split(" ")
            i, j = rng.randrange(len(words)), rng.randrange(len(words))
            words[i], words[j] = words[j], words[i]
            text = " ".join(words)
        else:
            other = rng.randrange(len(text) + 1)
            text = text[:at] + text[other : other + rng.randint(1, 40)] + text[at:]
    return text


@pytest.mark.parametrize("seed", range(4))
def test_mutated_policies(tmp_path: Path, seed: int) -> None:
    """15 mutations a seed, 1,200 in long checks: a policy or diagnostics with code, place and help; and what loads also decides."""
    rng = random.Random(seed)
    outcomes = {"refused": 0, "loaded": 0}
    names = ["static", "wild-west", "inbound", "pipeline"]
    source = EXAMPLES / names[seed]
    root = tmp_path / "p"
    shutil.copytree(source, root, ignore=shutil.ignore_patterns("data", "tests"))
    paths = [p for p in FILES if source in p.parents]
    for _ in range(many := tries(15, 30, 1200)):
        path = rng.choice(paths)
        target = root / path.relative_to(source)
        target.write_bytes(mutate(path.read_text("utf-8"), rng).encode("utf-8", "surrogatepass"))
        try:
            policy, found = build(root)
            for d in found:
                assert d.code in CODES and d.help and d.message and d.span.line >= 1 and d.span.column >= 1, d
            as_text(found)
            if policy is None:
                outcomes["refused"] += 1
                assert any(d.severity == "error" for d in found)
            else:
                outcomes["loaded"] += 1
                record = {"id": "1", "name": "N", "country": "US", "employees": "700", "email": "a@b.com"}
                for entity in {e for e, _ in policy.plan.engagement}:
                    for decision in Evaluator(policy).run({entity: [record]}, as_of="2026-02-01").decisions:
                        decision.trace.as_json()
            text = target.read_bytes().decode("utf-8", "replace")
            once = format_policy(text, "p")
            assert format_policy(once, "p") == once
        finally:
            shutil.copyfile(path, target)
    assert min(outcomes.values()) > min(many, 30) / 15, outcomes


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_a_diagnostic(text: str) -> None:
    from roe.files import schema
    from roe.policy.loader import parse_yaml, validate

    value, found = parse_yaml(text, "x.yaml", schema("policy"))
    assert value is not None or found
    if not found:
        assert validate(value, schema("policy"), "x.yaml")


# --- the cache ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["static", "inbound", "wild-west", "pipeline", "territories"])
def test_a_cached_policy_is_the_same_policy(name: str) -> None:
    fresh, first = load_policy(EXAMPLES / name)
    cached, second = load_policy(EXAMPLES / name)
    assert fresh is not None and cached is not None and first == second
    assert fresh.plan.engagement == cached.plan.engagement and fresh.plan.steps == cached.plan.steps


def test_a_changed_or_damaged_cache_is_not_trusted(tmp_path: Path) -> None:
    rule = "engagement: {account: {ae: [{name: r, when: account.a, then: keep}]}}\n"
    root = policy_text(tmp_path, MINIMAL + "define: {account.a: account.employees > 5}\n" + rule)
    assert load_policy(root)[0] is not None
    cache = Path(os.environ["ROE_CACHE"])
    (file,) = cache.glob("*.json")
    for damage in ("", "[]", "{}", '{"digest": 1}', file.read_text()[:-20]):
        file.write_text(damage)
        policy = load_policy(root)[0]
        assert policy is not None
        assert [len(rule.conditions) for step in policy.plan.engagement.values() for rule in step.rules] == [1]
    policy_text(tmp_path, MINIMAL + "define: {account.a: account.emploees > 5}\n")
    assert load_policy(root)[0] is None


def test_load_raises_with_everything(tmp_path: Path) -> None:
    policy_text(tmp_path, MINIMAL + "define: {account.a: account.x, account.b: account.y}\n")
    with pytest.raises(PolicyError) as e:
        roe.load(tmp_path)
    assert len(e.value.diagnostics) == 2


def test_list_rows_and_pool_members_may_have_dates(tmp_path: Path) -> None:
    policy_text(
        tmp_path,
        MINIMAL
        + """
lists: {vip: {file: vip.csv}}
pools: {p: {members: [ann, {rep: ben, from: 2026-07-01}, {rep: cat, until: 2026-07-01}]}}
engagement:
  account:
    ae:
      - {name: vip, when: account.domain in vip, then: {assign: '"boss"'}}
      - {name: next, then: {route: p}}
""",
        vip_csv="domain,from,until\na.com,2026-01-01,2026-06-01\nb.com,,\n",
    )
    policy, found = build(tmp_path)
    assert policy is not None, found
    records = [{"id": "1", "domain": "a.com"}, {"id": "2", "domain": "b.com"}, *({"id": str(i)} for i in range(3, 7))]
    for day, owners in (
        ("2026-05-31", ["boss", "boss", "ann", "cat", "ann", "cat"]),
        ("2026-06-01", ["ann", "boss", "cat", "ann", "cat", "ann"]),
        ("2026-07-01", ["ann", "boss", "ben", "ann", "ben", "ann"]),
    ):
        run = Evaluator(policy).run({"account": records}, as_of=day)
        assert [d.owner for d in run.decisions] == owners, day
        assert all(d.trace.as_json() for d in run.decisions)


def test_a_cached_table_reads_its_cells_as_before(tmp_path: Path) -> None:
    """A bare number is a number in a number's column and a text in a text's, from the cache as at first."""
    policy_text(
        tmp_path,
        MINIMAL
        + "define: {account.size: account.employees + 0}\n"
        + "territories:\n  rows:\n    - {name: a, employees: 500, size: 500, postal_code: 01234, city: New York, region: x}\n"
        + "engagement:\n  account:\n    ae:\n      - {name: t, when: territory != null, then: {assign: '\"ann\"'}}\n",
    )
    record = {"id": "1", "employees": "500", "postal_code": "01234", "city": "New York"}
    plans = []
    for _ in range(2):
        policy, found = load_policy(tmp_path)
        assert policy is not None, found
        assert Evaluator(policy).decide(record, as_of="2026-01-01").owner == "ann"
        assert Evaluator(policy).decide({**record, "employees": "501"}, as_of="2026-01-01").owner is None
        plans.append(policy.plan.steps)
    assert plans[0] == plans[1]
