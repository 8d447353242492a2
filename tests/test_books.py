"""Cycles of dynamic books: who stays, what returns and rests, what is distributed, and why; on an example and on random records."""

from __future__ import annotations

import csv
import itertools
import json
import random
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("ortools")

from click.testing import CliRunner

import roe
from effort import tries
from helpers import EXAMPLES, policy_text
from roe.cli import main
from roe.columns.world import ColumnWorld
from roe.dynamic import Saved
from roe.evaluator.assigned import empty_state
from roe.evaluator.book_plan import applied, check_plan
from roe.evaluator.books import plan_books
from roe.evaluator.bound import Bound
from roe.evaluator.questions import sentences
from roe.ledger.remembered import Remembered

POLICY = """
roe: 1
name: books
roles: [ae]
fields:
  account: {{points: number, tier: string, wanted: {{type: boolean, default: true}}}}
  rep: {{book: number}}
books:
  core:
    accounts: account.wanted
    reps: rep.book > 0
    capacity: rep.book
    value: account.points
    eligible: account.country = null or rep.region = null or rep.region = account.country
    affinity: [{{name: known, when: some a in account.activities satisfies a.rep = rep, worth: 3}}]
    mix: [{{name: a, when: 'account.tier = "A"', least: 20, most: 50}}]
    settles: 10 days
    work: {{counts: 'type in ("call", "email")', touches: 3, contacts: 1, reply: status = "reply"}}
    neglected: 30 days
    given_back: [no fit]
    hold: account.segment = "Hold"
    never: [{{name: partner, when: account.type = "Partner"}}]
    rest: 20 days
    {more}
windows:
  trial: {{lasts: 5 days, role: ae}}
engagement:
  account:
    ae:
      - {{name: book, when: account.core != null, then: {{assign: account.core}}, because: "{{account.core_reason}}"}}
      - {{name: free, then: return}}
"""
MODES = {
    "calm": "",
    "moves": "continuity: 2",
    "fair": "continuity: 2\n    fairness: 0.3",
    "fixed": "distribute: {fixed: 2}\n    cadence: 7 days",
}
TODAY = date(2026, 2, 1)


def day(rng: random.Random, low: int, high: int) -> str:
    return str(TODAY + timedelta(days=rng.randint(low, high)))


