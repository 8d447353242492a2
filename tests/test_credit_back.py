"""A turn that is given back: the rep is owed it, once, and everybody is as if it had not been taken."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from helpers import policy_text
from roe.cache import load_policy
from roe.cli import main
from roe.evaluator.engine import Evaluator
from roe.ledger.store import open_store
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source
from roe.stages.build import build
from services import MONDAY, said, service

POLICY = """
roe: 1
name: back
roles: [sdr]
pools:
  desk:
    members: [ann, ben, cy]
    credit_back:
      - {name: no-show, when: lead.status = "No show"}
      - {name: colleague, when: lead.owner.sdr != rep}
engagement:
  lead: {sdr: [{name: in, then: {route: desk}}]}
"""


def night(folder: Path, as_of: str, engine: str, *leads: str, reason: str = "no-show") -> dict[str, str]:
    """The owners after a run; a lead is `id,email,status,owner`, and `reason` is what the policy calls a no-show."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(POLICY.replace("no-show", reason), "utf-8")
    (folder / "data" / "reps.csv").write_text("id,name\nann,Ann\nben,Ben\ncy,Cy\n", "utf-8")
    lines = list(leads)
    (folder / "data" / "leads.csv").write_text("\n".join(["id,email,status,owner", *lines]) + "\n", "utf-8")
    policy, problems = load_policy(folder)
    assert policy is not None, problems
    run(
        Job(Evaluator(policy), Source(policy, folder / "data"), as_of),
        folder / "out",
        RunOptions(state=str(folder / "state"), engine=engine),
    )
    with (folder / "out" / "allocations.csv").open(encoding="utf-8", newline="") as file:
        return {x["record"]: x["owner"] for x in csv.DictReader(file)}


ENGINES = pytest.mark.parametrize("engine", ["rows", "columns"])


@ENGINES
@pytest.mark.parametrize("reason", ["no-show", "asked", "free", "on request"])
def test_a_no_show_gives_the_turn_back_once_whatever_the_policy_calls_it(reason: str, engine: str, tmp_path: Path) -> None:
    """After ann and ben it would be cy's turn. Ann's turn is given back, so she has as much credit as cy, and comes first by her id."""
    first, ben = "L1,a@a.example,No show,ann", "L2,b@b.example,,ben"
    assert night(tmp_path, "2026-03-01", engine, "L1,a@a.example,,", "L2,b@b.example,,", reason=reason) == {"L1": "ann", "L2": "ben"}
    after = night(tmp_path, "2026-03-02", engine, first, ben, "L3,c@c.example,,", reason=reason)
    assert after == {"L1": "ann", "L2": "ben", "L3": "ann"}
    after = night(tmp_path, "2026-03-03", engine, first, ben, "L3,c@c.example,,ann", "L4,d@d.example,,", reason=reason)
    assert after["L4"] == "cy"
    with open_store(tmp_path / "state") as store:
        backs = [x.entry for x in store.entries(kinds=("turn-back",))]
        assert [(e.record, e.rep, e.pool, e.number, e.reason) for e in backs] == [("L1", "ann", "desk", 1, reason)]  # type: ignore[attr-defined]
        assert store.rebuild()
    said = CliRunner().invoke(main, ["history", "L1", "--state", str(tmp_path / "state")]).output
    assert "the turn of Ann is given back to the pool `desk`" in " ".join(said.split()) and reason in said
    assert "Ann keeps it the turn is given back" in " ".join(said.split())
    explained = CliRunner().invoke(
        main,
        ["explain", "L1", str(tmp_path), "--data", str(tmp_path / "data"), "--as-of", "2026-03-04", "--state", str(tmp_path / "state")],
    )
    assert f"the turn was given back: {reason}" in " ".join(explained.output.split())


@ENGINES
def test_a_colleague_who_has_taken_over_gives_the_turn_back_and_keeps_the_record(engine: str, tmp_path: Path) -> None:
    assert night(tmp_path, "2026-03-01", engine, "L1,a@a.example,,", "L2,b@b.example,,") == {"L1": "ann", "L2": "ben"}
    after = night(tmp_path, "2026-03-02", engine, "L1,a@a.example,,cy", "L2,b@b.example,,ben", "L3,c@c.example,,")
    assert after == {"L1": "cy", "L2": "ben", "L3": "ann"}


@ENGINES
def test_what_follows_another_record_used_no_turn(engine: str, tmp_path: Path) -> None:
    """L2 is of the same company and follows L1: if it is a no-show, nothing is owed, and the next is ben."""
    night(tmp_path, "2026-03-01", engine, "L1,a@acme.example,,", "L2,b@acme.example,,")
    after = night(tmp_path, "2026-03-02", engine, "L1,a@acme.example,,ann", "L2,b@acme.example,No show,ann", "L3,c@c.example,,")
    assert after["L3"] == "ben"


