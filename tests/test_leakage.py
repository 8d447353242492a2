"""Leakage: planted columns of many kinds are found in made-up histories, and no honest column is lost, however strong."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from click.testing import CliRunner  # noqa: E402

from effort import seeds  # noqa: E402
from helpers import SHARED, policy_text  # noqa: E402
from roe.cli import main  # noqa: E402
from roe.scoring.history import ScoredHistory, read_history  # noqa: E402
from roe.scoring.leakage import find_leaks, leave_out_leaks  # noqa: E402
from roe.scoring.marks import mark_of, steps_of_a_sale  # noqa: E402
from roe.scoring.tables import name_of  # noqa: E402

Values = list[Any]
Maker = Callable[[random.Random, list[bool], list[float]], Values]


def flag(rng: random.Random, won: list[bool], yes: float, no: float) -> list[bool]:
    return [rng.random() < (yes if w else no) for w in won]


def among(rng: random.Random, won: list[bool], yes: dict[str, float], no: dict[str, float]) -> list[str]:
    return [rng.choices(list(of), list(of.values()))[0] for of in (yes if w else no for w in won)]


def blank(rng: random.Random, values: Values, won: list[bool], yes: float, no: float) -> Values:
    """The values where they are filled: in so many won and lost records."""
    return [x if rng.random() < (yes if w else no) else None for x, w in zip(values, won, strict=True)]


# What a record had when it came. `pull` is what made it win: an honest number may follow it closely.
HONEST: dict[str, Maker] = {
    "time_on_site": lambda r, w, pull: [max(0, round(300 + 200 * p + r.gauss(0, 120))) for p in pull],
    "lead_origin": lambda r, w, pull: among(r, w, {"Form": 5, "API": 3, "Add form": 2}, {"Form": 5, "API": 5, "Add form": 0.15}),
    "occupation": lambda r, w, pull: blank(r, among(r, w, {"Working": 3, "None": 6}, {"Working": 0.2, "None": 6}), w, 0.9, 0.6),
    "source": lambda r, w, pull: among(r, w, {"web": 5, "reference": 2, "list": 0.2}, {"web": 5, "reference": 0.1, "list": 2}),
    "city": lambda r, w, pull: [f"City {int(r.expovariate(0.02))}" for _ in w],
    "company": lambda r, w, pull: [f"Company {r.randrange(len(w) // 2)}" for _ in w],
    "employees": lambda r, w, pull: blank(r, [round(math.exp(4 + 0.5 * p + r.gauss(0, 1))) for p in pull], w, 0.9, 0.75),
    "visits": lambda r, w, pull: [min(30, int(r.expovariate(1 / (3.5 if x else 2)))) for x in w],
    "asked_for_demo": lambda r, w, pull: flag(r, w, 0.5, 0.08),
    "referred": lambda r, w, pull: flag(r, w, 0.12, 0.01),
    "rare": lambda r, w, pull: [r.random() < 0.01 for _ in w],
    "credit_score": lambda r, w, pull: [round(600 + 40 * p + r.gauss(0, 50)) for p in pull],
    "marital_status": lambda r, w, pull: among(r, w, {"single": 3, "married": 2}, {"single": 2, "married": 3}),
    "funding_stage": lambda r, w, pull: among(r, w, {"seed": 1, "a": 2, "b": 3}, {"seed": 3, "a": 2, "b": 1}),
    "last_name": lambda r, w, pull: [r.choice(("Berg", "Kaya", "Lind", "Sato", "Diaz")) for _ in w],
    "visits_last_30_days": lambda r, w, pull: [int(r.expovariate(1 / (4 if x else 2))) for x in w],
    "pricing_page": lambda r, w, pull: [r.random() < 1 / (1 + math.exp(1 - 1.5 * p)) for p in pull],
}  # fmt: skip

# What was written afterwards, by its kind.
PLANTED: dict[str, Maker] = {
    "tags": lambda r, w, pull: blank(r, among(r, w, {"Will sign": 8, "Busy": 1, "Ringing": 0.3}, {"Ringing": 5, "Other courses": 4, "Busy": 1, "Will sign": 0.2}), w, 0.8, 0.6),
    "last_activity": lambda r, w, pull: among(r, w, {"SMS Sent": 5, "Email Opened": 4, "Bounced": 0.2}, {"SMS Sent": 2, "Email Opened": 4, "Bounced": 2}),
    "last_touch_channel": lambda r, w, pull: among(r, w, {"call": 6, "mail": 3}, {"call": 3, "mail": 6}),
    "lead_quality": lambda r, w, pull: blank(r, among(r, w, {"High": 5, "Might be": 4, "Worst": 0.1}, {"High": 1, "Might be": 3, "Worst": 4}), w, 0.7, 0.35),
    "lost_reason": lambda r, w, pull: blank(r, [r.choice(("price", "timing", "no need")) for _ in w], w, 0.0, 0.8),
    "closed_date": lambda r, w, pull: blank(r, [f"2025-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}" for _ in w], w, 1.0, 0.05),
    "invoices": lambda r, w, pull: [r.randrange(1, 6) if x and r.random() < 0.85 else 0 for x in w],
    "onboarding_calls": lambda r, w, pull: [r.randrange(1, 9) if x else 0 for x in w],
    "is_customer": lambda r, w, pull: [x if r.random() < 0.98 else not x for x in w],
    "state_code": lambda r, w, pull: [(7 if x else 3) if r.random() < 0.99 else 5 for x in w],
    "billing_address": lambda r, w, pull: blank(r, [f"{r.randrange(999)} Main St" for _ in w], w, 0.95, 0.04),
    "phone_type": lambda r, w, pull: blank(r, [r.choice(("mobile", "desk")) for _ in w], w, 0.95, 0.12),
    "engagement_score": lambda r, w, pull: [round((60 if x else 45) + r.gauss(0, 15)) for x in w],
    "next_step": lambda r, w, pull: among(r, w, {"send papers": 5, "call": 3}, {"call": 5, "none": 3, "send papers": 1}),
    "reaction": lambda r, w, pull: among(r, w, {"Email opened": 5, "Call back": 4}, {"No answer": 5, "Email opened": 3, "Wrong number": 2}),
    "handover": lambda r, w, pull: among(r, w, {"team a": 5, "team b": 4, "nobody": 0.2}, {"nobody": 9, "team a": 0.2}),
    "worked_minutes": lambda r, w, pull: [round(max(0, (600 if x else 60) + r.gauss(0, 90))) for x in w],
}  # fmt: skip


def made(seed: int, size: int, rate: float, planted: list[str], honest: list[str]) -> ScoredHistory:
    """A history whose outcome follows a hidden pull, with columns that follow either the pull or the outcome."""
    rng = random.Random(seed)
    pull = [rng.gauss(0, 1) for _ in range(size)]
    shift = sorted(1.5 * p + rng.gauss(0, 1) for p in pull)[int(size * (1 - rate))]
    won = [1.5 * p + rng.gauss(0, 1) > shift for p in pull]
    columns = {name: {**HONEST, **PLANTED}[name](rng, won, pull) for name in (*honest, *planted)}
    return ScoredHistory([str(i) for i in range(size)], columns, won)


SIZES = [(400, 0.4), (600, 0.2), (2000, 0.35), (3000, 0.08), (1500, 0.6)]


@pytest.mark.parametrize("seed", seeds(3, 10, 20))
def test_planted_columns_are_found_and_no_honest_one_is_lost(seed: int) -> None:
    rng = random.Random(seed)
    size, rate = SIZES[seed % len(SIZES)]
    planted, honest = rng.sample(sorted(PLANTED), 6), rng.sample(sorted(HONEST), 10)
    leaks = {leak.column for leak in find_leaks(made(seed, size, rate, planted, honest))}
    assert leaks == set(planted)


# The leads of an online school, as many sets of this kind are published: value -> (of a thousand leads, the share that was won)
SCHOOL = {
    "Lead Origin": {"Landing Page Submission": (530, 0.36), "API": (390, 0.31), "Lead Add Form": (78, 0.92)},
    "Lead Source": {"Google": (310, 0.4), "Direct Traffic": (275, 0.32), "Olark Chat": (190, 0.26), "Organic Search": (125, 0.38), "Reference": (58, 0.92)},
    "Do Not Email": {"No": (920, 0.4), "Yes": (80, 0.16)},
    "Specialization": {"Select": (210, 0.25), "": (155, 0.4), "Finance Management": (105, 0.44), "Operations Management": (55, 0.47)},
    "What is your current occupation": {"Unemployed": (605, 0.44), "": (290, 0.14), "Working Professional": (76, 0.91), "Student": (23, 0.37)},
    "What matters most to you": {"Better Career Prospects": (705, 0.49), "": (293, 0.14), "Other": (2, 0.5)},
    "City": {"Mumbai": (350, 0.4), "Select": (243, 0.3), "": (154, 0.4), "Thane & Outskirts": (82, 0.44)},
    "Tags": {"": (363, 0.25), "Will revert after reading the email": (224, 0.97), "Ringing": (130, 0.03), "Interested in other courses": (56, 0.03), "switched off": (26, 0.02), "Busy": (20, 0.56)},
    "Lead Quality": {"": (516, 0.24), "Might be": (169, 0.76), "Not Sure": (118, 0.24), "High in Relevance": (69, 0.95), "Worst": (65, 0.02)},
    "Last Activity": {"Email Opened": (372, 0.36), "SMS Sent": (297, 0.63), "Olark Chat Conversation": (105, 0.09), "Page Visited on Website": (69, 0.24), "Email Bounced": (35, 0.08)},
    "Last Notable Activity": {"Modified": (369, 0.23), "Email Opened": (306, 0.37), "SMS Sent": (235, 0.69), "Page Visited on Website": (34, 0.29)},
    "Asymmetrique Activity Index": {"": (456, 0.38), "02.Medium": (415, 0.42), "01.High": (89, 0.3), "03.Low": (39, 0.1)},
    "Asymmetrique Profile Index": {"": (456, 0.38), "02.Medium": (302, 0.31), "01.High": (238, 0.49)},
}  # fmt: skip


def test_what_a_school_writes_of_its_leads_afterwards_is_left_out(tmp_path: Path) -> None:
    rng = random.Random(11)
    won = [rng.random() < 0.385 for _ in range(4000)]
    columns: dict[str, Values] = {
        name: among(rng, won, {x: n * p for x, (n, p) in values.items()}, {x: n * (1 - p) for x, (n, p) in values.items()})
        for name, values in SCHOOL.items()
    }
    scores = [
        ("", "") if rng.random() < 0.45 else (round(rng.gauss(14.7 if w else 14.1, 1.3)), round(rng.gauss(16.8 if w else 16, 1.7)))
        for w in won
    ]
    columns["Asymmetrique Activity Score"], columns["Asymmetrique Profile Score"] = ([x[n] for x in scores] for n in (0, 1))
    columns["Total Time Spent on Website"] = [0 if rng.random() < 0.24 else int(rng.expovariate(1 / (950 if w else 400))) for w in won]
    columns["TotalVisits"] = [int(rng.expovariate(1 / (3.6 if w else 3.3))) for w in won]
    table = {"Lead Number": range(4000), **columns, "Converted": map(int, won)}
    with (tmp_path / "leads.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([table, *zip(*table.values(), strict=True)])
    history = read_history(tmp_path, "converted = 1")
    afterwards = {"tags", "lead_quality", "last_activity", "last_notable_activity"} | {
        f"asymmetrique_{of}_{what}" for of in ("activity", "profile") for what in ("index", "score")
    }
    assert {leak.column for leak in leave_out_leaks(history)} == afterwards
    assert set(history.features) == {"totalvisits", *(name_of(name) for name in columns)} - afterwards


@pytest.mark.parametrize("seed", seeds(2, 4, 8))
def test_two_columns_that_say_the_outcome_together_are_found(seed: int) -> None:
    rng = random.Random(seed)
    history = made(seed, 1200, 0.4, [], ["time_on_site", "source", "city"])
    won = history.outcome
    if seed % 2:
        one: Values = [rng.choice("xy") for _ in won]
        other: Values = ["p" if (x == "x") == w else "q" for x, w in zip(one, won, strict=True)]
    else:
        one = [rng.uniform(100, 1000) for _ in won]
        other = [x + (rng.uniform(5, 20) if w else -rng.uniform(5, 20)) for x, w in zip(one, won, strict=True)]
    history.features |= {"one": one, "other": other}
    leaks = {leak.column: leak for leak in find_leaks(history)}
    assert set(leaks) == {"one", "other"} and leaks["one"].partner == "other" and leaks["one"].kind == "together"


@pytest.mark.parametrize("seed", seeds(2, 5, 10))
def test_columns_that_say_nothing_are_never_leaks(seed: int) -> None:
    """Among them values with one or two records each, of which many have one outcome by chance."""
    rng = random.Random(seed)
    n = rng.choice((60, 200, 1000))
    won = [rng.random() < rng.choice((0.05, 0.3, 0.9)) for _ in range(n)]
    columns: dict[str, Values] = {f"c{k}": [rng.choice((None, rng.randrange(k * k + 2))) for _ in range(n)] for k in range(25)}
    columns |= {f"t{k}": [f"v{rng.randrange(n // 2)}" for _ in range(n)] for k in range(5)} | {
        "status": [rng.choice("abc") for _ in range(n)]
    }
    assert find_leaks(ScoredHistory([str(i) for i in range(n)], columns, won)) == []


def test_what_is_kept_and_dropped_by_name() -> None:
    history = made(1, 800, 0.4, ["tags", "invoices"], ["source"])
    leaks = leave_out_leaks(history, ["Tags"], ["Source"])
    assert {leak.column: leak.is_used for leak in leaks} == {"tags": True, "invoices": False}
    assert set(history.features) == {"tags"} and history.dropped["source"] == "dropped by name"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("last_activity", "activity"), ("last_notable_activity", "activity"), ("days_since_last_touch", "activity"), ("latest_call", "activity"), ("tags", "reps"),
        ("lead_status", "reps"), ("lead_quality", "reps"), ("call_outcome", "reps"), ("engagement_score", "tool"), ("vendor_profile_index", "tool"),
        ("lost_reason", "ends"), ("closed_date", "ends"), ("reason_for_losing", "ends"), ("last_name", ""), ("visits_last_30_days", ""), ("lead_origin", ""),
        ("lead_source", ""), ("marital_status", ""), ("funding_stage", ""), ("credit_score", ""), ("time_on_site", ""), ("occupation", ""), ("heritage", ""), ("stage_name_artist", ""),
    ],
)  # fmt: skip
def test_names_that_say_when_a_column_was_written(name: str, written: str) -> None:
    mark = mark_of(name)
    if name == "stage_name_artist":  # a name that is not enough by itself
        assert mark is not None and not mark.firm
    else:
        assert written in mark.written if mark and written else mark is None and not written


def test_values_that_are_steps_of_a_sale() -> None:
    assert steps_of_a_sale(["SMS sent", "Email opened", "Email opened", None]) == ["Email opened", "SMS sent"]
    assert steps_of_a_sale(["web", "event", "referral", "Word of mouth"]) == []


def test_rows_that_are_stored_wrong_are_counted_and_never_losses(tmp_path: Path) -> None:
    """A wrapped row and a short one in each table: of the leads they are counted; of the deals their leads' outcome is not known."""
    leads = ["id,source,size"] + [f"L{i},web,{i}" for i in range(40)] + ["L40,we", "b,40", "L41"]
    deals = ["deal,lead,plan"] + [f"D{i},L{i},gold" for i in range(10)] + ["D10,L10,", "gold", "D11,L11"]
    (tmp_path / "leads.csv").write_text("\n".join(leads).replace("deal,lead", "deal,id") + "\n", "utf-8")
    (tmp_path / "deals.csv").write_text("\n".join(deals).replace("deal,lead", "deal,id") + "\n", "utf-8")
    history = read_history(tmp_path, "plan != null", records="leads")
    assert len(history.ids) == 38 and sum(history.outcome) == 10
    notes = " | ".join(history.notes)
    assert "2 records may have an outcome in a row that is stored wrong" in notes and "`leads.csv`: 3 rows are left out" in notes


