"""Back-tests: metrics beside scikit-learn's own, intervals and lifts by hand, leakage, hold-outs, and score cards that a policy computes."""

from __future__ import annotations

import csv
import json
import math
import random
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
metrics = pytest.importorskip("sklearn.metrics")

from click.testing import CliRunner  # noqa: E402

import roe  # noqa: E402
from effort import seeds  # noqa: E402
from helpers import SHARED, policy_text  # noqa: E402
from roe.cli import main  # noqa: E402
from roe.scoring.backtest import auc, calibration, deciles, stability, thresholds, wilson  # noqa: E402
from roe.scoring.card import fit  # noqa: E402
from roe.scoring.history import hold_out, read_history  # noqa: E402
from roe.scoring.leakage import leave_out_leaks  # noqa: E402
from roe.scoring.tables import typed  # noqa: E402


def sample(seed: int, n: int = 300) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 12, n).astype(float)
    return rng.random(n) < 1 / (1 + np.exp(3 - score / 3)), score


@pytest.mark.parametrize("seed", seeds(2, 8, 20))
def test_metrics_are_scikit_learns(seed: int) -> None:
    won, score = sample(seed)
    assert auc(won, score) == pytest.approx(metrics.roc_auc_score(won, score), abs=1e-9)
    for t in thresholds(won, score):
        above = score >= t["threshold"]
        assert t["precision"] == pytest.approx(metrics.precision_score(won, above, zero_division=0), abs=1e-9)
        assert t["recall"] == pytest.approx(metrics.recall_score(won, above), abs=1e-9)
        assert t["f1"] == pytest.approx(metrics.f1_score(won, above), abs=1e-9)
        assert t["workload"] == pytest.approx(above.mean(), abs=1e-12)
    found = deciles(won, score)
    assert sum(d["won"] for d in found) == pytest.approx(won.sum()) and sum(d["records"] for d in found) == len(won)
    order = np.random.default_rng(seed).permutation(len(won))
    again = deciles(won[order], score[order])
    assert [d["won"] for d in again] == pytest.approx([d["won"] for d in found])
    chance = 1 / (1 + np.exp(3 - score / 3))
    parts = calibration(won, chance)
    assert sum(c["records"] for c in parts) == len(won)
    assert sum(c["observed"] * c["records"] for c in parts) == pytest.approx(won.sum())


@pytest.mark.parametrize(
    ("won", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)]
)
def test_wilson_intervals(won: int, n: int, low: float, high: float) -> None:
    """The last is Newcombe's example (Statistics in Medicine 17, 1998), the others are tables of the same method."""
    assert wilson(won, n)[0] == pytest.approx(low, abs=1e-4)
    assert wilson(won, n)[1] == pytest.approx(high, abs=1e-4)


def test_what_does_not_change_does_not_drift() -> None:
    _, score = sample(1, 5000)
    assert stability(score, score) == 0
    assert stability(score, score + 4) > 0.25


def history(folder: Path, n: int = 600) -> Path:
    """Leads with a column that was filled in after the fact, and touches in a table of their own."""
    rng = random.Random(3)
    folder.mkdir()
    leads, deals, touches = [], [], []
    for i in range(n):
        source, size = rng.choice(["web", "event", "list"]), rng.choice([5, 50, 500, None])
        won = rng.random() < {"web": 0.5, "event": 0.25, "list": 0.05}[source] * (1.4 if size == 500 else 0.8)
        leads.append(
            [
                f"L{i}",
                f"{i % 28 + 1:02}-{i * 12 // n + 1:02}-2025",
                source,
                size or "",
                f"A{rng.randrange(n * 3)}",
                "yes" if rng.random() < 0.5 else "no",
            ]
        )
        if won:
            deals.append([f"L{i}", f"S{i}", rng.choice(["gold", "silver"])])
        touches += [[f"T{i}-{k}", f"L{i}", "call"] for k in range(rng.randrange(4))]
    for name, header, rows in (
        ("leads", ["Lead ID", "Came On", "Source", "Size", "Account", "Opted In"], leads),
        ("deals", ["Lead ID", "Seller", "Plan"], deals),
        ("touches", ["Touch", "Lead ID", "Kind"], touches),
    ):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    return folder


