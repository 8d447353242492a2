"""The chain names what was changed; forgetting leaves no trace and a chain that verifies; a backup is a ledger."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from databases import Postgres
from effort import in_ci
from ledgers import STORES, Ticks, place, state
from roe.diagnostics import PolicyError
from roe.ledger import entries as e
from roe.ledger.audit import anchor, anchored, verify
from roe.ledger.backup import backup, restore
from roe.ledger.database import Database, migrations
from roe.ledger.encode import whole
from roe.ledger.entry import FORGOTTEN
from roe.ledger.erase import forget, forget_again, prune
from roe.ledger.projections import dump
from roe.ledger.store import Store, open_store
from test_ledger import EXAMPLES, day, owned
from waiting import until

__all__ = ["state"]


def full(state: str) -> Store:
    store = open_store(state, clock=Ticks())
    store.append(EXAMPLES)
    return store


def test_a_ledger_that_nobody_touched_verifies(state: str) -> None:
    with full(state) as store:
        checked = verify(store)
        assert (checked.bad, checked.entries, checked.erased) == (None, len(EXAMPLES), 0)
    with open_store(state) as again:
        assert verify(again).bad is None


def at_number(number: int, sql: str) -> Callable[[Database], None]:
    return lambda db: db.run(sql, (number,))


EVIDENCE = next(n for n, x in enumerate(EXAMPLES, 1) if x.KIND == "evidence")
CHANGES: tuple[tuple[str, int, Callable[[Database], None]], ...] = (
    ("a time", 3, at_number(3, "UPDATE entry SET at = at + 1 WHERE number = ?")),
    ("a rep", 3, at_number(3, "UPDATE entry SET target = former WHERE number = ?")),
    ("a fact", 7, at_number(7, "UPDATE entry SET fact = '{\"number\":8}' WHERE number = ?")),
    ("a word", 3, lambda db: db.run("UPDATE word SET text = 'x' || text WHERE id = (SELECT word FROM entry WHERE number = 3)")),
    ("a sentence", 3, at_number(3, "UPDATE value SET value = CAST('{\"sentence\":\"Bob\"}' AS TYPE) WHERE number = ?")),
    ("a record's id", 3, at_number(3, "UPDATE subject SET record = 'A-99' WHERE id = (SELECT subject FROM entry WHERE number = ?)")),
    ("a removed entry", 5, at_number(5, "DELETE FROM entry WHERE number = ?")),
    ("a removed value", 3, at_number(3, "DELETE FROM value WHERE number = ?")),
    ("removed evidence", EVIDENCE, at_number(EVIDENCE, "DELETE FROM evidence WHERE number = ?")),
    ("a removed last entry", len(EXAMPLES), at_number(len(EXAMPLES), "DELETE FROM entry WHERE number = ?")),
    ("a recorded time", 9, at_number(9, "UPDATE entry SET recorded = recorded - 1 WHERE number = ?")),
)  # fmt: skip


@pytest.mark.parametrize(("what", "number", "change"), CHANGES, ids=[c[0] for c in CHANGES])
def test_the_first_bad_entry_is_named(what: str, number: int, change: Callable[[Database], None], state: str) -> None:
    with full(state) as store:
        kind = "BLOB" if store.db.dialect == "sqlite" else "BYTEA"
        run = store.db.run
        store.db.run = lambda sql, values=(): run(sql.replace("TYPE", kind), values)  # type: ignore[method-assign]
        change(store.db)
    with open_store(state) as again:
        assert verify(again).bad == number


def test_an_anchor_outside_finds_a_chain_that_was_written_anew(tmp_path: Path) -> None:
    with full(str(tmp_path / "one")) as store:
        written = anchor(store)
        store.append([owned("A-9", "r1", "2026-03-02")])
        assert anchored(store, written) == "" and anchored(store, anchor(store)) == ""
    with open_store(tmp_path / "two") as other:
        other.append([*EXAMPLES[:-1], owned("A-9", "r1", "2026-03-02")])
        assert "is not the one" in anchored(other, written)
    with open_store(tmp_path / "three") as short:
        assert "ends with entry 0" in anchored(short, written)


# --- forgetting ---------------------------------------------------------------------------------------------------------

SECRET = "Zebulon Quirk"


def telling(state: str) -> Store:
    """A ledger in which the rep zq-17 is a rep, a former rep, in a book's cycle, in evidence and in sentences."""
    store = open_store(state, clock=Ticks())
    store.append(
        [
            owned("A-1", "zq-17", "2026-03-02", sentence=f"{SECRET} is assigned"),
            owned("A-1", "r2", "2026-03-04", former="zq-17", sentence=f"r2 takes over from {SECRET}"),
            e.Cycle(at=day("2026-03-04"), book="smb", given={"zq-17": 1, "r2": 1}),
            e.Evidence(at=day("2026-03-04"), entity="account", record="A-1", role="ae", values={"rep": {"zq-17": {"name": SECRET}}}),
            owned("A-2", "zq-170", "2026-03-04", sentence="somebody else"),
            e.Standing(at=day("2026-03-04"), pool="p", turns=1, counts={"zq-17": 1}),
        ]
    )
    return store


