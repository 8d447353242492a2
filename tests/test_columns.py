"""The batch evaluator against the row evaluator: the same files, byte for byte, whatever the policy and the data."""

from __future__ import annotations

import gc
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import HEAVY, tries
from helpers import AS_OF, EXAMPLES, example, example_policy, write_run
from made_policies import make_data, make_policy
from roe.data.read import read_tables
from roe.grammar.functions import BY_NAME

pytest.importorskip("pyarrow")
np = pytest.importorskip("numpy")
from roe.columns.functions import WHOLE_COLUMNS  # noqa: E402
from roe.columns.run import ColumnRun  # noqa: E402


def both(evaluator: Any, tables: Any, as_of: str, folder: Path, state: Any = None) -> tuple[Any, Any]:
    """Run both engines, and compare everything that they write."""
    rows = evaluator.run(tables, as_of=as_of, state=state)
    columns = ColumnRun.of(evaluator, tables, as_of=as_of, state=state)
    write_run(rows, folder / "rows")
    write_run(columns, folder / "columns")
    for path in sorted((folder / "rows").iterdir()):
        assert (folder / "columns" / path.name).read_text("utf-8") == path.read_text("utf-8"), path.name
    assert columns.state() == rows.state()
    return rows, columns


def test_functions_of_whole_columns_are_functions_of_the_language() -> None:
    assert set(WHOLE_COLUMNS) <= set(BY_NAME)


def same_traces(evaluator: Any, tables: Any, as_of: str, out: Path) -> int:
    """Every trace made from the evidence of a columns run is the trace of a row run; how many there were. Every day, of many some are looked at."""
    from roe.columns.evidence import RunEvidence
    from roe.columns.evidence_writer import EvidenceWriter

    run = ColumnRun.of(evaluator, tables, as_of=as_of)
    writer = EvidenceWriter(out, evaluator, as_of)
    write_run(run, out, watch=lambda batch, tables: writer.add(batch.run, tables["allocations"]))
    writer.close()
    evidence = RunEvidence(out)
    found, every = 0, 1 if HEAVY else 1 + sum(len(part.owner) for part in run.allocations) // tries(20, 60, 60)
    for n, d in enumerate(evaluator.bind(tables, as_of=as_of).decide_all()):
        if n % every:
            continue
        expected = d.trace.as_json()  # read before the next decision changes the world
        assert evidence.decision(d.entity, d.id, d.role).trace.as_json() == expected, (d.entity, d.id, d.role)
        found += 1
    return found


def test_an_explanation_outlives_the_evidence_that_it_comes_from(tmp_path: Path) -> None:
    """The second time the policy is kept, and where its rules stand is looked up in its files when the trace asks."""
    from roe.cache import load_policy
    from roe.columns.evidence import RunEvidence
    from roe.columns.evidence_writer import EvidenceWriter

    evaluator = example("static")
    tables, _ = read_tables(evaluator.policy, EXAMPLES / "static" / "data")
    writer = EvidenceWriter(tmp_path, evaluator, "2026-02-01")
    run = ColumnRun.of(evaluator, tables, as_of="2026-02-01")
    write_run(run, tmp_path, watch=lambda batch, tables: writer.add(batch.run, tables["allocations"]))
    writer.close()
    expected = next(iter(evaluator.bind(tables, as_of="2026-02-01").decide_all()))
    for _ in range(2):
        evidence = RunEvidence(tmp_path, partial(load_policy, known_as="this run"))
        decision = evidence.decision(expected.entity, expected.id, expected.role)
        del evidence
        gc.collect()
        assert decision.trace.as_json() == expected.trace.as_json()


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_traces_of_the_examples_are_made_again_from_columns(name: str, tmp_path: Path) -> None:
    policy = example_policy(name)
    tables, _ = read_tables(policy, EXAMPLES / name / "data")
    assert same_traces(roe.compile(policy), tables, AS_OF[name], tmp_path) > 0


def test_traces_of_random_policies_are_made_again_from_columns(tmp_path: Path) -> None:
    for seed in range(tries(1, 2, 60)):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        make_policy(rng, folder)
        data = make_data(rng, 25)
        try:
            same_traces(roe.compile(roe.load(folder)), data, "2026-02-01", folder / "out")
        except AssertionError as e:
            raise AssertionError(f"seed {seed}: {e}") from e


