"""What an action means, in every engine: the expected values are those of docs/policy.md, written by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import roe
from databases import ENGINES, staged
from helpers import policy_text, write_run
from roe.columns.run import ColumnRun
from roe.plan.outcome import ACTIONS

pytest.importorskip("sqlglot")
from roe.sql.statement import compile_sql

AS_OF = "2026-02-01"
RULES = {
    "kept": ("keep", ""),
    "kept for": ("{keep: 30 days}", ""),
    "kept or given until": ("keep", "{assign: eva, until: account.created + 60 days}"),
    "given until": ("{assign: eva, until: account.created + 60 days}", ""),
    "given or given until": ("{assign: account.phone}", "{assign: eva, until: account.created + 60 days}"),
    "given or held": ("{assign: account.phone}", "hold"),
    "held": ("hold", ""),
    "open": ("open", ""),
    "returned": ("return", ""),
    "referred": ("{refer: boss, within: 3 days}", ""),
    "nobody": ("{assign: account.phone}", ""),
}
# rule -> of a record that max owns since 10 January, protected for 90 days, and of one that nobody owns: owner, action, until
PROTECTED, CREATED, WITHIN = "2026-04-10", "2026-03-06", "2026-02-04"
EXPECTED: dict[str, tuple[tuple[str | None, str, str | None], tuple[str | None, str, str | None]]] = {
    "kept": (("max", "keep", PROTECTED), (None, "unassigned", None)),
    "kept for": (("max", "keep", "2026-02-09"), (None, "unassigned", "2026-03-03")),
    "kept or given until": (("max", "keep", PROTECTED), ("eva", "assign", CREATED)),
    "given until": (("eva", "assign", CREATED), ("eva", "assign", CREATED)),
    "given or given until": (("eva", "assign", CREATED), ("eva", "assign", CREATED)),
    "given or held": (("max", "hold", PROTECTED), (None, "hold", None)),
    "held": (("max", "hold", PROTECTED), (None, "hold", None)),
    "open": ((None, "open", None), (None, "open", None)),
    "returned": ((None, "return", None), (None, "return", None)),
    "referred": (("max", "refer", WITHIN), (None, "refer", WITHIN)),
    "nobody": ((None, "unassigned", None), (None, "unassigned", None)),
}


def policy(folder: Path, rules: str, more: str = "", **files: str) -> roe.Evaluator:
    head = "roe: 1\nname: outcomes\nroles: [ae]\nwindows: {protection: {lasts: 90 days}}\n"
    return roe.compile(roe.load(policy_text(folder, f"{head}{more}engagement:\n  account:\n    ae:\n{rules}", **files)))


def records() -> dict[str, list[dict[str, Any]]]:
    accounts = []
    for rule in RULES:
        owned = {"owner_ae": "max", "owner_since": "2026-01-10"}
        accounts += [
            {"id": f"{rule}, {who}", "city": rule, "created": "2026-01-05", **more} for who, more in (("owned", owned), ("free", {}))
        ]
    return {"account": accounts, "rep": [{"id": "max", "name": "Max"}, {"id": "eva"}, {"id": "boss"}]}


def in_rows(evaluator: roe.Evaluator, given: Any) -> dict[str, Any]:
    return {d.id: (d.owner, d.action, d.until and str(d.until), d.reason) for d in evaluator.run(given, as_of=AS_OF).decisions}


def in_columns(evaluator: roe.Evaluator, given: Any, folder: Path) -> dict[str, Any]:
    write_run(ColumnRun.of(evaluator, given, as_of=AS_OF), folder)
    rows = list(csv.DictReader((folder / "allocations.csv").open(encoding="utf-8")))
    return {x["record"]: (x["owner"] or None, x["action"], x["expires"] or None, x["reason"]) for x in rows}


def in_sql(evaluator: roe.Evaluator, given: Any, run: Any, dialect: str) -> dict[str, Any]:
    made = compile_sql(evaluator.compiled, "account", dialect, evaluator.clock(AS_OF))
    assert not made.diagnostics, made.diagnostics
    found = run(made.sql, staged(evaluator.bind(given, as_of=AS_OF).world))
    return {x["id"]: (x["ae_owner"], x["ae_action"], x["ae_until"] and str(x["ae_until"])[:10], x["ae_reason"]) for x in found}


def everywhere(evaluator: roe.Evaluator, given: Any, folder: Path) -> list[dict[str, Any]]:
    sql = [in_sql(evaluator, given, run, dialect) for dialect, run in ENGINES if dialect != "postgres"]
    return [in_rows(evaluator, given), in_columns(evaluator, given, folder), *sql]


def test_every_action_means_the_same_in_every_engine(tmp_path: Path) -> None:
    rules = "".join(
        f"      - {{name: {name}, when: 'account.city = \"{name}\"', then: {then}{f', else: {otherwise}' if otherwise else ''}}}\n"
        for name, (then, otherwise) in RULES.items()
    )
    found = everywhere(policy(tmp_path, rules), records(), tmp_path / "out")
    expected = {f"{rule}, {who}": each for rule, both in EXPECTED.items() for who, each in zip(("owned", "free"), both, strict=True)}
    for engine in found:
        assert {key: value[:3] for key, value in engine.items()} == expected
        assert engine == found[0]
    assert {value[1] for value in expected.values()} | {"route", "exception"} == set(ACTIONS)


def test_a_sentence_stands_as_it_is_written(tmp_path: Path) -> None:
    """The names of rules are not templates, nor are the reasons of exceptions; a sentence may be a word that is also an action."""
    evaluator = policy(
        tmp_path,
        "      - {name: 'the {best} rule', when: 'account.city = \"a\"', then: keep}\n"
        "      - {name: word, when: 'account.city = \"b\"', then: {assign: eva}, because: keep}\n"
        "      - {name: rest, then: {assign: eva}, because: 'in {account.city}, was with {account.owner.ae}'}\n",
        "exceptions: exceptions.csv\n",
        exceptions_csv="record,role,owner,approved_by,reason,until\nx,ae,max,the {boss},a {deal},2026-06-01\n",
    )
    given = {
        "account": [{"id": i, "city": i, "owner_ae": "max"} for i in ("a", "b", "c", "x")],
        "rep": [{"id": "max", "name": "Max"}, {"id": "eva"}],
    }
    for engine in everywhere(evaluator, given, tmp_path / "out"):
        assert {key: value[3] for key, value in engine.items()} == {
            "a": "Max keeps it by rule `the {best} rule`", "b": "keep", "c": "in c, was with Max", "x": "exception approved by the {boss}: a {deal}",
        }  # fmt: skip


def test_rules_that_say_the_same_share_an_outcome(tmp_path: Path) -> None:
    rules = "".join(
        f"      - {{name: r{i}, when: account.employees = {i}, then: {{assign: {'eva' if i % 2 else 'max'}}}}}\n" for i in range(50)
    )
    steps = policy(tmp_path, rules).compiled.role("account", "ae")
    assert len({id(steps.of(i)) for i in range(50)}) == 2