def test_forgetting_a_rep_leaves_no_trace_and_the_chain_verifies(state: str) -> None:
    with telling(state) as store:
        found = forget(store, "zq-17", also=[SECRET], by="Ann", why="request")
        assert found.subjects == 1 and any("backups" in line for line in found.unreachable)
        text = repr([x.entry for x in store.entries()])
        assert "zq-17'" not in text and SECRET not in text and FORGOTTEN in text and "somebody else" in text
        checked = verify(store)
        assert (checked.bad, checked.erased) == (None, 5)
        first, second = store.history_of("account", "A-1")
        assert (first.rep, second.rep, second.former) == (FORGOTTEN, "r2", FORGOTTEN)
        assert [h.record for h in store.book("zq-170")] == ["A-2"]
        assert store.rebuild()
    with open_store(state) as again:
        assert verify(again).bad is None


def test_nothing_is_left_in_the_files(tmp_path: Path) -> None:
    with telling(str(tmp_path)) as store:
        values = [bytes(x) for (x,) in store.db.rows("SELECT value FROM value ORDER BY number")]
        named = [x for x in values if b"Zebulon" in whole(x)]
        assert named and all(any(x in p.read_bytes() for p in tmp_path.iterdir()) for x in named)
        forget(store, "zq-17", also=[SECRET], list_file=tmp_path / "forgotten.jsonl")
        for path in tmp_path.iterdir():
            data = path.read_bytes()
            assert not any(x in data for x in named), path.name
            assert b"Zebulon" not in data and b'zq-17"' not in data and b"zq-17\0" not in data, path.name
        with open_store(tmp_path / "copy") as copy:
            copy.append([owned("zq-17", "r1", "2026-03-02")])


def test_a_record_is_forgotten_and_its_neighbours_stay(state: str) -> None:
    with telling(state) as store:
        forget(store, "A-1", entity="account")
        assert store.of_record("account", "A-1") == []
        assert "somebody else" in repr(list(store.entries())) and store.holding("account", "A-2", "ae") is not None
        assert verify(store).bad is None
        assert forget(store, "A-1").subjects == 0


def test_a_restored_backup_forgets_again_before_it_is_read(tmp_path: Path) -> None:
    here = tmp_path / "state"
    with telling(str(here)) as store:
        saved = backup(store, tmp_path / "backups", datetime(2026, 3, 5, tzinfo=UTC))
        forget(store, "zq-17", also=[SECRET], list_file=here / "forgotten.jsonl")
    kept = (here / "forgotten.jsonl").read_text()
    shutil.rmtree(here)
    shutil.copytree(saved, here)
    (here / "forgotten.jsonl").write_text(kept)
    assert "zq-17" not in kept
    with open_store(here) as again:
        assert again.words.subject("rep", "zq-17") is None and again.words.subject("rep", "zq-170") is not None
        assert SECRET not in repr([x.entry for x in again.entries(kinds=("owned",))])
        assert verify(again).bad is None
        assert forget_again(again, here / "forgotten.jsonl") == 0


def test_a_restored_backup_forgets_again_what_the_service_alone_had(tmp_path: Path) -> None:
    here, row = (
        tmp_path / "state",
        "INSERT INTO mirror (entity, id, fields, versions, deleted, seq) VALUES ('contact', ?, '{}', '{}', 0, 1)",
    )
    with telling(str(here)) as store:
        for id in ("zq-17", "zq-18"):
            store.db.run(row, (id,))
        saved = backup(store, tmp_path / "backups", datetime(2026, 3, 5, tzinfo=UTC))
        assert forget(store, "zq-17", entity="contact", list_file=here / "forgotten.jsonl").subjects == 1
        assert store.words.subject("rep", "zq-17") is not None
    for file in saved.iterdir():
        shutil.copy(file, here)
    with open_store(here) as again:
        assert again.db.rows("SELECT id FROM mirror") == [("zq-18",)] and again.words.subject("rep", "zq-17") is not None
        assert verify(again).bad is None