def test_domains_of_many_texts_are_those_of_each() -> None:
    """The recognition of plain addresses and hosts, against the function itself on every text."""
    import pyarrow as pa

    from roe.columns.column import Coded, Dictionary
    from roe.columns.hosts import company_domains, domains, registrable
    from roe.grammar.functions.sales import company_domain, domain

    rng = random.Random(7)
    hosts = [
        "acme.com",
        "gmail.com",
        "facebook.com",
        "acme.github.io",
        "co.uk",
        "a.co.uk",
        "x.ck",
        "www.ck",
        "b.kawasaki.jp",
        "city.kawasaki.jp",
        "github.io",
        "me.github.io",
        "a-b.de",
        "-a.de",
        "a..com",
    ]
    hosts += [
        "ACME.com",
        "xn--mnchen-3ya.de",
        "müller.de",
        "a.museum",
        "com",
        "10.0.0.1",
        "foo.unknowntld",
        "sub.acme.com",
        "a_b.com",
        "x.com.br",
        "com.br",
    ]
    odd = [
        "",
        " ",
        "jo",
        "@",
        "jo@",
        "@acme.com",
        "a@b@acme.com",
        "http://acme.com/x",
        "jo@acme.com ",
        "jo+x@acme.com",
        "acme.com:80",
        "jo@acme.com/x",
    ]
    texts = [*odd, *hosts, *(f"{rng.choice(['jo', 'a.b', 'x%y', 'Jo-1'])}@{h}" for h in hosts)]
    column = Coded(np.array([*range(len(texts)), -1], np.int32), Dictionary(pa.array(texts)))
    assert domains(column).values() == [*(domain(t) for t in texts), None]
    assert company_domains(column).values() == [*(company_domain(t) for t in texts), None]
    for host, plain in zip(hosts, registrable(pa.array(hosts)).tolist(), strict=True):
        assert not plain or domain(host) == host


def test_a_field_that_rests_on_itself_is_left_to_rows(tmp_path: Path) -> None:
    """A score that reads itself through the parent: columns cannot follow it, and the command says so and goes on."""
    from click.testing import CliRunner

    from roe.cli import main

    (tmp_path / "policy.yaml").write_text(
        "roe: 1\nname: circle\nroles: [ae]\n"
        "scores: {fit: {criteria: [{name: up, when: account.parent.fit > 0, points: 1}, {name: own, when: account.employees > 5, points: 2}]}}\n"
        "engagement: {account: {ae: [{name: fit, when: account.fit > 2, then: open}, {name: rest, then: hold}]}}\n",
        "utf-8",
    )
    (tmp_path / "accounts.csv").write_text("id,parent,employees\nA,B,9\nB,A,9\nC,A,1\n", "utf-8")
    found = {}
    for engine in ("rows", "columns"):
        args = ["run", str(tmp_path), "--data", str(tmp_path), "--as-of", "2026-02-01", "--out", str(tmp_path / engine), "--engine", engine]
        result = CliRunner().invoke(main, args)
        assert result.exit_code == 0, result.output
        found[engine] = (tmp_path / engine / "allocations.csv").read_text("utf-8")
        assert ("computing by rows" in result.output) == (engine == "columns")
    assert found["rows"] == found["columns"]


def test_loops_over_fields_give_what_they_give_row_by_row(tmp_path: Path) -> None:
    loops = [
        '"X" in (for d in split(account.tags, ";") return upper_case(d))',
        '"ab" in (for d in split(account.tags, ";"), e in [d, account.name] return d + e)',  # the loop knows more of the row
        '4 in (for d in [1, account.employees] return d + count(partial))',
        'some d in split(account.tags, ";"), e in split(account.name, " ") satisfies d = e',
        'every d in split(account.tags, ";") satisfies string_length(d) > 1',
        'some d in account.contacts[role = account.tags].role satisfies d = "x"',
    ]  # fmt: skip
    rules = "".join(f"      - {{name: r{n}, when: '{loop}', then: {{assign: '\"rep{n}\"'}}}}\n" for n, loop in enumerate(loops))
    (tmp_path / "policy.yaml").write_text(
        f"roe: 1\nname: loops\nroles: [ae]\nfields: {{account: {{tags: {{type: string}}}}, contact: {{role: {{type: string}}}}}}\n"
        f"engagement:\n  account:\n    ae:\n{rules}      - {{name: rest, then: hold}}\n",
        "utf-8",
    )
    rng = random.Random(4)
    accounts = [
        {"id": f"A{n}", "tags": rng.choice([None, "x", "a;b", "b;b", "ab;cd", ""]), "name": rng.choice(["b", "x y", "ab"]), "employees": rng.choice([None, 3, 4])}
        for n in range(60)
    ]  # fmt: skip
    contacts = [{"id": f"C{n}", "account": f"A{rng.randrange(60)}", "role": rng.choice([None, "x", "b"])} for n in range(60)]
    both(roe.compile(roe.load(tmp_path)), {"account": accounts, "contact": contacts}, "2026-02-01", tmp_path)
    allocations = (tmp_path / "columns" / "allocations.csv").read_text("utf-8")
    assert sum(f",r{n}," in allocations for n in range(len(loops))) > 3
