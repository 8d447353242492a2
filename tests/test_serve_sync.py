"""`roe sync`: whole tables into the mirror, with what their columns settle, and nothing that has not changed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ledgers import STORES, place
from roe.data.read import read_tables
from roe.serve import intake
from roe.serve.desk import Desk
from roe.serve.problems import Refused
from roe.serve.store import ServiceStore
from roe.serve.sync import Synced, sync
from services import Service, said, service

TEXT = """
roe: 1
name: sync
timezone: Europe/Berlin
roles: [ae]
fields:
  account:
    signed: {type: date}
    volume: {type: number}
pools:
  new: {members: 'rep.role = "AE"'}
engagement:
  account:
    ae:
      - {name: stays, when: account.owner.ae != null, then: keep}
      - {name: rest, then: {route: new}}
"""


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


def export(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def load(one: Service, folder: Path, *complete: str) -> Synced:
    tables, problems = read_tables(one.ready.evaluator.policy, folder)
    assert not problems
    return sync(one.local, tables, complete)


def fields(one: Service, id: str) -> dict[str, object]:
    found = ServiceStore(one.local.writer.opened().db).records([("account", id)])
    return dict(found["account", id].fields) if found and not found["account", id].deleted else {}


REPS = "id,name,role,active\nann,Ann,AE,yes\nben,Ben,AE,yes\n"


def test_a_column_settles_the_order_of_day_and_month_and_the_decimal_sign(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path, reps=(), text=TEXT) as one:
        done = load(one, export(tmp_path / "x", reps=REPS, accounts='id,signed,volume\nA1,03/04/2024,"1.234,5"\nA2,25/04/2024,"7,25"\n'))
        assert done.read == {"account": 2, "rep": 2} and any("day-first" in note for note in done.notes)
        assert fields(one, "A1") == {"id": "A1", "signed": "2024-04-03", "volume": 1234.5}
        # alone, `03/04/2024` says nothing; the mirror has what the whole column said
        one.patch("account", "A1", volume="8")
        assert one.do(lambda desk, at: said(typed=desk.records.typed("account", desk.record("account", "A1").fields)["signed"])) == {
            "typed": date(2024, 4, 3)
        }


def test_what_has_not_changed_is_not_written(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path, reps=(), text=TEXT) as one:
        folder = export(tmp_path / "x", reps=REPS, accounts="id,name\nA1,One\nA2,Two\n")
        assert load(one, folder).changed == {"account": 2, "rep": 2}
        before = ServiceStore(one.local.writer.opened().db).seq()
        assert load(one, folder).changed == {"account": 0, "rep": 0}
        assert ServiceStore(one.local.writer.opened().db).seq() == before
        export(folder, accounts="id,name\nA1,One\nA2,Zwei\n")
        assert load(one, folder).changed == {"account": 1, "rep": 0}


def test_a_record_with_an_owner_is_compared_and_the_others_are_seen_too(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path, reps=(), text=TEXT) as one:
        folder = export(tmp_path / "x", reps=REPS, accounts="id,name\nA2,Two\n")
        load(one, folder)
        assert one.local.route("account", {"id": "A1", "name": "One"})[1]["owner"] == "ann"
        export(folder, accounts="id,name,owner\nA1,One,ben\nA2,Two,ann\n")
        assert load(one, folder).changed["account"] == 2
        (by_hand,) = [e for e in one.entries("owned") if e.by == "hand"]
        assert (by_hand.record, by_hand.rep, by_hand.former) == ("A1", "ben", "ann")
        assert one.local.route("account", {"id": "A2", "name": "Two", "owner": "ann"})[1]["owner"] == "ann"


def test_records_that_a_complete_export_lacks_are_deleted(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path, reps=(), text=TEXT) as one:
        folder = export(tmp_path / "x", reps=REPS, accounts="id,name\nA1,One\nA2,Two\n")
        load(one, folder)
        export(folder, accounts="id,name\nA2,Two\n")
        assert load(one, folder).deleted == {}
        assert load(one, folder, "account").deleted == {"account": 1}
        assert fields(one, "A1") == {} and fields(one, "A2") == {"id": "A2", "name": "Two"}


def test_a_record_that_cannot_be_read_is_said_and_the_others_are_taken(tmp_path: Path) -> None:
    with service(str(tmp_path / "s"), tmp_path, reps=(), text=TEXT) as one:
        done = load(one, export(tmp_path / "x", reps=REPS, accounts="id,volume\nA1,many\nA2,3\n,4\n"))
        assert done.read["account"] == 1 and [p["status"] for p in done.problems] == [422, 422]
        assert "many" in done.problems[0]["detail"] and done.problems[0]["record"] == "A1"


def test_reps_who_can_take_records_get_those_that_wait(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path, reps=(), text=TEXT) as one:
        assert one.local.route("account", {"id": "A1", "name": "One"})[1]["held"] is True
        load(one, export(tmp_path / "x", reps=REPS))
        assert one.do(lambda desk, at: (200, lambda: desk.answer("account", "A1")))["owner"] == "ann"


def test_a_record_that_the_service_refuses_is_reported_and_holds_nothing_else_up(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def owned(*names: str) -> Path:
        rows = "".join(f"{id},{name},ann\n" for id, name in zip(("A1", "A2", "A3"), names, strict=True))
        return export(tmp_path / "x", reps=REPS, accounts="id,name,owner\n" + rows)

    with service(state, tmp_path, reps=(), text=TEXT) as one:
        load(one, owned("Acme", "Birch", "Cedar"))
        for id in ("A1", "A2", "A3"):
            one.local.route("account", {"id": id, "owner": "ann"})
        put = intake.put

        def refusing(desk: Desk, entity: str, values: Any, version: str, at: Any) -> Any:
            if values["id"] == "A2":
                raise Refused(422, "R602", "the account cannot be read: planted", "correct it")
            return put(desk, entity, values, version, at)

        monkeypatch.setattr(intake, "put", refusing)
        done = load(one, owned("Acme 2", "Birch 2", "Cedar 2"))
        assert [(x["record"], x["detail"]) for x in done.problems] == [("A2", "the account cannot be read: planted")]
        assert done.changed["account"] == 2
        assert [fields(one, id).get("name") for id in ("A1", "A3")] == ["Acme 2", "Cedar 2"]