def tables(rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    reps = [
        {"id": f"r{i}", "region": rng.choice(["US", "DE", None]), "book": rng.choice([0, 2, 4, 6]), "active": rng.random() > 0.15}
        for i in range(4)
    ]
    accounts = [
        {
            "id": f"a{i:02}", "points": rng.randint(0, 20), "tier": rng.choice("AB"), "country": rng.choice(["US", "DE", None]),
            "owner": rng.choice([*(r["id"] for r in reps), None, None]), "owner_since": day(rng, -90, -1) if rng.random() < 0.7 else None,
            "segment": rng.choice([None, None, None, "Hold"]), "type": rng.choice([None, None, "Partner"]), "wanted": rng.random() > 0.1,
        }
        for i in range(25)
    ]  # fmt: skip
    contacts = [{"id": f"c{i}", "account": f"a{rng.randrange(25):02}"} for i in range(20)]
    kinds = ["call", "email", "meeting"]
    activities = [
        {
            "id": f"t{i}", "account": f"a{rng.randrange(25):02}", "type": rng.choice(kinds), "date": day(rng, -80, 5),
            "rep": f"r{rng.randrange(4)}", "contact": f"c{rng.randrange(20)}", "status": rng.choice(["", "", "reply"]),
        }
        for i in range(70)
    ]  # fmt: skip
    opportunities = [{"id": f"o{i}", "account": f"a{rng.randrange(25):02}", "is_closed": rng.random() < 0.5} for i in range(5)]
    back = [
        {
            "id": f"h{i}",
            "account": f"a{rng.randrange(25):02}",
            "rep": f"r{rng.randrange(4)}",
            "date": day(rng, -9, 0),
            "reason": rng.choice(["no fit", "x"]),
        }
        for i in range(6)
    ]
    leaves = [{"id": "l", "rep": "r1", "starts": day(rng, -5, 5), "until": day(rng, 6, 9)}]
    return {
        "rep": reps,
        "account": accounts,
        "contact": contacts,
        "activity": activities,
        "opportunity": opportunities,
        "handback": back,
        "leave": leaves,
    }


STAY = ("open-opportunity", "future-meeting", "on-hold", "recently-assigned", "window-trial", "partner")


@pytest.mark.parametrize("mode", MODES)
def test_what_a_cycle_keeps_to(mode: str, tmp_path: Path) -> None:
    policy_text(tmp_path, POLICY.format(more=MODES[mode]))
    evaluator = roe.compile(roe.load(tmp_path))
    moves, seeds = 0, tries(2, 5, 40)
    for seed in range(seeds):
        data = tables(random.Random(seed))
        state: Remembered = {}
        for week in range(3):
            as_of = str(TODAY + timedelta(days=7 * week))
            bound = evaluator.bind(data, as_of=as_of, state=state)
            world = bound.world
            plan = check_plan(json.loads(json.dumps(plan_books(bound))))
            columns = Bound(evaluator, ColumnWorld(evaluator.compiled, data, evaluator.clock(as_of)), state)
            assert plan_books(columns) == plan, seed
            book = plan["books"]["core"]
            after = {a: x["rep"] for a, x in book["accounts"].items() if x["rep"]}
            before = {a["id"]: a["core_now"] and a["core_now"]["id"] for a in world.rows["account"]}
            fates = {a["id"]: a["core_return"] for a in world.rows["account"]}
            relaxed = " ".join(book["relaxed"])
            for account, fate in fates.items():
                if fate in STAY:
                    assert after.get(account) == before[account], (seed, account, fate)
            for rep in world.rows["rep"]:
                mine = [a for a, r in after.items() if r == rep["id"]]
                room = int(rep["book"]) if rep["book"] and rep["active"] is not False else 0
                stuck = [a for a in mine if fates[a] in (STAY if mode in ("moves", "fair") else (*STAY, "stays"))]
                assert len(mine) <= max(room, len(stuck)), (seed, week)
                assert len(stuck) <= room or not room or f"capacity of {rep['id']}" in relaxed
                best = [a for a in mine if world.find("account", a)["tier"] == "A"]  # type: ignore[index]
                stuck_best = [a for a in best if fates[a] in STAY or mode in ("calm", "fixed")]
                assert len(best) <= max(room // 2, len(stuck_best)) or not room, (seed, week)
                assert len(best) >= -(-room // 5) or f"mix of {rep['id']}" in relaxed, (seed, week)
            for m in book["moves"]:
                account = world.find("account", m["account"])
                assert account is not None and m["from"] != m["to"] and m["reason"]
                if m["to"] is not None:
                    rest = account["core_rest"]
                    assert account["wanted"] and (rest is None or rest <= world.clock.today)
                    to = world.find("rep", m["to"])
                    assert to is not None and to["leave"] is None
                    assert account["country"] is None or to["region"] in (None, account["country"])
            moves += len(book["moves"])
            state = json.loads(json.dumps(applied(state or empty_state(as_of), plan)))
            again = plan_books(evaluator.bind(data, as_of=as_of, state=state))["books"]["core"]
            assert again["moves"] == [], (seed, week)
            if week == 0:
                run = evaluator.run(data, as_of=as_of, state=state)
                here = {r["id"] for r in world.rows["rep"] if r["active"] is not False}  # a book may keep what a leaver had: nobody owns it
                assert {d.id: d.owner for d in run.decisions if d.owner} == {a: r for a, r in after.items() if r in here}
                assert run.state()["books"] == state["books"]
    assert moves > 5 * seeds


def test_a_resting_account_comes_back_and_the_reason_is_told(tmp_path: Path) -> None:
    policy_text(tmp_path, POLICY.format(more="cadence: 7 days"))
    evaluator = roe.compile(roe.load(tmp_path))
    data: dict[str, list[dict[str, Any]]] = {
        "rep": [{"id": "ann", "book": 1, "region": "US"}, {"id": "ben", "book": 1, "region": "US"}],
        "account": [{"id": "A", "points": 9, "country": "US", "owner": "ann", "owner_since": "2025-12-01", "tier": "B"}],
        "activity": [{"id": "t", "account": "A", "rep": "ann", "type": "call", "date": "2025-12-02"}],
    }
    state: Remembered = {}
    seen = []
    for as_of in ("2026-02-01", "2026-02-08", "2026-02-20", "2026-02-21"):
        plan = plan_books(evaluator.bind(data, as_of=as_of, state=state))
        state = applied(state or empty_state(as_of), plan)
        seen.append([(m["from"], m["to"], m["why"], m["rest"]) for m in plan["books"]["core"]["moves"]])
    assert seen == [[("ann", None, "neglected", "2026-02-21")], [], [], [(None, "ann", "distributed", None)]]
    found = evaluator.run(data, as_of="2026-02-21", state=state).decisions[0]
    assert found.reason == "came to ann on 2026-02-21 for a worth of 12; next would be ben with 9"


def test_the_commands_plan_apply_and_explain(tmp_path: Path) -> None:
    example = str(EXAMPLES / "dynamic-books")
    data = ("--data", f"{example}/data", "--as-of", "2026-02-01")
    runner = CliRunner()
    done = runner.invoke(main, ["books", "plan", example, *data, "--out", str(tmp_path / "plan")])
    assert done.exit_code == 0, done.output
    assert "relaxed: mix of Eve Ek" in done.output and "gave it back, and `too small` is not a valid reason" in done.output
    applying = ["books", "apply", str(tmp_path / "plan"), "--state", str(tmp_path / "state"), "--out", str(tmp_path / "out")]
    assert runner.invoke(main, applying).exit_code == 0
    again = runner.invoke(main, applying)
    assert again.exit_code == 2 and "R610" in again.output
    done = runner.invoke(main, ["explain", "Amber Labs", example, *data, "--state", str(tmp_path / "state")])
    assert "came to" in done.output and "next would be" in done.output, done.output
    assert (tmp_path / "out" / "allocations.csv").read_text().count("\n") == 1 + (tmp_path / "plan" / "moves.csv").read_text().count(
        "\n"
    ) - 1


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_a_run_says_which_accounts_a_leaver_still_has_in_a_book(engine: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "dynamic-books", tmp_path / "example")
    rules, data, state = str(tmp_path / "example"), tmp_path / "example" / "data", str(tmp_path / "state")
    about = [rules, "--data", str(data), "--as-of", "2026-03-02", "--state", state]
    for command in (["plan", *about, "--out", str(tmp_path / "plan")], ["apply", str(tmp_path / "plan"), "--state", state]):
        assert CliRunner().invoke(main, ["books", *command]).exit_code == 0

    def night() -> tuple[str, Any, list[dict[str, str]]]:
        out = tmp_path / "out"
        done = CliRunner().invoke(main, ["run", *about, "--out", str(out), "--engine", engine])
        with (out / "allocations.csv").open(encoding="utf-8", newline="") as file:
            return done.output, json.loads((out / "summary.json").read_text("utf-8")), list(csv.DictReader(file))

    _, summary, rows = night()
    in_book = sum(row["owner"] == "ann" and row["rule"] == "book" for row in rows)
    assert in_book > 1 and "ann" not in {x["rep"] for x in summary.get("leavers", ())}
    reps = (data / "reps.csv").read_text("utf-8")
    (data / "reps.csv").write_text(
        "".join(x.replace(",true", ",false") if x.startswith("ann,") else x for x in reps.splitlines(True)), "utf-8"
    )
    said, summary, rows = night()
    assert "ann" not in {row["owner"] for row in rows}
    assert f"{in_book} accounts stay in the book `core` until the next `roe books plan` is applied" in said
    assert next(x["books"] for x in summary["leavers"] if x["rep"] == "ann") == {"core": in_book}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"roe": 1, "books": {"core": {}}}', '{"roe": 1, "base": "", "as_of": "", "books": {"core": 3}}']
)
def test_a_damaged_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    done = CliRunner().invoke(main, ["books", "apply", str(tmp_path), "--state", str(tmp_path / "state")])
    assert done.exit_code == 2 and "R610" in done.output


def test_a_simulation_is_the_same_again_and_keeps_to_the_capacity(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    example = str(EXAMPLES / "dynamic-books")
    command = ["books", "simulate", example, "--data", f"{example}/data", "--as-of", "2026-02-01", "--weeks", "4", "--against", example]
    for out in ("a", "b"):
        done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / out)])
        assert done.exit_code == 0, done.output
    for file in ("cycles.csv", "simulation.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    rows = list(csv.DictReader((tmp_path / "a" / "cycles.csv").open()))
    assert len(rows) == 8 and [list(r.values())[1:] for r in rows[:4]] == [list(r.values())[1:] for r in rows[4:]]  # one policy, one luck
    assert all(0 < float(r["capacity_use"]) <= 1 and 0 <= float(r["coverage"]) <= 1 for r in rows)
    assert int(rows[3]["meetings"]) > 0 and [float(r["reached"]) for r in rows[:4]] == sorted(float(r["reached"]) for r in rows[:4])
    page = (tmp_path / "a" / "simulation.html").read_text()
    assert page.count("<svg") == 6 and "<script" not in page and "src=" not in page and 'href="http' not in page


def test_no_account_is_in_two_books_of_one_role(tmp_path: Path) -> None:
    text = POLICY.format(more="continuity: 2")
    first = text[text.index("  core:") : text.index("windows:")]
    second = (
        first.replace("  core:", "  second:", 1)
        .replace("accounts: account.wanted", "accounts: account.points > 5")
        .replace("- {name: a,", "- {name: b,")
    )
    policy_text(
        tmp_path,
        text.replace(first, first + second).replace(
            "- {name: free", "- {name: other, when: account.second != null, then: {assign: account.second}}\n      - {name: free"
        ),
    )
    evaluator = roe.compile(roe.load(tmp_path))
    both, seeds = 0, tries(4, 8, 25)
    for seed in range(seeds):
        data = tables(random.Random(seed))
        state: Remembered = {}
        for week in range(3):
            as_of = str(TODAY + timedelta(days=7 * week))
            plan = plan_books(evaluator.bind(data, as_of=as_of, state=state))
            held = [{a for a, x in plan["books"][name]["accounts"].items() if x["rep"]} for name in ("core", "second")]
            assert not held[0] & held[1], (seed, week)
            both += bool(held[0]) and bool(held[1])
            state = json.loads(json.dumps(applied(state or empty_state(as_of), plan)))
            again = plan_books(evaluator.bind(data, as_of=as_of, state=state))["books"]
            assert [m for name in again for m in again[name]["moves"]] == [], (seed, week)
    assert both > 1.2 * seeds


@pytest.mark.parametrize(
    "args", [["books", "plan"], ["books", "simulate"], ["books", "apply", "plan", "--state", "s"], ["score", "backtest", "--outcome", "won"], ["score", "fit", "--outcome", "won"]]
)  # fmt: skip
def test_without_its_packages_a_command_says_which(args: list[str], tmp_path: Path) -> None:
    example = str(EXAMPLES / "dynamic-books")
    more = [] if "apply" in args else ["--data", f"{example}/data", "--out", "out"]
    more += [example, "--as-of", "2026-02-01"] if args[:2] in (["books", "plan"], ["books", "simulate"]) else []
    script = "import sys; sys.modules.update(numpy=None, ortools=None, sklearn=None); from roe.cli import main; main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", script, *args, *more], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "R406" in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_history_greed_and_one_book_by_name(tmp_path: Path, without_charts: None) -> None:
    """`--history` leaves the data's activities, so nothing is met that they do not have; a greedy plan has no bound."""
    example = str(EXAMPLES / "dynamic-books")
    data = (example, "--data", f"{example}/data", "--as-of", "2026-02-01")
    done = CliRunner().invoke(main, ["books", "simulate", *data, "--weeks", "3", "--history", "--out", str(tmp_path / "h")])
    assert done.exit_code == 0, done.output
    assert {r["meetings"] for r in csv.DictReader((tmp_path / "h" / "cycles.csv").open())} == {"0"}
    done = CliRunner().invoke(main, ["books", "plan", *data, "--greedy", "--only", "core", "--out", str(tmp_path / "g")])
    solution = json.loads((tmp_path / "g" / "plan.json").read_text())["books"]["core"]["solution"]
    assert (solution["method"], solution["bound"]) == ("greedy", None)
    wrong = CliRunner().invoke(main, ["books", "plan", *data, "--only", "cor", "--out", str(tmp_path / "w")])
    assert wrong.exit_code == 2 and "did you mean `core`" in wrong.output
    late = CliRunner().invoke(main, ["books", "simulate", *data[:3], "--as-of", "9999-12-01", "--weeks", "9", "--out", str(tmp_path / "l")])
    assert late.exit_code == 2 and "R801" in late.output


