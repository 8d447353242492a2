"""A year of nights against a model that is written from the documents: every owner, since, window, credit and deadline of every night;
and for days of the past, what the history and the explanation say is what that night's files said.
"""

from __future__ import annotations

import csv
import os
import random
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from roe.cache import load_policy
from roe.cli import main
from roe.evaluator.engine import Evaluator
from roe.ledger.audit import verify
from roe.ledger.moment import At
from roe.ledger.store import open_store
from roe.run.engines import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source
from year import Company, Decision, Model, policy

START = date(2026, 1, 1)
EXPLAINED = 3  # past days of which the whole explanation is asked for, every day; the long check asks for 300


def evaluators(folder: Path) -> list[Evaluator]:
    found = []
    for quarter in range(4):
        place = folder / f"quarter-{quarter}"
        place.mkdir(parents=True)
        (place / "policy.yaml").write_text(policy(quarter), "utf-8")
        made, problems = load_policy(place)
        assert made is not None, problems
        found.append(Evaluator(made))
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def play(folder: Path, seed: int, accounts: int, nights: int, quarter_days: int, explained: int) -> None:
    luck = random.Random(seed)
    company, model, made = Company(luck, START, accounts), Model(), evaluators(folder)
    said: dict[tuple[str, date], Decision] = {}
    for n in range(nights):
        today = START + timedelta(days=n)
        quarter = n // quarter_days % 4
        if n:
            company.day(today)
        company.write(folder / "data", today)
        evaluator = made[quarter]
        options = RunOptions(state=str(folder / "state"), engine=luck.choice(["rows", "columns"]))
        run(Job(evaluator, Source(evaluator.policy, folder / "data"), str(today)), folder / "out", options)
        wanted, credits = model.night(company, today, quarter)
        about = f"seed {seed}, night {n} ({today}), {options.engine}"
        found = {
            x["record"]: Decision(x["owner"] or None, x["rule"], date.fromisoformat(x["expires"]) if x["expires"] else None)
            for x in rows(folder / "out" / "allocations.csv")
            if (x["entity"], x["role"]) in (("account", "ae"), ("lead", "sdr"))
        }
        wrong = {r: (d, found.get(r)) for r, d in wanted.items() if found.get(r) != d}
        assert not wrong and len(found) == len(wanted), f"{about}: {dict(list(wrong.items())[:3])}"
        lines = {(x["record"], x["rep"], x["share"], x["until"]) for x in rows(folder / "out" / "credits.csv")}
        assert lines == credits, f"{about}: {sorted(lines ^ credits)[:6]}"
        _remembered(folder, company, model, about)
        said |= {(r, today): d for r, d in wanted.items()}
        company.load([(x["record"], x["value"] or None) for x in rows(folder / "out" / "changes.csv")], today)
    _asked(folder, company, luck, said, explained)


def _remembered(folder: Path, company: Company, model: Model, about: str) -> None:
    """The ledger has each record with the owner and the first day that the model has, whether it is in the data or not."""
    with open_store(folder / "state") as store:
        held = {h.record: h for h in store.holdings()}
    for record, known in model.known.items():
        h = held.get(record)
        assert (h.rep if h is not None else None) == known.owner, (about, record, h, known)
        if known.owner is not None:
            assert h is not None and (h.start.date, h.since_unknown) == (known.since or known.first, known.since is None), (
                about,
                record,
                h,
                known,
            )


def _asked(folder: Path, company: Company, luck: random.Random, said: dict[tuple[str, date], Decision], explained: int) -> None:
    """What the history and the explanation say of past days is what those nights said."""
    with open_store(folder / "state") as store:
        assert verify(store).bad is None and store.rebuild()
        for (record, day), d in luck.sample(sorted(said.items(), key=str), min(len(said), 40 * explained)):
            r = company.records[record]
            h = store.holding(r.entity, record, "ae" if r.entity == "account" else "sdr", At.of(day, "UTC"))
            assert (h.rep if h is not None else None) == d.owner, (record, day, h, d)
    for (record, day), d in luck.sample(sorted(said.items(), key=str), explained):
        done = CliRunner().invoke(main, ["explain", record, "--on", str(day), "--state", str(folder / "state")])
        assert done.exit_code == 0, done.output
        sentence = " ".join(done.output.split("\n\n")[1].split())
        owns = "nobody owns" if d.owner is None else f"{d.owner.upper()} owns"
        assert owns.lower() in sentence.lower() and d.rule in done.output, (record, day, d, done.output[:400])


def test_some_weeks_of_nights_agree_with_the_model(tmp_path: Path) -> None:
    """Another month each time this test changes its seed; a quarter lasts eight days here."""
    play(tmp_path, 1, 40, 30, 8, EXPLAINED)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(int(os.environ.get("ROE_YEARS", "1"))))
def test_a_year_of_nights_agrees_with_the_model(seed: int, tmp_path: Path) -> None:
    play(tmp_path, seed, int(os.environ.get("ROE_YEAR_ACCOUNTS", "5000")), 365, 91, 300)
