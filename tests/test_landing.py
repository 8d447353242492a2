"""A fitted card works where it lands: its conditions are in the policy's own values, and it gives the same points there."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from click.testing import CliRunner  # noqa: E402

import roe  # noqa: E402
from helpers import policy_text  # noqa: E402
from roe.cli import main  # noqa: E402
from roe.data.read import read_tables  # noqa: E402
from roe.scoring.backtest import auc  # noqa: E402

COUNTRIES = {"India": 0.6, "india": 0.6, "IN": 0.6, "Deutschland": 0.2, "Germany": 0.2, "United States": 0.4, "": 0.3}
POLICY = """
roe: 1
name: lands
roles: [sdr]
data: {lead: {numbers: "1,234.5"}}
fields:
  lead:
    id: {column: Lead Key}
    employees: {type: number}
    tier: {type: string, aliases: {Gold tier: gold, GOLD: gold}}
    touches: {many: touch, via: lead}
  touch: {lead: lead}
engagement: {lead: {sdr: [{name: all, then: open}]}}
"""


def history(folder: Path, n: int = 900) -> Path:
    """Leads whose cells are written as people write them, with a second table."""
    rng = random.Random(5)
    folder.mkdir()
    leads, touches = [], []
    for i in range(n):
        country, tier, size = (
            rng.choice(list(COUNTRIES)),
            rng.choice(["Gold tier", "GOLD", "basic", ""]),
            rng.choice([20, 900, 1200, 25000]),
        )
        won = rng.random() < COUNTRIES[country] * (1.5 if tier.upper().startswith("GOLD") else 0.7) * (1.3 if size > 1000 else 0.8)
        leads.append([f"K{i}", country, tier, f"{size:,}", f"USER{i % 400}@X.COM", rng.choice(["Yes", "no"]), "1" if won else "0"])
        touches += [[f"T{i}-{k}", f"K{i}"] for k in range(rng.randrange(4))]
    for name, header, rows in (
        ("leads", ["Lead Key", "Country", "Tier", "Employees", "Email", "Opted In", "Converted"], leads),
        ("touches", ["id", "Lead Key"], touches),
    ):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    return folder


def fit(*args: object) -> str:
    done = CliRunner().invoke(main, ["score", "fit", *map(str, args), "--outcome", "converted = 1"])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_card_is_in_the_policys_values_and_scores_the_same_in_its_own_records(tmp_path: Path) -> None:
    data = history(tmp_path / "h")
    root = policy_text(tmp_path / "p", POLICY.replace("roles", "include: [card.yaml]\nroles", 1))
    (root / "card.yaml").write_text("{}\n", "utf-8")
    said = fit(root, "--data", data, "--out", root / "card.yaml")
    card = (root / "card.yaml").read_text("utf-8")
    for text in (r"lead.country = \"IN\"", r"lead.country = \"DE\"", r"lead.tier = \"gold\"", "lead.employees >= ", "lead.opted_in"):
        assert text in card, text
    assert "India" not in card and "Gold tier" not in card and "GOLD" not in card and "country:" not in card.split("scores:")[0]
    assert "gives all 900 records the same points" in said
    assert "`count_touches` is left out: the policy's lead records do not have it" in said
    evaluator = roe.compile(roe.load(root))
    tables, problems = read_tables(evaluator.policy, data)
    assert not [p for p in problems if p.severity == "error"]
    rows = evaluator.bind(tables, as_of="2026-01-01").world.rows["lead"]
    area = auc(np.array([r["converted"] for r in rows], bool), np.array([r["fitted"] for r in rows], float))
    assert area is not None and area > 0.65
    assert "in the policy" in fit(root, "--data", data, "--out", root / "card.yaml")  # a card that is included is replaced


def test_without_a_policy_the_standard_fields_are_the_policy(tmp_path: Path) -> None:
    said = fit("--data", history(tmp_path / "h"), "--out", tmp_path / "card.yaml")
    card = (tmp_path / "card.yaml").read_text("utf-8")
    assert r"lead.country = \"IN\"" in card and '"tier": {type: string}' in card and "gives all 900 records the same points" in said


def test_a_name_that_another_score_has_is_said(tmp_path: Path) -> None:
    root = policy_text(
        tmp_path / "p", POLICY + "scores: {heat: {for: lead, criteria: [{name: gb, when: 'lead.country = \"GB\"', points: 5}]}}\n"
    )
    command = [
        "score",
        "fit",
        str(root),
        "--data",
        str(history(tmp_path / "h")),
        "--outcome",
        "converted = 1",
        "--out",
        str(tmp_path / "c.yaml"),
    ]
    done = CliRunner().invoke(main, [*command, "--name", "heat"])
    assert done.exit_code == 2 and "R306" in done.output and not (tmp_path / "c.yaml").exists()