def test_accounts_take_places_and_a_pair_has_a_worth_of_its_own(tmp_path: Path) -> None:
    """Capacities and mixes count places; the plan is the best of all, tried one by one."""
    more = "places: 'if account.tier = \"A\" then 3 else 1'\n    worth: 'if rep.region = account.country then 4 else 0'"
    text = POLICY.replace("    eligible: account.country = null or rep.region = null or rep.region = account.country\n", "")
    text = text.replace("    mix: [{{name: a, when: 'account.tier = \"A\"', least: 20, most: 50}}]\n", "").replace(
        "    affinity: [{{name: known, when: some a in account.activities satisfies a.rep = rep, worth: 3}}]\n", ""
    )
    policy_text(tmp_path, text.format(more=more))
    evaluator = roe.compile(roe.load(tmp_path))
    rng = random.Random(4)
    for _ in range(10):
        reps: list[dict[str, Any]] = [
            {"id": f"R{k}", "name": f"Rep {k}", "book": rng.randint(2, 4), "region": rng.choice(["DE", "FR"])} for k in range(2)
        ]
        accounts: list[dict[str, Any]] = [
            {"id": f"A{k}", "name": f"Co {k}", "points": rng.randint(1, 9), "tier": rng.choice("AB"), "country": rng.choice(["DE", "FR"])}
            for k in range(6)
        ]
        plan = plan_books(evaluator.bind({"account": accounts, "rep": reps}, as_of=str(TODAY)), reviewed=True)["books"]["core"]
        size = [3 if a["tier"] == "A" else 1 for a in accounts]
        worth = [[a["points"] + (4 if r["region"] == a["country"] else 0) for r in reps] for a in accounts]
        best = 0
        for choice in itertools.product((-1, 0, 1), repeat=6):
            if all(sum(s for s, c in zip(size, choice, strict=True) if c == k) <= reps[k]["book"] for k in (0, 1)):
                best = max(best, sum(worth[i][c] for i, c in enumerate(choice) if c >= 0))
        assert plan["solution"]["objective"] == best and plan["solution"]["gap"] == 0
        lines = sentences(plan["solution"])
        assert lines[0].startswith("A greedy plan") and all("more places for Rep" in line for line in lines[1:])