def test_a_record_without_an_outcome_is_not_lost(tmp_path: Path) -> None:
    rows = [f"{i},{'abc'[i % 3]},{('Won', 'Lost', '')[i % 3]}" for i in range(90)]
    (tmp_path / "leads.csv").write_text("id,source,stage\n" + "\n".join(rows) + "\n", "utf-8")
    history = read_history(tmp_path, 'stage = "Won"')
    assert (len(history.ids), sum(history.outcome)) == (60, 30) and any("30 records have no outcome" in note for note in history.notes)
    (tmp_path / "leads.csv").write_text("id,source,won\n" + "\n".join(f"{i},a,{'yes' if i % 3 else ''}" for i in range(90)) + "\n", "utf-8")
    assert len(read_history(tmp_path, "won").ids) == 90  # a blank is the only way to say no


@pytest.mark.skipif(not (SHARED / "data" / "olist").is_dir(), reason="the data is not at hand")
def test_on_olist_the_table_of_closed_deals_is_found_and_the_origin_stays() -> None:
    history = read_history(SHARED / "data" / "olist", "won_date != null", "first_contact_date")
    leaks = leave_out_leaks(history)
    assert {leak.kind for leak in leaks} == {"table"} and len(leaks) == 12
    assert set(history.features) == {"landing_page_id", "origin"}


