"""The engine on real data, where it lies beside the project; nothing of it is copied into the project."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from helpers import EXAMPLES, SHARED, write_run
from roe.data.files import csv_text
from roe.data.read import read_tables
from roe.evaluator.engine import Evaluator
from roe.stages.build import build

DATA = SHARED / "data"
absent = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")


@absent
def test_a_real_pipeline(tmp_path: Path) -> None:
    """Every account has one owner per role by written rules, the data's traps are named, any account can be explained."""
    policy, found = build(EXAMPLES / "pipeline")
    assert policy is not None, found
    evaluator = Evaluator(policy)
    tables, _ = read_tables(policy, DATA / "maven_crm")
    run = evaluator.run(tables, as_of="2017-12-31")
    summary = write_run(run, tmp_path)
    assert summary["records"]["account"] == 85 and len(run.decisions) == 170
    assert all(d.owner for d in run.decisions), [d.id for d in run.decisions if not d.owner]
    for key, rules in summary["rules"].items():
        assert sum(n >= 0.03 * 85 for n in rules.values()) >= 6, (key, rules)
        last = str(policy.plan.engagement["account", key.partition(".")[2]].rules[-1].name)
        assert rules.get(last, 0) <= 0.10 * 85 or last == "money", (key, rules)
    assert summary["rejected"] == {"opportunity": 1425}
    corrected = {(c["field"], c["written"]): c["records"] for c in summary["corrected"]}
    assert corrected[("product", "GTXPro")] == 1480 and corrected[("industry", "technolgy")] == 12
    for d in run.decisions:
        assert d.name in d.trace.sentence and json.dumps(d.trace.as_json())


def sp500(folder: Path) -> Path:
    """The policy with its tables made from public geography: four US areas by longitude, the world by region."""
    shutil.copytree(Path(__file__).parent / "sp500", folder, dirs_exist_ok=True)
    longitudes: dict[str, list[float]] = defaultdict(list)
    with (DATA / "us_geo" / "all_us_zipcodes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["lon"]:
                longitudes[row["state"]].append(float(row["lon"]))
    areas: dict[str, list[str]] = defaultdict(list)
    for state, found in sorted(longitudes.items()):
        mean = sum(found) / len(found)
        areas["West" if mean < -110 else "Central" if mean < -90 else "South-East" if mean < -80 else "East"].append(state)
    regions: dict[str, list[str]] = defaultdict(list)
    with (DATA / "iso_country" / "country-codes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["ISO3166-1-Alpha-2"] not in ("", "US") and row["Region Name"]:
                regions[row["Region Name"]].append(row["ISO3166-1-Alpha-2"])
    header = ["name", "account.home", "account.us_state", "account.industry", "area"]
    rows = []
    desks = {"financial": "Financials,Real Estate", "technology": "Information Technology,Communication Services", "general": "-"}
    for desk, sectors in desks.items():
        rows += [[f"{desk} {area}", '"US"', ",".join(f'"{s}"' for s in states), sectors, area] for area, states in areas.items()]
    rows += [[region, ",".join(f'"{c}"' for c in codes), "-", "-", region] for region, codes in sorted(regions.items())]
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / "territories.csv").write_text(_table(header, rows), "utf-8")
    staffing = [[row[0], "ae", f"{row[0]} rep"] for row in rows]
    (folder / "tables" / "staffing.csv").write_text(csv_text(["territory", "role", "rep"], staffing), "utf-8")
    return folder


def _table(header: list[str], rows: list[list[str]]) -> str:
    import io

    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


@absent
def test_real_companies_by_geography(tmp_path: Path) -> None:
    policy, found = build(sp500(tmp_path / "policy"))
    assert policy is not None, found
    tables, _ = read_tables(policy, DATA / "sp500")
    run = Evaluator(policy).run(tables, as_of="2026-01-01")
    assert len(run.decisions) == 503
    rules: dict[str, int] = defaultdict(int)
    for d in run.decisions:
        rules[d.rule] += 1
        if d.action == "refer":
            assert "cannot place" in d.reason
        else:
            assert d.owner and d.territory, d
    assert rules["unplaced"] <= 5 and rules["abroad"] >= 20
    by_id = {d.id: d for d in run.decisions}
    assert by_id["MMM"].territory == "general Central"
    assert by_id["ACN"].row["home"] == "IE" and by_id["ACN"].territory == "Europe"
    assert by_id["AAPL"].territory == "technology West"


@absent
def test_a_draft_from_a_real_export_passes_its_own_tests(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from roe.cli import main

    made = CliRunner().invoke(main, ["init", str(tmp_path / "zoho"), "--from", str(DATA / "zoho_crm")])
    assert made.exit_code == 0, made.output
    tested = CliRunner().invoke(main, ["test", str(tmp_path / "zoho"), "--fail-on-empty"])
    assert tested.exit_code == 0, tested.output


@absent
def test_badly_scanned_company_names(tmp_path: Path) -> None:
    """The default definition on 692 pairs of names, whose spelling scanning spoilt. It takes a name that it is not sure of for a stranger."""
    from test_cli import roe

    folder, out = DATA / "neer_match", tmp_path / "out.csv"
    roe("match", "--leads", str(folder / "left.csv"), "--accounts", str(folder / "right.csv"), "--out", str(out))
    truth = {m["company_id_left"]: m["company_id_right"] for m in csv.DictReader((folder / "matches.csv").open(encoding="utf-8"))}
    found = {r["lead"]: r["account"] for r in csv.DictReader(out.open(encoding="utf-8")) if r["account"]}
    right = sum(truth[lead] == account for lead, account in found.items())
    precision, recall = right / len(found), right / len(truth)
    assert precision >= 0.97 and 2 * precision * recall / (precision + recall) >= 0.93