@pytest.mark.parametrize(
    "more", ["", "fairness: 0.3", "total: rep.book", "distribute: {fixed: 2}", "places: 'if account.tier = \"A\" then 2 else 1'"]
)
def test_ten_more_places_bring_what_a_plan_with_them_is_worth_more(tmp_path: Path, more: str) -> None:
    """The answer is that of a second plan of a rep with ten more places, mix, total and all. A cycle that brings two accounts at most asks nothing."""
    policy_text(tmp_path, POLICY.format(more=more))
    evaluator = roe.compile(roe.load(tmp_path))
    rng = random.Random(7)
    gains = []
    for _ in range(4):
        accounts = [{"id": f"A{k}", "points": rng.randint(1, 9), "tier": rng.choice("AB")} for k in range(12)]
        reps: list[dict[str, Any]] = [{"id": f"R{k}", "name": f"Rep {k}", "book": rng.randint(2, 5)} for k in range(2)]
        solution = _reviewed(evaluator, accounts, reps)
        for answer in solution["more_places"]:
            larger = [{**r, "book": r["book"] + 10 * (r["name"] == answer["rep"])} for r in reps]
            gains.append(answer["gain"])
            assert answer["gain"] == pytest.approx(max(_reviewed(evaluator, accounts, larger)["objective"] - solution["objective"], 0))
    assert any(gains) != ("fixed" in more)


