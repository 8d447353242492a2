"""Data as it comes: any value is coerced or rejected, line ends and locales do not matter, state is checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from helpers import AS_OF, EXAMPLES, ROOT, compiled, example, policy_text
from roe.cli import main
from roe.data.headers import columns_of
from roe.evaluator.engine import Evaluator
from roe.stages.build import build

EVALUATORS = {name: example(name) for name in ("static", "inbound", "wild-west")}

words = st.sampled_from(["", "NULL", "a", "US", "Germany", "acme.com", "x@acme.com", "12", "1,000.5", "-3", "1e400", "2026-02-01", "03/04/2026", "yes", "ann", "A01", "Enterprise"])  # fmt: skip
values = st.one_of(
    words,
    st.text(max_size=12),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.lists(words, max_size=2),
    st.dictionaries(words, words, max_size=2),
)


@given(st.sampled_from(sorted(EVALUATORS)), st.data())
def test_any_record_is_used_or_rejected(name: str, data: st.DataObject) -> None:
    evaluator = EVALUATORS[name]
    given_tables: dict[str, list[dict[str, Any]]] = {}
    for entity, fields in evaluator.policy.model.entities.items():
        keys = st.sampled_from([*fields, "owner_ae", "owner_sdr", "other", "$line"])
        given_tables[entity] = data.draw(st.lists(st.dictionaries(keys, values, max_size=6), max_size=3), label=entity)
    run = evaluator.run(given_tables, as_of=AS_OF[name])
    for entity in {e for e, _ in evaluator.policy.plan.engagement}:
        used = {d.id for d in run.decisions if d.entity == entity}
        rejected = [r for r in run.world.rejects if r.entity == entity]
        assert len(used) + len(rejected) == len(given_tables[entity]), "no record is lost in silence"
    for d in run.decisions:
        json.dumps(d.trace.as_json(), allow_nan=False)
    json.dumps(run.state(), allow_nan=False)
    again = evaluator.run(given_tables, as_of=AS_OF[name], state=run.state())
    assert len(again.decisions) == len(run.decisions)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("employees", "many", "is not a number"),
        ("employees", "1e999", "is too large"),
        ("created", "03/04/2026", "can be read in two ways"),
        ("employees", "1,234", "can be read in two ways"),
        ("segment", "Entreprise", "did you mean `Enterprise`"),
        ("created", "2026-02-30", "is not a date"),
    ],
)
def test_reasons_of_rejects(field: str, value: str, reason: str) -> None:
    run = EVALUATORS["static"].run({"account": [{"id": "1", field: value}]}, as_of="2026-02-01")
    assert not run.decisions and reason in run.world.rejects[0].reason and run.world.rejects[0].field == field


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("employees", "1,234,567", 1234567),
        ("employees", "$ 1,000.50", 1000.5),
        ("created", "2026-02-01T10:00:00Z", date(2026, 2, 1)),
        ("created", "01 Feb, 2026 00:03:00", date(2026, 2, 1)),
        ("country", "Deutschland", "DE"),
        ("domain", "https://www.Acme.co.uk/", "acme.co.uk"),
        ("postal_code", "01234", "01234"),
        ("name", "NO", "NO"),
    ],
)
def test_values_as_they_come(field: str, value: str, wanted: Any) -> None:
    bound = EVALUATORS["static"].bind({"account": [{"id": "1", field: value}]}, as_of="2026-02-01")
    assert bound.world.rows["account"][0][field] == wanted


def test_times_without_an_offset_are_in_the_policy_s_zone() -> None:
    bound = EVALUATORS["inbound"].bind({"lead": [{"id": "1", "created": "2026-02-02T08:00:00"}]}, as_of="2026-02-02")
    created = bound.world.rows["lead"][0]["created"]
    assert created == datetime(2026, 2, 2, 14, tzinfo=UTC)


def test_records_of_one_id() -> None:
    rows = [{"id": "1", "name": "A"}, {"id": "1", "name": "A"}, {"id": "2", "name": "B"}, {"id": "2", "name": "C"}]
    run = EVALUATORS["static"].run({"account": rows}, as_of="2026-02-01")
    assert {d.id for d in run.decisions} == {"1"}
    assert sorted(r.reason.split(" ")[0] for r in run.world.rejects) == ["a", "lines", "lines"]


def test_ids_of_15_and_18_characters_name_one_record(tmp_path: Path) -> None:
    policy_text(
        tmp_path,
        "roe: 1\nname: x\nprofile: salesforce\nroles: [ae]\nengagement:\n  account:\n    ae:\n      - {name: k, when: account.owner.ae != null, then: keep}\n",
    )
    policy, _ = build(tmp_path)
    assert policy is not None
    data = {"account": [{"Id": "001A000001abcDEIAY", "OwnerId": "005B0000002xyzQ"}], "rep": [{"Id": "005B0000002xyzQIAQ", "Name": "Ann"}]}
    run = Evaluator(policy).run(data, as_of="2026-01-01")
    assert run.decisions[0].owner_name == "Ann"


def test_line_ends_do_not_matter(tmp_path: Path) -> None:
    """A policy and data with Windows' line ends give the same bytes and the same places."""
    import shutil

    for name, ends in (("unix", b"\n"), ("windows", b"\r\n")):
        shutil.copytree(EXAMPLES / "static", tmp_path / name)
        for path in (tmp_path / name).rglob("*"):
            if path.is_file():
                path.write_bytes(path.read_bytes().replace(b"\n", ends))
        result = CliRunner().invoke(
            main,
            [
                "run",
                str(tmp_path / name),
                "--data",
                str(tmp_path / name / "data"),
                "--as-of",
                "2026-02-01",
                "--out",
                str(tmp_path / f"{name}-out"),
                "--trace",
            ],
        )
        assert result.exit_code == 0, result.output
        assert CliRunner().invoke(main, ["test", str(tmp_path / name)]).exit_code == 0
        assert CliRunner().invoke(main, ["fmt", str(tmp_path / name), "--check"]).exit_code == 0
    for file in ("allocations.csv", "trace.jsonl"):
        assert (tmp_path / "unix-out" / file).read_bytes() == (tmp_path / "windows-out" / file).read_bytes()