def test_leakage_is_left_out_unless_it_is_kept(tmp_path: Path) -> None:
    found = read_history(history(tmp_path / "h"), "seller != null", "Came On", "Account")
    assert set(found.features) == {"source", "size", "opted_in", "plan", "count_touches"}
    assert found.dropped["seller"] == "the outcome is made of it" and found.dropped["lead_id"].startswith("it is another value")
    assert [x.column for x in leave_out_leaks(found)] == ["plan"] and "plan" not in found.features
    again = read_history(tmp_path / "h", "seller != null")
    assert [x.what_becomes for x in leave_out_leaks(again, ["Plan"])] == ["kept by name"] and "plan" in again.features
    leave_out_leaks(again, (), ["Source"])
    assert "source" not in again.features and again.dropped["source"] == "dropped by name"


def test_a_history_says_what_it_leaves_out_and_keeps_words_that_may_be_names(tmp_path: Path) -> None:
    """As everywhere: `n/a` is missing among numbers, `None` is a value among texts, a broken row is counted, and no key joins nothing."""
    (tmp_path / "leads.csv").write_text("Lead ID,Size,Source\nL1,10,None\nL2,n/a,NA\nL3,30,NULL\nL4,40\nL5,-,web\n\nTotal,,\n", "utf-8")
    (tmp_path / "deals.csv").write_text("Deal ID,Lead ID,Plan\nD1,L1,gold\nD2,,gold\nD3,-,silver\n", "utf-8")
    found = read_history(tmp_path, "plan != null", records="leads")
    assert found.ids == ["L1", "L2", "L3", "L5"] and found.outcome == [True, False, False, False]
    assert found.features["size"] == [10, None, 30, None] and found.features["source"] == ["None", "NA", None, "web"]
    notes = " | ".join(found.notes)
    assert "`leads.csv`: 2 rows are left out" in notes and "`deals`: 2 rows without `lead_id` belong to no record" in notes


def test_the_last_are_held_out_without_the_groups_of_the_earlier(tmp_path: Path) -> None:
    found = read_history(history(tmp_path / "h"), "seller != null", "came_on", "account")
    early, late, how = hold_out(found)
    assert found.time is not None and found.group is not None
    assert isinstance(found.time[0], date)
    assert max(found.time[i] for i in early) <= min(found.time[i] for i in late)
    assert not {found.group[i] for i in early} & {found.group[i] for i in late}
    assert len(early) == 420 and 0 < len(late) < 180 and "without" in how


def test_a_fitted_card_is_what_a_policy_computes(tmp_path: Path) -> None:
    folder = history(tmp_path / "h")
    card_file = tmp_path / "p" / "card.yaml"
    policy_text(
        tmp_path / "p", "roe: 1\nname: card\ninclude: [card.yaml]\nroles: [sdr]\nengagement: {lead: {sdr: [{name: all, then: open}]}}\n"
    )
    done = CliRunner().invoke(
        main, ["score", "fit", "--data", str(folder), "--outcome", "seller != null", "--time", "came_on", "--out", str(card_file)]
    )
    assert done.exit_code == 0, done.output
    found = read_history(folder, "seller != null", "came_on")
    leave_out_leaks(found, [])
    card = fit(found.take(hold_out(found)[0]))
    assert card.criteria and all(isinstance(c.points, int) and c.points for c in card.criteria)
    wanted = dict(zip(found.ids, card.score(found).tolist(), strict=True))
    rows = [{"id": i, **{k: x[n] for k, x in found.features.items()}} for n, i in enumerate(found.ids)]
    world = roe.compile(roe.load(tmp_path / "p")).bind({"lead": rows}, as_of="2026-01-01").world
    assert {r["id"]: r["fitted"] for r in world.rows["lead"]} == wanted
    assert auc(np.array(found.outcome), card.score(found)) > 0.7  # type: ignore[operator]