def _reviewed(evaluator: roe.Evaluator, accounts: list[dict[str, Any]], reps: list[dict[str, Any]]) -> Saved:
    solution: Saved = plan_books(evaluator.bind({"account": accounts, "rep": reps}, as_of=str(TODAY)), reviewed=True)["books"]["core"][
        "solution"
    ]
    return solution


def test_a_plan_says_whether_a_greedy_one_is_worth_less() -> None:
    assert sentences({"objective": 10.0, "greedy": 8.5})[0] == "A greedy plan would be worth 8.5, which is 1.5 less."
    assert sentences({"objective": 10.0, "greedy": 10.0 + 1e-9})[0] == "A greedy plan would be worth as much: 10.0."


def test_a_greedy_plan_that_misses_the_mix_is_not_called_better() -> None:
    lines = sentences({"objective": 10.0, "greedy": 12.0, "greedy_short": 2, "mix_costs": 3.0})
    assert lines[0] == "A greedy plan would be worth 12.0, but leave 2 more places of the mix empty, so the two do not compare."
    assert lines[1] == "The mix costs 3.0: without it the plan would be worth 13.0."


def test_one_total_limits_all_books_of_a_rep(tmp_path: Path) -> None:
    """Each book alone has room for six places; together a rep has eight, and every cycle keeps to it. The first book is as full as it can be."""
    (tmp_path / "policy.yaml").write_text(
        """roe: 1
name: two
roles: [ae, csm]
fields:
  account: {points: number, customer: boolean, tier: string}
  rep: {room: number}
books:
  hunt:
    {role: ae, accounts: account.customer = false, reps: "true", capacity: 6, total: rep.room, value: account.points, continuity: 1}
  farm:
    role: csm
    accounts: account.customer = true
    reps: "true"
    capacity: 6
    total: rep.room
    value: account.points
    places: if account.tier = "A" then 2 else 1
    continuity: 1
engagement:
  account:
    ae: [{name: free, then: return}]
    csm: [{name: free, then: return}]
""",
        "utf-8",
    )
    evaluator = roe.compile(roe.load(tmp_path))
    for seed in range(tries(1, 3, 10)):
        rng = random.Random(seed)
        accounts: list[dict[str, Any]] = [
            {"id": f"A{k}", "name": f"Co {k}", "points": rng.randint(1, 9), "customer": k % 2 == 0, "tier": rng.choice("AB")}
            for k in range(30)
        ]
        reps: list[dict[str, Any]] = [{"id": f"R{k}", "name": f"Rep {k}", "room": 8} for k in range(2)]
        size = {a["id"]: 2 if a["customer"] and a["tier"] == "A" else 1 for a in accounts}
        state: Remembered = {}
        for week in range(3):
            as_of = str(TODAY + timedelta(days=7 * week))
            plan = plan_books(evaluator.bind({"account": accounts, "rep": reps}, as_of=as_of, state=state))
            held = {
                (book, rep["id"]): sum(size[a] for a, x in plan["books"][book]["accounts"].items() if x["rep"] == rep["id"])
                for book in ("hunt", "farm")
                for rep in reps
            }
            for rep in reps:
                assert held["hunt", rep["id"]] == 6 and held["farm", rep["id"]] == 2, (seed, week)
            state = json.loads(json.dumps(applied(state or empty_state(as_of), plan)))
        for rep in reps:
            rep["room"] = 3  # she has less time: the books shrink together, the one that is planned first keeps what it can
        plan = plan_books(evaluator.bind({"account": accounts, "rep": reps}, as_of=str(TODAY + timedelta(days=60)), state=state))
        for rep in reps:
            left = sum(size[a] for book in plan["books"].values() for a, x in book["accounts"].items() if x["rep"] == rep["id"])
            assert left <= 3, seed