def test_a_plain_locale_does_not_matter(tmp_path: Path) -> None:
    policy_text(
        tmp_path / "p",
        "roe: 1\nname: ünïcode\nroles: [ae]\nengagement:\n  account:\n    ae:\n      - {name: öffnen, then: open, because: 'für {account.name} ✓'}\n",
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text("id,name\n1,Müller & Söhne 😀\n", "utf-8")
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    args = [sys.executable, "-m", "roe", "explain", "1", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-01-01"]
    done = subprocess.run(args, env=env, cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "für Müller & Söhne 😀 ✓" in " ".join(done.stdout.decode("utf-8").split())


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "{}",
        '{"key": "a"}',
        '{"key": "lead|L08|sdr", "pool": "p", "rep": null, "position": "x", "members": 3, "before": null, "strategy": "", "repeated": null}',
    ],
)
def test_damaged_turns_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "turns.jsonl").write_text(line + "\n")
    args = [
        "explain",
        "L08",
        str(EXAMPLES / "inbound"),
        "--data",
        str(EXAMPLES / "inbound" / "data"),
        "--as-of",
        "2026-02-02",
        "--run",
        str(tmp_path),
    ]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2 and "R608" in result.output, result.output


def test_a_zip_bomb_is_no_spreadsheet(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for i in range(6):
            archive.writestr(f"x{i}", b"\0" * (100 << 20))
    policy_text(tmp_path, "roe: 1\nname: x\nroles: [ae]\nterritories: {table: b.xlsx}\n")
    assert [d.code for d in build(tmp_path)[1]] == ["R307"]


def test_defaults_have_their_field_s_type(tmp_path: Path) -> None:
    head = "roe: 1\nname: x\nroles: [ae]\nfields:\n  account:\n"
    policy_text(
        tmp_path,
        head
        + "    limit: {type: number, default: 3}\n    vip: {type: boolean, default: no}\n    level: {type: string, default: NO}\n    day: {type: date, default: 2026-01-01}\n",
    )
    policy, found = build(tmp_path)
    assert policy is not None, found
    row = Evaluator(policy).bind({"account": [{"id": "1"}]}, as_of="2026-01-01").world.rows["account"][0]
    assert (row["limit"], row["vip"], row["level"], row["day"]) == (3, False, "NO", date(2026, 1, 1))
    policy_text(
        tmp_path,
        head
        + "    limit: {type: number, default: many}\n    vip: {type: boolean, default: maybe}\n    s: {type: string, values: [a], default: b}\n",
    )
    assert [d.code for d in build(tmp_path)[1]] == ["R311"] * 3


def test_rows_that_overlap_under_unique_are_named(tmp_path: Path) -> None:
    text = "roe: 1\nname: x\nroles: [ae]\nterritories:\n  hit: unique\n  rows:\n    - {name: big, employees: '>= 500', region: A}\n    - {name: middle, employees: '[100..500]', region: B}\n"
    policy_text(
        tmp_path / "p",
        text
        + "engagement:\n  account:\n    ae:\n      - {name: t, when: territory != null, then: {assign: '\"ann\"'}}\n      - {name: none, then: open}\n",
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text("id,employees\n1,500\n2,400\n")
    args = ["run", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-01-01", "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(main, args)
    assert "big, middle all hold for 1 record: 1 [R609]" in result.output
    assert json.loads((tmp_path / "o" / "summary.json").read_text())["conflicts"][0]["records"] == ["1"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id,ae,CSM", {"owner.ae": "ae", "owner.csm": "CSM"}),
        ("id,ae,owner_ae", {"owner.ae": "owner_ae"}),  # the fuller name wins
        ("id,owner,ae", {"owner.ae": "owner"}),
        ("id,csm", {"owner.csm": "csm"}),
        ("id,tier", {}),  # the policy has a field of that name: a role called `tier` has no column
        ("id,website", {"website": "website", "domain": "website"}),
        ("id,website,domain", {"website": "website", "domain": "domain"}),
    ],
)
def test_columns_that_are_called_like_a_role_or_say_the_domain(header: str, expected: dict[str, str]) -> None:
    policy = compiled("roe: 1\nname: t\nroles: [ae, csm, tier]\nfields: {account: {tier: string}}\n").policy
    columns = columns_of("account", policy.model.entities["account"], header.split(","), policy.model.roles())
    assert {k: v for k, v in columns.items() if k not in ("id", "tier")} == expected