def test_a_card_says_how_many_points_double_the_odds(tmp_path: Path) -> None:
    """Its header has the chance of winning by the score, and the points that double the odds there."""
    asked = ["--data", str(history(tmp_path / "h")), "--outcome", "seller != null", "--time", "came_on"]
    done = CliRunner().invoke(main, ["score", "fit", *asked, "--out", str(tmp_path / "c.yaml")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "c.yaml").read_text()
    double, slope = re.search(r"; ([\d.]+) of them double the odds", text), re.search(r"\+ ([\d.]+) \* score", text)
    assert double and slope and math.exp(float(slope[1]) * float(double[1])) == pytest.approx(2, rel=0.01)


def test_scores_of_a_policy_are_tested_too(tmp_path: Path) -> None:
    history(tmp_path / "h")
    (tmp_path / "h" / "leads.csv").rename(tmp_path / "h" / "lead.csv")
    policy_text(
        tmp_path / "p",
        """
roe: 1
name: tested
roles: [sdr]
data: {lead: {format: "%d-%m-%Y"}}
fields:
  lead: {id: {column: Lead ID}, came_on: {type: date, column: Came On}, source: {column: Source}, size: {type: number, column: Size}, account: {type: string, column: Account}, deals: {many: deal, via: lead}}
  deal: {id: {column: Seller}, lead: {type: lead, column: Lead ID}}
scores:
  fit:
    for: lead
    criteria:
      - {name: web, when: 'lead.source = "web"', points: 20}
      - {name: event, when: 'lead.source = "event"', points: 10}
engagement: {lead: {sdr: [{name: all, then: open}]}}
""".replace("source: {column: Source}", "channel: {type: string, column: Source}").replace("lead.source", "lead.channel"),
    )
    command = [
        "score",
        "backtest",
        str(tmp_path / "p"),
        "--data",
        str(tmp_path / "h"),
        "--outcome",
        "count(lead.deals) > 0",
        "--time",
        "lead.came_on",
    ]
    done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "backtest.json").read_text())
    assert found["scores"][0]["name"] == "fit" and found["scores"][0]["auc"] > 0.65
    page = (tmp_path / "out" / "backtest.html").read_text()
    assert page.count("<svg") == 4 and "<script" not in page


def test_few_records_warn_and_one_outcome_is_said(tmp_path: Path, without_charts: None) -> None:
    folder = history(tmp_path / "h", 60)
    command = ["score", "backtest", "--data", str(folder), "--time", "came_on", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*command, "--outcome", "seller != null"])
    assert done.exit_code == 0 and "figures say little" in done.output
    for outcome, code in (("seller = 3", "R606"), ("saler != null", "R201"), ("seller !=", "R101")):
        done = CliRunner().invoke(main, [*command, "--outcome", outcome])
        assert done.exit_code == 2 and code in done.output, done.output
    done = CliRunner().invoke(main, ["score", "backtest", "--data", str(tmp_path / "nowhere"), "--outcome", "true"])
    assert done.exit_code == 2 and "R606" in done.output


def test_a_name_that_no_column_has_is_refused_and_all_that_is_left_out_is_said(tmp_path: Path, without_charts: None) -> None:
    """A column of texts that differ everywhere earns no points, and neither does one that is the same everywhere: both are told."""
    folder = tmp_path / "h"
    folder.mkdir()
    rows = [
        f"D{n},{'Won' if n % 3 == 0 else 'Lost'},R-{n if n % 3 == 0 else ''},{('web', 'call')[n % 3 == 0 and n % 2]},x,2024-{n % 12 + 1:02}-11"
        for n in range(300)
    ]
    (folder / "deals.csv").write_text("deal,stage,invoice,source,same,came\n" + "\n".join(rows))
    command = ["score", "backtest", "--data", str(folder), "--time", "came", "--out", str(tmp_path / "out")]

    def said(outcome: str, *more: str) -> str:
        return str(CliRunner().invoke(main, [*command, "--outcome", outcome, *more]).output)

    for option in ("--keep", "--drop"):
        assert (
            f"{option}:1:1: there is no column `sorce`" in (wrong := said('stage = "Won"', option, "sorce"))
            and "did you mean `source`" in wrong
        )
    lower = said('stage = "won"')
    assert "the outcome is true for 0 of 300 records" in lower and "did you mean `Won`?" in lower
    told = said('stage = "Won"')
    for line in (
        "`came` is left out: --time names it",
        "`same` is left out: it is the same everywhere",
        "`stage` is left out: the outcome is made of it",
    ):
        assert line in told
    assert "`deal` is left out: it is another value nearly everywhere" in told and "of 1 won" not in told
    assert "`deal` cannot be kept: it is another value nearly everywhere" in said('stage = "Won"', "--keep", "deal")


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1.200,50 €", "€ 300", "n/a", "-12"], [1200.5, 300, None, -12]),
        (["$1,200", "$12.5", "$1,000,000"], [1200, 12.5, 1_000_000]),
        (["EUR 700,000.00", "€ 23.900.000", "5"], [700_000, 23_900_000, 5]),  # both signs, and each in one way only
        (["206.000 €", "1.000 €"], None),  # thousands or thousandths: nobody can tell
        (["$5", "€ 5"], None),
        (["02139", "10115"], None),  # a code
        (["5 km", "7 km"], None),
        (["12.05.2024", "x"], None),
    ],
)
def test_numbers_as_people_write_them_are_numbers(cells: list[str], numbers: list[float | None] | None) -> None:
    assert typed([*cells]) == ([*cells] if numbers is None else numbers)


