"""The audit page: filters against a scan of all entries, pages that miss nothing and repeat nothing, and the CSV."""

from __future__ import annotations

import csv
import io
import random
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from browsing import Browser, example_snapshot
from roe.ledger import browse, movements
from roe.ledger.browse import EntryFilter, newest
from roe.ledger.entries import Loaded, Owned, RunEntry
from roe.ledger.entry import Stored
from roe.ledger.moment import At
from roe.ledger.people import Away
from roe.ledger.store import Store, open_store
from roe.web.app.history import History
from roe.web.app.pages import audit
from roe.web.app.site import Options

RECORDS, REPS = ("A01", "A02", "A03", "gone"), ("ann", "bob", "cal", None)


def at(day: int) -> At:
    return At.of(date(2026, 1, day), "America/New_York")


def fill(store: Store, rng: random.Random) -> None:
    """Five nights, in each of which some records change hands, and a rep who is away."""
    for night in range(1, 6):
        entries: list[Any] = []
        for _ in range(rng.randrange(1, 12)):
            key: dict[str, Any] = {
                "at": at(night),
                "entity": "account",
                "record": rng.choice(RECORDS),
                "role": "ae",
                "rep": rng.choice(REPS),
            }
            former = rng.choice(REPS)
            entries.append(Loaded(**key) if rng.random() < 0.4 else Owned(**key, former=former, rule="r", sentence="=1+1"))
        entries.append(Away(at=at(night), entity="rep", record="cal", by="mia"))
        store.append(entries, RunEntry(at=at(night), id=f"night-{night}"))


def answers(x: Stored, w: EntryFilter) -> bool:
    """What the filters mean, without a database."""
    e: Any = x.entry
    reps = {getattr(e, "rep", None), getattr(e, "former", None), e.record if getattr(e, "entity", "") == "rep" else None}
    return (
        (not w.kind or x.kind == w.kind)
        and (not w.record or getattr(e, "record", None) == w.record)
        and (not w.rep or w.rep in reps)
        and (not w.run or w.run in (str(x.run), f"night-{e.at.date.day}"))
        and (w.since is None or e.at.date >= w.since)
        and (w.until is None or e.at.date <= w.until)
    )