def test_a_score_that_looks_at_a_leak_through_a_definition_is_not_trusted(tmp_path: Path, without_charts: None) -> None:
    """Twice, since the second run reads the policy as it was kept by the first."""
    rng = random.Random(2)
    won = [rng.random() < 0.4 for _ in range(600)]
    rows = [
        f"L{i},{'hot' if rng.random() < (0.9 if w else 0.05) else 'cold'},{rng.choice('ab')},{'yes' if w else 'no'}"
        for i, w in enumerate(won)
    ]
    (tmp_path / "leads.csv").write_text("id,tags,source,converted\n" + "\n".join(rows) + "\n", "utf-8")
    text = """
roe: 1
name: looks
roles: [sdr]
fields: {lead: {tags: string, source: string}}
define: {lead.hot: 'lead.tags = "hot"'}
scores:
  bad: {for: lead, criteria: [{name: hot, when: lead.hot, points: 10}]}
  fair: {for: lead, criteria: [{name: a, when: 'lead.source = "a"', points: 10}]}
engagement: {lead: {sdr: [{name: all, then: open}]}}
"""
    policy = policy_text(tmp_path / "p", text)
    command = [
        "score",
        "backtest",
        str(policy),
        "--data",
        str(tmp_path),
        "--outcome",
        "lead.converted",
        "--as-of",
        "2026-01-01",
        "--out",
        str(tmp_path / "o"),
    ]
    for _ in range(2):
        done = CliRunner().invoke(main, [*command, "--score", "bad"])
        assert done.exit_code == 0 and "Do not trust this score: it uses `tags`" in done.output, done.output
    assert "leakage" not in CliRunner().invoke(main, [*command, "--score", "fair"]).output
    assert "vouched for with --keep" in CliRunner().invoke(main, [*command, "--keep", "tags"]).output