@ENGINES
def test_a_turn_can_be_asked_for(engine: str, tmp_path: Path) -> None:
    night(tmp_path, "2026-03-01", engine, "L1,a@a.example,,", "L2,b@b.example,,")
    ask = ["ledger", "give-back", "L1", "--reason", "wrong number", "--by", "Lead Desk", "--state", str(tmp_path / "state")]
    done = CliRunner().invoke(main, ask)
    assert done.exit_code == 0, done.output
    assert CliRunner().invoke(main, ask).exit_code == 2  # it is asked for already
    assert CliRunner().invoke(main, [*ask[:2], "L9", *ask[3:]]).exit_code == 2
    said = CliRunner().invoke(main, ["history", "L1", "--state", str(tmp_path / "state")]).output
    assert "wrong number (asked for by Lead Desk)" in " ".join(said.split())
    assert night(tmp_path, "2026-03-02", engine, "L1,a@a.example,,ann", "L2,b@b.example,,ben", "L3,c@c.example,,")["L3"] == "ann"
    assert (
        night(tmp_path, "2026-03-03", engine, "L1,a@a.example,,ann", "L2,b@b.example,,ben", "L3,c@c.example,,ann", "L4,d@d.example,,")["L4"]
        == "cy"
    )
    with open_store(tmp_path / "state") as store:
        assert len(list(store.entries(kinds=("turn-back",)))) == 1 and store.rebuild()


# --- with a service on the same ledger --------------------------------------------------------------------------------


def test_a_service_leaves_turns_to_the_next_run_however_often_it_starts(tmp_path: Path) -> None:
    """Ann's first lead is a no-show: only the run owes her the turn, and once. The pool goes round in between."""
    state = str(tmp_path / "state")
    with service(state, tmp_path, text=POLICY, reps=("ann", "ben", "cy")) as desk:
        assert [desk.route(f"L{n}", email=f"a@l{n}.example")["owner"] for n in (1, 2)] == ["ann", "ben"]
        desk.put("lead", id="L1", email="a@l1.example", status="No show")
    for n, rep in ((3, "cy"), (4, "ann"), (5, "ben"), (6, "cy")):
        with service(state, tmp_path, text=POLICY, reps=("ann", "ben", "cy")) as desk:
            assert desk.route(f"L{n}", email=f"a@l{n}.example")["owner"] == rep
    leads = ["L1,a@l1.example,No show,ann", *(f"L{n},a@l{n}.example,,{rep}" for n, rep in ((2, "ben"), (3, "cy"), (4, "ann")))]
    after = night(tmp_path, "2026-03-03", "rows", *leads, "L7,a@l7.example,,", "L8,a@l8.example,,", "L9,a@l9.example,,")
    assert [after[f"L{n}"] for n in (7, 8, 9)] == ["ann", "ann", "ben"]
    with service(state, tmp_path, MONDAY.replace(day=4), text=POLICY, reps=("ann", "ben", "cy")) as desk:
        assert desk.do(lambda d, at: said(back=d.state.all("assigned")["lead|L1|sdr"]["back"])) == {"back": "no-show"}
        assert len(desk.entries("turn-back")) == 1


@ENGINES
def test_what_followed_another_record_in_a_service_used_no_turn(engine: str, tmp_path: Path) -> None:
    """As above: L2 followed L1 for nothing, so as a no-show it gives nothing back, and the next is ben."""
    with service(str(tmp_path / "state"), tmp_path, text=POLICY, reps=("ann", "ben", "cy")) as desk:
        assert [desk.route(f"L{n}", email=f"a{n}@acme.example")["owner"] for n in (1, 2)] == ["ann", "ann"]
        assert [t.credit for t in desk.entries("turn")] == ["", "free"]
    after = night(tmp_path, "2026-03-03", engine, "L1,a1@acme.example,,ann", "L2,a2@acme.example,No show,ann", "L3,c@c.example,,")
    assert after["L3"] == "ben"


def test_a_turn_that_is_given_back_counts_no_more_for_who_took_it(tmp_path: Path) -> None:
    """Ann's turn is given back before cy's first: it is ann's count that falls, and nobody's count falls below nothing."""
    policy, problems = build(policy_text(tmp_path, POLICY))
    assert policy is not None, problems
    evaluator = Evaluator(policy)
    reps = [{"id": rep} for rep in ("ann", "ben", "cy")]

    def counts(as_of: str, state: Any, *leads: tuple[str, str, str]) -> tuple[dict[str, int], Any]:
        rows = [{"id": key, "email": f"a@{key}.example", "status": status, "owner": owner} for key, status, owner in leads]
        after = evaluator.run({"rep": reps, "lead": rows}, as_of=as_of, state=state).state()
        return after["pools"]["desk"]["counts"], after

    first, state = counts("2026-03-01", None, ("L1", "", ""), ("L2", "", ""))
    assert first == {"ann": 1, "ben": 1}
    assert counts("2026-03-02", state, ("L1", "No show", "ann"), ("L2", "", "ben"))[0] == {"ben": 1}
    lost = {**state, "pools": {"desk": {**state["pools"]["desk"], "counts": {"ben": 1}}}}  # a ledger that was imported without ann's turns
    assert counts("2026-03-02", lost, ("L1", "No show", "ann"), ("L2", "", "ben"))[0] == {"ben": 1}