def test_what_another_program_reads_meanwhile_cannot_be_scrubbed_and_is_said(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with telling(state) as store, open_store(state) as other:
        other.db.run("BEGIN ISOLATION LEVEL REPEATABLE READ" if other.db.dialect == "postgres" else "BEGIN")
        other.db.rows("SELECT count(*) FROM entry")
        with monkeypatch.context() as patch:
            patch.setattr(f"roe.ledger.{store.db.dialect}.SCRUB", 0)
            left = forget(store, "zq-17", also=[SECRET]).unreachable
        assert "VACUUM" in left[-1] and "end it" in left[-1]
        other.db.rollback()
        assert "VACUUM" not in forget(store, "A-2").unreachable[-1]


@in_ci
def test_a_worker_of_postgres_that_still_sees_what_was_erased_is_waited_for() -> None:
    """One that counts values by itself, slowly: it sees the rows as they were when it began, so they cannot be scrubbed before it ends."""
    database = Postgres().init().start("autovacuum_naptime=1", "autovacuum_analyze_threshold=1", "autovacuum_analyze_scale_factor=0")
    try:
        with telling(f"postgresql:///postgres?host={quote(str(database.folder), safe='')}&user=postgres") as store:
            db = store.db
            db.run("CREATE TABLE slow (n int)")
            db.run("CREATE FUNCTION slowly(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN n; END'")
            db.run("CREATE INDEX ON slow (slowly(n))")
            db.run("INSERT INTO slow SELECT generate_series(1, 9)")
            counts = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND strpos(query, 'slow') > 0 AND backend_xmin IS NOT NULL"

            def has_it() -> bool:
                db.run("CHECKPOINT")
                return any(re.search(rb"zq-17(?!0)", path.read_bytes()) for path in (database.data / "base").rglob("*") if path.is_file())

            assert has_it()
            until("a worker that counts values", lambda: db.rows(counts))
            assert "VACUUM" not in forget(store, "zq-17", also=[SECRET]).unreachable[-1]
            assert not has_it()
    finally:
        database.remove()


def test_the_owner_of_the_database_alone_can_erase_what_it_notes_of_columns(tmp_path: Path) -> None:
    import psycopg

    state = place("postgres", tmp_path)
    schema = state.rpartition("%3D")[2]
    with psycopg.connect(state, autocommit=True) as con:
        con.execute(
            "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'clerk') THEN CREATE ROLE clerk LOGIN; END IF; END $$"
        )
        con.execute(f"GRANT ALL ON SCHEMA {schema} TO clerk")
    with telling(state.replace("user=postgres", "user=clerk")) as store:
        assert "VACUUM FULL pg_statistic" in forget(store, "zq-17", also=[SECRET]).unreachable[-1]


def test_old_evidence_goes_and_the_newest_of_each_record_stays(state: str) -> None:
    with open_store(state) as store:
        for month in (1, 2, 3):
            at = day(f"2026-0{month}-01")
            store.append([e.Evidence(at=at, entity="account", record=r, role="ae", values={"n": month}) for r in ("A-1", "A-2")])
        assert prune(store, day("2026-02-15")) == 4
        assert store.newest(e.Evidence, entity="account", record="A-1")[0].values == {"n": 3}
        assert prune(store, day("2027-01-01")) == 0
        assert verify(store).bad is None


# --- backups ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", STORES)
@pytest.mark.parametrize("target", STORES)
def test_a_backup_of_either_store_restores_to_either(source: str, target: str, tmp_path: Path) -> None:
    with full(place(source, tmp_path / "a")) as store:
        saved = backup(store, tmp_path / "backups", datetime(2026, 3, 5, tzinfo=UTC))
        with open_store(place(target, tmp_path / "b")) as back:
            restore(saved, back)
            assert list(back.entries()) == list(store.entries())
            assert dump(back.db) == dump(store.db) and verify(back).bad is None
            assert back.head().epoch != store.head().epoch and back.head().hash == store.head().hash
            assert back.append([owned("A-1", "r9", "2026-03-09")]) == range(len(EXAMPLES) + 1, len(EXAMPLES) + 2)


def test_old_backups_go(tmp_path: Path) -> None:
    with full(str(tmp_path / "a")) as store:
        for month in (1, 2, 3):
            backup(store, tmp_path / "b", datetime(2026, month, 20, tzinfo=UTC))
        assert [p.name for p in sorted((tmp_path / "b").iterdir())] == ["ledger-20260220T000000Z", "ledger-20260320T000000Z"]


@pytest.mark.parametrize("source", STORES)
def test_a_backup_has_what_a_service_keeps(source: str, tmp_path: Path) -> None:
    with full(place(source, tmp_path / "a")) as store:
        store.db.run("INSERT INTO mirror (entity, id, fields, versions, deleted, seq) VALUES ('lead', 'L-1', '{}', '{}', 0, 1)")
        store.db.run("INSERT INTO known (kind, key, body, seq) VALUES ('owner', 'lead|L-1|sdr', '{}', 1)")
        saved = backup(store, tmp_path / "backups", datetime(2026, 3, 5, tzinfo=UTC))
        with open_store(place("sqlite", tmp_path / "b")) as back:
            restore(saved, back)
            assert back.db.rows("SELECT id FROM mirror") == [("L-1",)] and back.db.rows("SELECT key FROM known") == [("lead|L-1|sdr",)]


@pytest.mark.parametrize(("number", "damage"), [(number, damage) for _, number, damage in CHANGES], ids=[name for name, _, _ in CHANGES])
def test_a_damaged_backup_is_not_restored(number: int, damage: Callable[[Database], None], tmp_path: Path) -> None:
    with full(str(tmp_path / "a")) as store:
        saved = backup(store, tmp_path / "backups", datetime(2026, 3, 5, tzinfo=UTC))
    with open_store(saved) as copy:
        damage(copy.db)
    with open_store(tmp_path / "b") as back:
        with pytest.raises(PolicyError) as said:
            restore(saved, back)
        assert said.value.diagnostics[0].code == "R644" and f"entry {number} " in said.value.diagnostics[0].message
        assert back.head().number == 0 and list(back.entries()) == []


MADE_ANEW = {"migration", "snapshot", "prepared", "projected"}  # by the ledger that a backup is copied to


@pytest.mark.parametrize("kind", STORES)
def test_a_backup_has_every_row_of_every_table(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.ledger.backup.PAGE", 3)  # so that pages end between rows of one record
    text = "\n".join(statement for _, statements in migrations("sqlite") for statement in statements)
    tables = sorted(set(re.findall(r"CREATE TABLE (\w+)", text)) - MADE_ANEW)
    said = []
    with full(place(kind, tmp_path / "a")) as store, open_store(place(kind, tmp_path / "b")) as back:
        store.append([e.Turn(at=day("2026-03-04"), entity="lead", record="L-9", role="sdr", rep="r1", pool="p", number=9)])
        with store.writing() as tx:
            tx.keep_policy("d1", {"policy.yaml": b"roe: 1"})
        for row in (
            "setting (name, value) VALUES ('forgotten', '0')",
            "mirror (entity, id, fields, versions, deleted, seq) VALUES ('lead', 'L-1', '{}', '{}', 0, 1)",
            "known (kind, key, body, seq) VALUES ('owner', 'lead|L-1|sdr', '{}', 1)",
            "answer (key, digest, status, body, at) VALUES ('k', 'd', 200, '{}', 5)",
            "inbox (source, message, subject, at) VALUES ('crm', 'm', 'lead|L-1', 5)",
            "outbox VALUES (1, 'crm', 'owner', 'lead|L-1', '{}', 5, 5, 0, 'waiting', '')",
        ):
            store.db.run(f"INSERT INTO {row}")
        restore(backup(store, tmp_path / "backups", datetime(2026, 3, 5, tzinfo=UTC)), back)
        for one in (store, back):
            one.db.run("UPDATE head SET epoch = ''")
            one.db.run("DELETE FROM setting WHERE name = 'restored'")
            said.append({table: sorted(map(repr, one.db.rows(f"SELECT * FROM {table}"))) for table in tables})
    assert [table for table, rows in said[0].items() if not rows] == []
    assert said[1] == said[0]
