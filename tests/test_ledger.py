"""The ledger: what is appended is there in order, together or not at all, and both stores say the same."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from effort import tries
from ledgers import STORES, Ticks, place, state
from roe.diagnostics import PolicyError
from roe.ledger import entries as e
from roe.ledger import people
from roe.ledger.encode import canonical, draft, entry, small, whole
from roe.ledger.entries import Owned, RunEntry, Turn
from roe.ledger.entry import Entry
from roe.ledger.moment import At
from roe.ledger.projections import dump
from roe.ledger.store import Store, open_store

__all__ = ["state"]
BERLIN = "Europe/Berlin"


def day(text: str) -> At:
    return At.of(text, BERLIN)


def owned(record: str, rep: str | None, at: str, **more: Any) -> Owned:
    return Owned(at=day(at), entity="account", record=record, role="ae", rep=rep, **more)


EXAMPLES: tuple[Entry, ...] = (
    RunEntry(at=day("2026-03-02"), id="r-1", policy="west", digest="ab", inputs={"accounts.csv": {"digest": "cd"}}, counts={"moved": 2}, accepted="Ann: quarter"),
    e.Activated(at=day("2026-03-02"), policy="west", digest="ab", revision="1f", by="Ann"),
    owned("A-1", "r1", "2026-03-02", former="r0", rule="west", action="assign", until=day("2026-04-01"), sentence="Ann has it"),
    owned("A-2", None, "2026-03-02", queue="Inbound", by="system", system="Marketo", read_at=At.of("2026-03-02T07:00", BERLIN)),
    e.Loaded(at=At.of("2026-03-03T07:00", BERLIN), entity="account", record="A-1", role="ae", rep="r1", decision=3),
    e.Refused(at=day("2026-03-03"), entity="account", record="A-1", role="ae", decision=3, reason="validation rule"),
    Turn(at=At.of("2026-03-02T09:30", BERLIN), entity="lead", record="L-1", role="sdr", rep="r2", pool="emea", asked="dach", number=7, company="acme.com", tried=("r1",), until=At.of("2026-03-02T10:30", BERLIN)),
    e.TurnBack(at=day("2026-03-03"), entity="lead", record="L-1", role="sdr", rep="r2", pool="emea", number=7, reason="no-show"),
    e.Standing(at=day("2026-03-02"), pool="emea", turns=7, counts={"r2": 4}, credits={"r2": "-1/2"}),
    e.Claimed(at=day("2026-03-02"), entity="account", record="A-3", role="ae", rep="r2", claim="C-1", until=day("2026-05-31"), by="r2"),
    e.Returned(at=day("2026-03-05"), entity="account", record="A-3", role="ae", rep="r2", until=day("2026-04-05"), reason="no budget"),
    e.Referred(at=day("2026-03-02"), entity="account", record="A-4", role="ae", rep="r1", until=day("2026-03-04"), rule="dispute", to="m1", sentence="two claims"),
    e.Answered(at=day("2026-03-03"), entity="account", record="A-4", role="ae", rep="r2", answer="Bob keeps it", by="m1"),
    e.Frozen(at=day("2026-01-01"), entity="account", record="A-1", field="tier", on="2026-01-01", value="gold"),
    e.Raised(at=day("2026-03-02"), entity="account", record="A-1", event="stale"),
    e.Seen(at=day("2026-03-02"), entity="opportunity", record="O-1", field="stage", value="won", before="open"),
    e.Merged(at=day("2026-03-02"), entity="account", record="A-5", survivor="A-1"),
    e.Deleted(at=day("2026-03-03"), entity="account", record="A-6"),
    e.Restored(at=day("2026-03-04"), entity="account", record="A-6"),
    e.Placed(at=day("2026-03-02"), entity="account", record="A-7", book="smb", rep="r1", runner_up="r2", since="2026-03-02", reason="fit"),
    e.Cycle(at=day("2026-03-02"), book="smb", cycle="2026-03", given={"r1": 3}),
    e.Corrected(at=day("2026-03-02"), entry=3, what="Bob", by="Ann", why="typing error"),
    e.Erased(at=day("2026-03-02"), subject=4, values=2, by="Ann", why="request"),
    e.Evidence(at=day("2026-03-02"), entity="account", record="A-1", role="ae", decision=3, digest="ab", values={"account": {"A-1": {"employees": 500}}}),
    people.Requested(at=day("2026-03-02"), entity="account", record="A-8", role="ae", rep="r2", until=day("2026-06-01"), by="r2", reason="an old customer"),
    people.Excepted(at=day("2026-03-03"), entity="account", record="A-8", role="ae", rep="r2", until=day("2026-06-01"), start="2026-03-03", by="Mia", reason="agreed"),
    people.Requested(at=day("2026-03-02"), entity="account", record="A-9", role="ae", rep="r2", until=day("2026-06-01"), by="r2"),
    people.Declined(at=day("2026-03-03"), entity="account", record="A-9", role="ae", by="Mia", reason="not now"),
    people.Away(at=day("2026-03-02"), entity="rep", record="r1", until=day("2026-04-01"), by="r1", reason="leave"),
    people.Weighed(at=day("2026-03-02"), entity="account", record="A-7", book="smb", plan="ab12", accepted=False, by="Mia"),
    people.Reviewed(at=day("2026-03-02"), entity="review", record="ab-cd", verdict="approved", before="ab", after="cd", names={"old": "v1"}, by="Mia", comment="fine"),
)  # fmt: skip


def test_every_kind_has_an_example() -> None:
    assert {x.KIND for x in EXAMPLES} == set(e.KINDS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda x: x.KIND)
def test_an_entry_taken_apart_is_the_same_entry(example: Entry) -> None:
    assert entry(draft(example)) == example


@given(st.text(max_size=200))
def test_a_value_that_was_packed_is_the_same_value(text: str) -> None:
    value = canonical({"sentence": text}).encode()
    assert whole(small(value)) == value and len(small(value)) <= len(value)


def test_what_is_appended_is_read_back(state: str) -> None:
    with open_store(state, clock=Ticks()) as store:
        numbers = store.append(EXAMPLES[1:], EXAMPLES[0])  # type: ignore[arg-type]
        assert numbers == range(2, len(EXAMPLES) + 1)
        assert [x.entry for x in store.entries()] == list(EXAMPLES)
        assert [x.number for x in store.entries()] == list(range(1, len(EXAMPLES) + 1))
        assert [x.entry.KIND for x in store.of_record("account", "A-6")] == ["deleted", "restored"]
        assert [x.entry for x in store.of_run("r-1")] == list(EXAMPLES)
        assert store.of_record("account", "unknown") == []
        assert store.rebuild()
    with open_store(state) as again:
        assert [x.entry for x in again.entries()] == list(EXAMPLES)


def test_a_failure_leaves_nothing(state: str) -> None:
    with open_store(state) as store:
        store.append([owned("A-1", "r1", "2026-03-02")])
        before = store.head()
        with pytest.raises(ZeroDivisionError), store.writing() as tx:
            tx.append([owned("A-2", "a rep of whom nobody has heard", "2026-03-02")])
            raise ZeroDivisionError
        assert store.head() == before and store.of_record("account", "A-2") == []
        assert store.append([owned("A-3", "r3", "2026-03-02")]) == range(2, 3)
        assert store.holding("account", "A-3", "ae").rep == "r3"  # type: ignore[union-attr]


def test_a_transaction_reads_its_own_writes_and_a_wrong_one_leaves_nothing(state: str) -> None:
    """Writes may wait for the next read or the end, and are sent together, in their order."""
    add, change = "INSERT INTO policy (digest, files) VALUES (?, ?)", "UPDATE policy SET files = ? WHERE digest = ?"
    with open_store(state, create=True) as store:
        with store.writing():
            for n in (2, 80):
                store.db.many(add, [(f"{n} {i}", b"a") for i in range(n)])
                store.db.run(change, (b"b", f"{n} 0"))
                store.db.many(change, [(b"c", f"{n} 1"), (b"d", f"{n} 0")])
                found = store.db.rows("SELECT files, count(*) FROM policy WHERE digest LIKE ? GROUP BY files ORDER BY files", (f"{n} %",))
                assert [(bytes(x), k) for x, k in found] == [(b"a", n - 2), (b"c", 1), (b"d", 1)][n == 2 :]
        with pytest.raises(Exception, match=r"(?i)unique"), store.writing():
            store.db.many(add, [("new", b"a")])
            store.db.many(add, [("2 0", b"a")])  # which is there
        assert store.db.rows("SELECT count(*) FROM policy WHERE digest = ?", ("new",)) == [(0,)]
        with store.writing():
            store.db.run(change, (b"e", "2 0"))
        assert bytes(store.db.rows("SELECT files FROM policy WHERE digest = ?", ("2 0",))[0][0]) == b"e"


def test_a_writer_sees_what_others_appended(state: str) -> None:
    with open_store(state) as one, open_store(state) as other:
        one.append([owned("A-1", "r1", "2026-03-02")])
        other.append([owned("A-2", "r2", "2026-03-02"), owned("A-1", "r2", "2026-03-03")])
        with one.writing() as tx:
            assert list(tx.append([owned("A-4", "r9", "2026-03-03")])) == [4]
        assert other.holding("account", "A-1", "ae").rep == "r2"  # type: ignore[union-attr]
        assert [h.record for h in other.book("r9")] == ["A-4"]


def test_a_second_writer_waits_and_then_says_so(state: str) -> None:
    with open_store(state) as one, open_store(state) as other, one.writing() as tx:
        tx.append([owned("A-1", "r1", "2026-03-02")])
        with pytest.raises(PolicyError) as said, other.writing(wait=0.1):
            pass
        assert said.value.diagnostics[0].code == "R642"


def test_an_older_program_refuses_a_newer_ledger(state: str) -> None:
    with open_store(state) as store:
        store.append([owned("A-1", "r1", "2026-03-02")])
        store.db.run("INSERT INTO migration (version) VALUES (9999)")
    with pytest.raises(PolicyError) as said:
        open_store(state)
    assert said.value.diagnostics[0].code == "R643"


# --- holdings -----------------------------------------------------------------------------------------------------------


def held(store: Store, record: str) -> list[tuple[str | None, str, str | None]]:
    return [(h.rep, str(h.start.date), None if h.stop is None else str(h.stop.date)) for h in store.history_of("account", record)]


def test_a_holding_ends_as_the_next_begins(state: str) -> None:
    with open_store(state) as store:
        store.append([owned("A-1", "r1", "2026-03-02"), owned("A-1", "r2", "2026-03-05"), owned("A-1", None, "2026-03-09")])
        assert held(store, "A-1") == [("r1", "2026-03-02", "2026-03-05"), ("r2", "2026-03-05", "2026-03-09"), (None, "2026-03-09", None)]
        on = {d: store.holding("account", "A-1", "ae", day(f"2026-03-{d:02}")) for d in (1, 2, 4, 5, 8, 9)}
        assert {d: h and h.rep for d, h in on.items()} == {1: None, 2: "r1", 4: "r1", 5: "r2", 8: "r2", 9: None}
        assert [h.record for h in store.book("r1", day("2026-03-03"))] == ["A-1"] and store.book("r1") == []


def test_the_same_owner_again_confirms_the_holding(state: str) -> None:
    with open_store(state) as store:
        store.append([owned("A-1", "r1", "2026-03-02", rule="a"), owned("A-1", "r1", "2026-03-05", rule="b", until=day("2026-04-01"))])
        (h,) = store.history_of("account", "A-1")
        assert (h.start, h.entry, h.decision, h.rule, h.until) == (day("2026-03-02"), 1, 2, "b", day("2026-04-01"))
        assert store.keys_due(day("2026-05-01")) == {("account", "A-1", "ae")} and not store.keys_due(day("2026-04-01"))


def test_an_import_fills_in_the_past_alone(state: str) -> None:
    with open_store(state) as store:
        store.append([owned("A-1", "r3", "2026-03-10")])
        store.append([owned("A-1", "r1", "2026-01-01", by="import", past=True), owned("A-1", "r2", "2026-02-01", by="import", past=True)])
        assert held(store, "A-1") == [("r1", "2026-01-01", "2026-02-01"), ("r2", "2026-02-01", "2026-03-10"), ("r3", "2026-03-10", None)]


def test_a_late_change_is_so_from_its_day_on_and_was_not_known_before(state: str) -> None:
    with open_store(state) as store:
        store.append([owned("A-1", "r1", "2026-03-02"), owned("A-1", "r2", "2026-03-10")])
        known = store.head().number
        store.append([owned("A-1", "r4", "2026-03-06", by="hand")])
        assert held(store, "A-1") == [("r1", "2026-03-02", "2026-03-06"), ("r4", "2026-03-06", None)]
        on = day("2026-03-12")
        assert store.holding("account", "A-1", "ae", on).rep == "r4"  # type: ignore[union-attr]
        assert store.holding("account", "A-1", "ae", on, known=known).rep == "r2"  # type: ignore[union-attr]
        assert store.holding("account", "A-1", "ae", known=known).rep == "r2"  # type: ignore[union-attr]


def test_the_base_is_what_the_crm_showed_last(state: str) -> None:
    with open_store(state) as store:
        read = At.of("2026-03-02T07:00", BERLIN)
        store.append([owned("A-1", "r1", "2025-11-01", by="import", read_at=read)])
        assert store.holding("account", "A-1", "ae").base == ("r1", "", read)  # type: ignore[union-attr]
        store.append([owned("A-1", "r2", "2026-03-03")])
        assert store.holding("account", "A-1", "ae").base == ("r1", "", read)  # type: ignore[union-attr]
        later = At.of("2026-03-04T07:00", BERLIN)
        store.append([e.Loaded(at=later, entity="account", record="A-1", role="ae", rep="r2", decision=2, read_at=later)])
        assert store.holding("account", "A-1", "ae").base == ("r2", "", later)  # type: ignore[union-attr]
        first, second = store.history_of("account", "A-1")
        assert first.base is None and second.former is None


def test_open_claims_referrals_and_events(state: str) -> None:
    with open_store(state) as store:
        store.append(EXAMPLES)
        assert store.latest("claimed", is_open=True) == []  # given back
        assert [o.stored.entry.KIND for o in store.latest("referred", is_open=False)] == ["referred"]  # answered
        assert [o.stored.entry.KIND for o in store.latest("raised", is_open=True)] == ["raised"]
        assert store.latest("turn", is_open=True) == []  # given back
        assert store.latest("requested", is_open=True) == []  # one is granted, one declined
        assert [o.stored.entry.record for o in store.latest("excepted", is_open=True)] == ["A-8"]  # type: ignore[attr-defined]
        assert store.days() == {"r2": {"2026-03-02": 1}}
        assert [o.stored.entry.record for o in store.latest("gone", is_open=True)] == ["A-5"]  # type: ignore[attr-defined]


# --- moments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "zone", "utc"),
    [
        ("2026-03-29T02:30", BERLIN, "2026-03-29T01:00"),  # 02:30 does not exist: 03:00 summer time is next
        ("2026-10-25T02:30", BERLIN, "2026-10-25T00:30"),  # 02:30 comes twice: the first is summer time
        ("2026-03-29", BERLIN, "2026-03-28T23:00"),
        ("2026-10-25T02:30+01:00", BERLIN, "2026-10-25T01:30"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00"),  # midnight does not exist: 01:00 is the day's first moment
        ("2026-01-01", "UTC", "2026-01-01T00:00"),
    ],
)  # fmt: skip
def test_gaps_and_folds_of_the_clocks(local: str, zone: str, utc: str) -> None:
    assert At.of(local, zone).utc == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2037, 1, 1)), st.sampled_from([BERLIN, "America/New_York", "Asia/Kathmandu", "America/Sao_Paulo"]))  # fmt: skip
def test_a_day_is_its_first_moment(moment: datetime, zone: str) -> None:
    at = At.of(moment.date(), zone)
    assert at.date == moment.date() and str(at) == str(moment.date())
    assert (at.utc - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < moment.date()


# --- random appends against a model ---------------------------------------------------------------------------------------


def _random_entries(rng: random.Random, n: int) -> list[Entry]:
    found: list[Entry] = []
    for _ in range(n):
        at = At.of(date(2026, 1, 1) + timedelta(days=rng.randrange(60)), BERLIN)
        record, rep = f"A-{rng.randrange(4)}", rng.choice(["r1", "r2", "r3", None])
        kind = rng.random()
        if kind < 0.7:
            by = rng.choice(["rule", "rule", "hand", "import"])
            past = rng.random() < 0.3
            found.append(
                Owned(
                    at=at,
                    entity="account",
                    record=record,
                    role=rng.choice(["ae", "csm"]),
                    rep=rep,
                    by=by,
                    past=past,
                    sentence=f"{rng.random()}",
                )
            )
        elif kind < 0.8:
            found.append(e.Loaded(at=at, entity="account", record=record, role="ae", rep=rep))
        elif kind < 0.85:
            found.append(e.Deleted(at=at, entity="account", record=record))
        else:
            found.append(Turn(at=at, entity="lead", record=record, role="sdr", rep=rep, pool="p", asked="p", counted=rng.random() < 0.8))
    return found


class Model:
    """Who holds what on each day, worked out day by day and not by intervals; days after the last are as it."""

    DAYS = [date(2026, 1, 1) + timedelta(days=i) for i in range(62)]

    def __init__(self) -> None:
        self.on: dict[tuple[str, str], list[Any]] = {}
        self.began: dict[tuple[str, str], list[bool]] = {}

    def own(self, x: Owned) -> None:
        key = (x.record, x.role)
        days = self.on.setdefault(key, ["-"] * len(self.DAYS))
        began = self.began.setdefault(key, [False] * len(self.DAYS))
        first = self.DAYS.index(x.at.date)
        last_start = max((i for i, b in enumerate(began) if b), default=-1)
        if x.past and last_start > first:
            end = next(i for i, b in enumerate(began) if b and i > first)
            if end == last_start and days[-1] == x.rep:
                began[end] = False  # the same holder's: it began earlier than was known
        else:
            end = len(self.DAYS)
            if last_start <= first and last_start >= 0 and days[-1] == x.rep:
                return
            began[first:] = [False] * (end - first)
        days[first:end] = [x.rep] * (end - first)
        began[first] = True

    def delete(self, x: e.Deleted) -> None:
        for (record, _), days in self.on.items():
            if record == x.record:
                began = self.began[record, _]
                last_start = max((i for i, b in enumerate(began) if b), default=0)
                if days[-1] != "-":
                    first = max(self.DAYS.index(x.at.date), last_start)
                    days[first:] = ["-"] * (len(days) - first)


@pytest.mark.parametrize("kind", STORES)
@settings(
    max_examples=tries(4, 12, 300),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 10**9), cuts=st.lists(st.integers(1, 7), min_size=1, max_size=6))
@example(seed=1008890, cuts=[1, 1, 1, 1, 7, 7])  # the past of a record that is gone: its last holding has ended, and begins no earlier
def test_random_appends_agree_with_a_model(kind: str, tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int]) -> None:
    rng = random.Random(seed)
    model, written = Model(), []
    with open_store(place(kind, tmp_path_factory.mktemp("ledger"))) as store:
        for cut in cuts:
            some = _random_entries(rng, cut)
            store.append(some)
            written += some
        assert [x.entry for x in store.entries()] == written
        for x in written:
            if isinstance(x, Owned):
                model.own(x)
            elif isinstance(x, e.Deleted):
                model.delete(x)
        for (record, role), days in model.on.items():
            holdings = [h for h in store.history_of("account", record) if h.role == role]
            for moment, expected in zip(model.DAYS, days, strict=True):
                found = [h.rep for h in holdings if h.start.date <= moment and (h.stop is None or moment < h.stop.date)]
                assert (found or ["-"]) == [expected], (record, role, moment)
        counted = [x for x in written if isinstance(x, Turn) and x.counted and x.rep]
        assert sum(n for by_day in store.days().values() for n in by_day.values()) == len(counted)
        assert store.rebuild()


def test_both_stores_write_the_same_projections(tmp_path: Path) -> None:

    written = _random_entries(random.Random(7), 400)
    said = []
    for kind in STORES:
        with open_store(place(kind, tmp_path / kind), clock=Ticks()) as store:
            for at in range(0, len(written), 37):
                store.append(written[at : at + 37])
            said.append(dump(store.db))
    assert said[0] == said[1]