@pytest.mark.parametrize("seed", range(12))
def test_pages_have_every_entry_that_answers_once_and_the_newest_first(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(browse, "LOOKED_AT", rng.choice((1, 3, 7, 1_000)))
    with open_store(tmp_path) as store:
        fill(store, rng)
        every = list(store.entries())
        runs = [str(x.number) for x in every if x.kind == "run"]
        for _ in range(12):
            some: dict[str, Any] = {
                "kind": rng.choice(("", "owned", "loaded", "away", "run", "none")),
                "rep": rng.choice(("", "ann", "bob", "nobody-of-this-name")),
                "record": rng.choice(("", "A01", "gone", "never")),
                "run": rng.choice(("", "night-2", "night-9", runs[2])),
                "since": rng.choice((None, date(2026, 1, 3))),
                "until": rng.choice((None, date(2026, 1, 4))),
            }
            keys = rng.sample(sorted(some), rng.randrange(4))
            wanted = EntryFilter(zone="America/New_York", **{key: some[key] for key in keys})
            got, before = [], None
            while True:
                found = newest(store, wanted, before, 3)
                got += [x.number for x in found.entries]
                assert len(found.entries) <= 3
                if found.before is None:
                    break
                assert before is None or found.before < before
                before = found.before
            assert got == [x.number for x in reversed(every) if answers(x, wanted)], wanted


@pytest.mark.parametrize("seed", range(8))
def test_moves_since_a_day_are_those_of_a_scan(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(movements, "PAGE", rng.choice((1, 4, 2_000)))
    with open_store(tmp_path) as store:
        for night in range(1, 7):
            entries = [
                Owned(at=at(rng.randrange(1, night + 1)), entity="account", record=rng.choice(RECORDS), role="ae", rep=rng.choice(REPS), former=rng.choice(REPS),
                      queue=rng.choice(("", "", "Desk")), by=rng.choice(("rule", "hand", "import")), past=rng.random() < 0.2)
                for _ in range(rng.randrange(9))
            ]  # fmt: skip
            store.append(entries, RunEntry(at=at(night), id=f"night-{night}"))
        every: list[Any] = list(store.entries(kinds=("owned",)))
        for since, most in ((date(2026, 1, day), most) for day in range(1, 8) for most in (2, 100)):
            wanted = [
                x.number
                for x in reversed(every)
                if x.entry.at.date >= since
                and not x.entry.past
                and x.entry.by != "import"
                and (x.entry.rep or x.entry.queue or None) != x.entry.former
            ]
            found, more = movements.moves_since(store, since, most)
            assert [x.number for x in found] == wanted[:most] and more == (len(wanted) > most), (since, most)


def test_a_page_reads_no_more_than_an_index_or_a_range_of_numbers(tmp_path: Path) -> None:
    """What a page asks of SQLite never scans the whole table, so a page takes as long among millions of entries."""
    with open_store(tmp_path) as store:
        fill(store, random.Random(1))
        asked: list[tuple[str, Any]] = []
        rows = store.db.rows
        store.db.rows = lambda sql, values=(): asked.append((sql, values)) or rows(sql, values)  # type: ignore[func-returns-value, method-assign]
        day = date(2026, 1, 3)
        for wanted in (
            EntryFilter(),
            EntryFilter(kind="owned"),
            EntryFilter(rep="ann"),
            EntryFilter(record="A01"),
            EntryFilter(run="night-2"),
            EntryFilter(since=day, until=day),
        ):
            newest(store, wanted, 20, 3)
        plans = [" ".join(str(row[3]) for row in rows(f"EXPLAIN QUERY PLAN {sql}", values)) for sql, values in asked if "entry" in sql]
    assert len(plans) == 6
    assert "entry_subject" in plans.pop(3)
    assert all("SEARCH entry USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan for plan in plans), plans


@pytest.fixture
def auditor(tmp_path: Path) -> Browser:
    with open_store(tmp_path) as store:
        fill(store, random.Random(4))
    return Browser(example_snapshot("static"), Options(history=History(str(tmp_path))))


def numbers(page: str) -> list[int]:
    return [int(n) for n in re.findall(r'<th scope="row" class="n"><a href="/entry/(\d+)"', page)]


def test_the_page_filters_by_what_people_know(auditor: Browser) -> None:
    every = numbers(auditor.page("/audit"))
    assert every == sorted(every, reverse=True) and every[-1] == 1
    away = numbers(auditor.page("/audit?kind=away&rep=Cal+Cruz"))
    label = auditor.site.current().label("account", "A01")
    assert label != "A01" and label in auditor.text("/audit?record=A01")
    by_name = auditor.page(f"/audit?record={label.replace(' ', '+').replace('&', '%26')}")
    assert numbers(by_name) == numbers(auditor.page("/audit?record=A01")) != []
    assert away and away == numbers(auditor.page("/audit?kind=away&rep=cal"))
    assert set(numbers(auditor.page("/audit?since=2026-01-02&until=2026-01-02"))) == set(numbers(auditor.page("/audit?run=night-2")))
    assert "is too far away" in auditor.text("/audit?until=9999-12-31") and "is too far away" in auditor.text("/audit?since=0001-01-01")
    assert "is not a day" in auditor.text("/audit?since=yesterday") and "Nothing matches these filters" in auditor.text(
        "/audit?record=none"
    )


def test_pages_lead_to_older_entries_and_back(auditor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    every = numbers(auditor.page("/audit"))
    monkeypatch.setattr(audit, "SIZE", 10)
    got, path = list[int](), "/audit?kind="
    while path:
        page = auditor.page(path)
        got += numbers(page)
        onward = re.search(r'rel="next" href="([^"]+)"', page)
        path = onward[1].replace("&amp;", "&") if onward else ""
    assert got == every and "← newest" in page


def test_the_csv_has_all_of_it_and_no_formula(auditor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "EXPORTED", 7)
    found = auditor.get("/audit.csv")
    rows = list(csv.DictReader(io.StringIO(found.text)))
    assert [int(row["number"]) for row in rows] == numbers(auditor.page("/audit"))
    assert {row["why"] for row in rows} <= {"", "'=1+1"} and "attachment" in found.headers["content-disposition"]
    owned = list(csv.DictReader(io.StringIO(auditor.get("/audit.csv?kind=owned").text)))
    assert owned and {row["kind"] for row in owned} == {"owned"}
    assert auditor.get("/audit.csv?since=x").status_code == 400


def test_moments_are_in_the_readers_time_zone(tmp_path: Path) -> None:
    """An entry that New York wrote at nine is from three in the afternoon for a reader in Berlin, in its words as in its columns."""
    nine = At.of("2026-01-05T09:00", "America/New_York")
    ten = At.of("2026-01-06T10:00", "America/New_York")
    with open_store(tmp_path) as store:
        store.append([Owned(at=nine, until=ten, entity="account", record="A01", role="ae", rep="ann")], RunEntry(at=nine, id="night"))
    browser = Browser(example_snapshot("static"), Options(history=History(str(tmp_path))))
    browser.cookies.set("roe_zone", "Europe/Berlin")
    assert "5 Jan 2026, 15:00" in browser.text("/audit") and "until 6 Jan 2026, 16:00" in browser.text("/audit")
    assert "until 6 Jan 2026, 16:00" in browser.text("/entry/2") and "until 6 Jan 2026, 16:00" in browser.get("/audit.csv").text


def test_a_pool_that_kept_its_records_shows_its_members(tmp_path: Path) -> None:
    """A second run on the same day asks no pool again. Its page and the rep's day still say who is in it."""
    from datetime import datetime

    from helpers import AS_OF, EXAMPLES, example, tables
    from roe.evaluator.engine import Run as Decided
    from roe.web.app.snapshot import RowSnapshot

    evaluator = example("abm")
    data = tables(evaluator, EXAMPLES / "abm" / "data")
    first = evaluator.bind(data, as_of=AS_OF["abm"])
    decided = Decided(first, list(first.decide_all()))
    again = evaluator.bind(data, as_of=AS_OF["abm"], state=decided.state())
    snapshot = RowSnapshot(Decided(again, list(again.decide_all())))
    assert snapshot.handed("tier-1") and snapshot.last_turn("tier-1") is None and isinstance(snapshot.clock.now, datetime)
    text = Browser(snapshot).text("/pool/tier-1")
    assert "Sam Shaw" in text and "Sky Snow" in text and "It took no turn in this run" in text and "Hela Head" in text
    assert "Place in each pool" in Browser(snapshot).text("/rep/sky")
