"""A year of nights against a model that is written from the documents: every owner, since, window, credit and deadline of every night;
and for days of the past, what the history and the explanation say is what that night's files said.
"""

from __future__ import annotations

import csv
import json
import os
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from roe.cache import load_policy
from roe.cli import main
from roe.evaluator.engine import Evaluator
from roe.ledger.audit import verify
from roe.ledger.store import open_store
from roe.run.adjust import note_refused
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source
from year import Company, Decision, Model, policy

START = date(2026, 1, 1)
ASKED = 5  # days of records that are asked for at the end, every day; the whole year asks for 1,000


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


@dataclass(frozen=True)
class Night:
    """What the files of a night said of one record, to be held against what is said of that day at the end."""

    entity: str
    record: str
    day: date
    decision: Decision
    digest: str  # of the policy


class Year:
    """A company, its ledger, and the model beside them. `asked` days of records are asked for at the end, as many of every night."""

    def __init__(self, folder: Path, seed: int, accounts: int, nights: int, quarter_days: int, asked: int) -> None:
        self.folder, self.seed, self.nights, self.quarter_days = folder, seed, nights, quarter_days
        self.luck, self.chosen = random.Random(seed), random.Random(seed)
        self.company, self.model = Company(self.luck, START, accounts), Model()
        self.per_night = asked / nights
        self.said: list[Night] = []
        self.state = str(folder / "state")

    def play(self) -> None:
        made = evaluators(self.folder)
        for n in range(self.nights):
            quarter = n // self.quarter_days % 4
            self.night(n, quarter, made[quarter])

    def night(self, n: int, quarter: int, evaluator: Evaluator) -> None:
        folder, company, today = self.folder, self.company, START + timedelta(days=n)
        if n:
            company.day(today)
        company.write(folder / "data", today)
        now = datetime.combine(today, time(), UTC)  # else roe refuses days that have not come yet
        options = RunOptions(state=self.state, engine=self.luck.choice(["rows", "columns"]), now=now)
        run(Job(evaluator, Source(evaluator.policy, folder / "data"), str(today)), folder / "out", options)
        wanted, credits = self.model.night(company, today, quarter)
        about = f"seed {self.seed}, night {n} ({today}), {options.engine}"
        found = {
            x["record"]: Decision(x["owner"] or None, x["rule"], date.fromisoformat(x["expires"]) if x["expires"] else None)
            for x in rows(folder / "out" / "allocations.csv")
            if (x["entity"], x["role"]) in (("account", "ae"), ("lead", "sdr"))
        }
        wrong = {r: (d, found.get(r)) for r, d in wanted.items() if found.get(r) != d}
        assert not wrong and len(found) == len(wanted), f"{about}: {dict(list(wrong.items())[:3])}"
        lines = {(x["record"], x["rep"], x["share"], x["until"]) for x in rows(folder / "out" / "credits.csv")}
        assert lines == credits, f"{about}: {sorted(lines ^ credits)[:6]}"
        self._remembered(about)
        digest = json.loads((folder / "out" / "run.json").read_text("utf-8"))["policy"]["digest"]
        some = round((n + 1) * self.per_night) - round(n * self.per_night)
        for record in self.chosen.sample(sorted(wanted), min(some, len(wanted))):
            self.said.append(Night(company.records[record].entity, record, today, wanted[record], digest))
        refused = company.load([(x["record"], x["value"] or None) for x in rows(folder / "out" / "changes.csv")], today)
        if refused:
            note_refused([(record, "locked") for record in refused], self.state, "loader")

    def _remembered(self, about: str) -> None:
        """The ledger has each record with the owner, the first day and what gave it that the model has, whether it is in the data or not."""
        with open_store(self.state) as store:
            held = {h.record: h for h in store.holdings()}
        for record, known in self.model.known.items():
            h = held.get(record)
            wanted = (known.owner, known.since or known.first, known.since is None, known.by) if known.owner is not None else None
            found = (h.rep, h.start.date, h.since_unknown, h.by) if h is not None and h.rep is not None else None
            assert found == wanted, (about, record, found, known)

    def ask(self) -> None:
        """What the history and the explanation say of days of the past is what the files of those nights said."""
        with open_store(self.state) as store:
            assert verify(store).bad is None and store.rebuild()
        for night in self.said:
            d, on = night.decision, (night.record, "--on", str(night.day), "--state", self.state)
            (found,) = json.loads(said("history", *on, "--format", "json"))
            assert (found["rep"], found["rule"], found["policy_digest"]) == (d.owner, d.rule, night.digest), (self.seed, night, found)
            head, sentence, *rest = (" ".join(part.split()) for part in said("explain", *on).split("\n\n"))
            owns = "nobody owns" if d.owner is None else f"{d.owner} owns"
            assert owns in sentence.lower() and d.rule in " ".join((sentence, *rest)), (self.seed, night, sentence, rest)
            assert night.digest[:12] in head, (self.seed, night, head)


def said(*words: str) -> str:
    """What a command prints."""
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def play(folder: Path, seed: int, accounts: int, nights: int, quarter_days: int, asked: int) -> None:
    year = Year(folder, seed, accounts, nights, quarter_days, asked)
    year.play()
    year.ask()


def test_some_weeks_of_nights_agree_with_the_model(tmp_path: Path) -> None:
    """Another month each time this test changes its seed; a quarter lasts eight days here."""
    play(tmp_path, 1, 40, 30, 8, ASKED)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(int(os.environ.get("ROE_YEARS", "1"))))
def test_a_year_of_nights_agrees_with_the_model(seed: int, tmp_path: Path) -> None:
    play(tmp_path, seed, int(os.environ.get("ROE_YEAR_ACCOUNTS", "5000")), 365, 91, 1000)