def test_numbers_that_can_be_read_in_two_ways_are_told(tmp_path: Path, without_charts: None) -> None:
    rows = [f"D{n},{'Won' if n % 3 == 0 else 'Lost'},{'web' if n % 5 else 'call'},{n % 60 + 1}.000 €" for n in range(90)]
    (tmp_path / "deals.csv").write_text("deal,stage,source,amount\n" + "\n".join(rows), "utf-8")
    said = CliRunner().invoke(
        main, ["score", "backtest", "--data", str(tmp_path), "--outcome", 'stage = "Won"', "--drop", "deal", "--out", str(tmp_path / "out")]
    )
    assert "`amount` is left out: numbers such as `1.000 €` can be read in two ways" in said.output


@pytest.mark.skipif(not (SHARED / "data" / "olist").is_dir(), reason="the data is not at hand")
def test_raw_history_to_figures_in_one_command(tmp_path: Path, without_charts: None) -> None:
    command = [
        "score",
        "backtest",
        "--data",
        str(SHARED / "data" / "olist"),
        "--outcome",
        "won_date != null",
        "--time",
        "first_contact_date",
    ]
    done = CliRunner().invoke(main, [*command, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "backtest.json").read_text())
    assert (found["records"], found["won"]) == (8000, 842)
    assert {"seller_id", "sdr_id", "business_segment"} <= set(found["leakage"])
    assert 0.65 < found["scores"][0]["auc"] < 0.75 and not math.isnan(found["scores"][0]["brier"])


@pytest.mark.parametrize(
    ("column", "values", "outcome"),
    [
        ("Converted", ("1", "0"), "Converted = 1"), ("Converted", ("1", "0"), "converted = true"), ("Won", ("Yes", "No"), 'Won = "Yes"'),
        ("Won", ("yes", "no"), "won"), ("Stage", ("Closed Won", "Closed Lost"), 'Stage = "Closed Won"'), ("is_won", ("TRUE", "FALSE"), "is_won = true"),
    ],
)  # fmt: skip
def test_outcomes_as_people_write_them(tmp_path: Path, column: str, values: tuple[str, str], outcome: str) -> None:
    rng = random.Random(1)
    rows = [[i, rng.choice("ab"), values[rng.random() > 0.3], 2000 + i] for i in range(200)]
    with (tmp_path / "leads.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["Lead Number", "Source", column, "Year"], *rows])
    for data in (tmp_path, tmp_path / "leads.csv"):
        found = read_history(data, outcome, "Year")
        assert found.outcome == [row[2] == values[0] for row in rows]
        assert set(found.features) == {"source"} and hold_out(found)[1] == list(range(140, 200))


def test_groups_that_go_on_are_held_out_whole(tmp_path: Path) -> None:
    rows = [[i, f"g{i % 10}", "yes" if i % 3 else "no", i] for i in range(100)]
    with (tmp_path / "leads.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "account", "won", "at"], *rows])
    found = read_history(tmp_path, "won", "at", "account")
    early, late, how = hold_out(found)
    assert found.group is not None and not {found.group[i] for i in early} & {found.group[i] for i in late}
    assert sorted([*early, *late]) == list(range(100)) and 0 < len(late) <= 30 and "whole" in how


def test_a_score_is_what_it_was_when_the_record_came(tmp_path: Path, without_charts: None) -> None:
    policy_text(
        tmp_path / "p",
        """
roe: 1
name: then
roles: [sdr]
scores:
  heat: {for: lead, signals: [{name: visits, of: lead.activities, points: 10, half_life: 10 days}]}
engagement: {lead: {sdr: [{name: all, then: open}]}}
""",
    )
    (tmp_path / "h").mkdir()
    leads = [(f"L{i}", f"2026-01-{1 + i % 28:02}", "yes" if i % 2 else "no") for i in range(80)]
    visits = [(f"V{i}", f"L{i}", f"2026-01-{1 + i % 28:02}" if i % 2 else "2026-03-01") for i in range(80)]
    for name, header, rows in (("leads", ["id", "created", "converted"], leads), ("activities", ["id", "lead", "date"], visits)):
        with (tmp_path / "h" / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    command = [
        "score",
        "backtest",
        str(tmp_path / "p"),
        "--data",
        str(tmp_path / "h"),
        "--outcome",
        "lead.converted",
        "--time",
        "lead.created",
    ]
    done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "backtest.json").read_text())["scores"][0]
    assert found["auc"] == 1.0 and {t["threshold"] for t in found["thresholds"]} == {0.0, 10.0}
