"""`roe books`: plan a cycle of dynamic books, apply the plan, and simulate cycles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import click

from roe import words
from roe.cli.common import (
    PATH,
    STATE,
    as_of_option,
    bind_large,
    clock,
    data_option,
    load,
    named,
    needs,
    policy_argument,
    read,
    state_option,
    wait_option,
    write_into,
    writing,
)
from roe.cli.table import table
from roe.data.files import csv_text
from roe.diagnostics import user_error
from roe.dynamic import Json, Saved
from roe.evaluator.book_plan import check_plan
from roe.progress import counted
from roe.run.allocations import ALLOCATIONS
from roe.run.books import apply_plan
from roe.run.files import CHANGES, undone

PLAN = "plan.json"
MOVES = ("book", "account", "name", "from", "to", "why", "worth", "runner_up", "runner_up_worth", "rest", "reason")


@click.group("books")
def command() -> None:
    """Dynamic books: plan, apply and simulate cycles of returns, rest and distribution."""


@command.command("plan")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--out", type=PATH, required=True, help="Folder to write plan.json and moves.csv to.")
@click.option("--only", multiple=True, help="Only the book with this name; repeat for several. Default: all books.")
@click.option("--greedy", is_flag=True, help="Assign the best account and rep pair first, without the solver.")
def plan(policy: Path | None, data: Path, as_of: str, state: str | None, out: Path, only: tuple[str, ...], greedy: bool) -> None:
    """Plan a cycle: list every move with its reason, value and runner-up. Nothing changes until you apply the plan."""
    _packages()
    from roe.evaluator.books import plan_books
    from roe.web.books import plan_page

    evaluator = load(policy)
    named(evaluator.policy, evaluator.policy.plan.books, only, "book", "books")
    planned = plan_books(bind_large(evaluator, data, as_of, state), only, greedy, reviewed=True)
    rows = [
        [book, *(m[key] for key in ("account", "name", *MOVES[3:]))]
        for book, moves_of_book in planned["books"].items()
        for m in moves_of_book["moves"]
    ]
    text = json.dumps(planned, indent=1, ensure_ascii=False) + "\n"
    write_into(out, {PLAN: text, "moves.csv": csv_text(MOVES, rows), "plan.html": plan_page(planned)})
    for book, moves_of_book in planned["books"].items():
        _show(book, moves_of_book)
    click.echo(f"see {out / 'plan.html'} and {out / 'moves.csv'}; to apply it: roe books apply {out} --state DIR")


def _show(book: str, planned: Saved) -> None:
    from roe.evaluator.questions import sentences
    from roe.web.books import books_of_reps

    solution = planned["solution"]
    click.echo(f"{book}: the cycle of {planned['cycle']}\n")
    heads, *rows = books_of_reps(planned)
    click.echo(table(rows[:30], heads))
    if len(planned["reps"]) > 30:
        click.echo(f"… and {len(planned['reps']) - 30} more reps, in {PLAN}")
    left = ", ".join(f"{n} {why}" for why, n in planned["returned"].items()) or "none"
    click.echo(f"\n{words.counted(len(planned['moves']), 'move')}; accounts that left a book: {left}")
    gap = "" if solution["gap"] is None else "proven best" if solution["gap"] == 0 else f"within {100 * solution['gap']:.3f} % of the best"
    click.echo(f"worth {solution['objective']:,.1f} by {solution['method']}{', ' + gap if gap else ''}")
    for line in sentences(solution):
        click.echo(line)
    for line in planned["relaxed"]:
        click.echo(f"relaxed: {line}")
    for line in planned["refused"]:
        click.echo(f"refused: {line}")
    click.echo("")


@command.command("apply")
@click.argument("plan", type=PATH)
@click.option("--state", envvar="ROE_STATE", required=True, help=f"{STATE} It keeps the books from now on.")
@click.option("--out", type=PATH, help="Folder to write allocations.csv, changes.csv and rollback.csv to.")
@wait_option
def apply(plan: Path, state: str, out: Path | None, wait: float) -> None:
    """Apply a plan: write its books into the ledger, so that the next runs use them."""
    _packages()

    path = plan / PLAN if plan.is_dir() else plan
    planned = _read(path)
    with writing(out or Path(state)):
        apply_plan(planned, str(path), state, wait)
        if out is not None:
            _write_allocations(planned, out)
    moves = sum(len(moves_of_book["moves"]) for moves_of_book in planned["books"].values())
    click.echo(f"{', '.join(planned['books'])}: {words.counted(moves, 'move')} applied; see {state}")


def _read(path: Path) -> Json:
    try:
        return check_plan(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError) as e:
        raise user_error("R610", f"the plan cannot be read: {e}", path, "name the --out folder of `roe books plan`") from e


def _write_allocations(plan: Saved, out: Path) -> None:
    allocations: list[list[object]] = []
    forth: list[list[object]] = []
    back: list[list[object]] = []
    for book, moves_of_book in plan["books"].items():
        names, ids = moves_of_book.get("names", {}), moves_of_book.get("ids", {})
        for m in moves_of_book["moves"]:
            action = "assign" if m["to"] else "return"
            account, *owners = (ids.get(m[k], m[k]) for k in ("account", "to", "from"))
            new, old = ([owner, names.get(m[k])] for owner, k in zip(owners, ("to", "from"), strict=True))
            known = {
                "entity": "account", "record": account, "name": m["name"], "role": moves_of_book["role"], "owner": new[0], "owner_name": new[1],
                "previous_owner": old[0], "previous_owner_name": old[1], "action": action, "rule": book, "expires": m["rest"],
                "reason": m["reason"],
            }  # fmt: skip
            allocations.append([known.get(column, "") for column in ALLOCATIONS])
            forth.append([moves_of_book["object"], account, m["name"], moves_of_book["field"], *new, *old, m["reason"]])
            back.append(undone(forth[-1]))
    files: dict[str, tuple[tuple[str, ...], list[list[object]]]] = {
        "allocations": (ALLOCATIONS, allocations), "changes": (CHANGES, forth), "rollback": (CHANGES, back),
    }  # fmt: skip
    write_into(out, {f"{name}.csv": csv_text(columns, sorted(rows, key=_by_record)) for name, (columns, rows) in files.items()})


def _by_record(row: Iterable[object]) -> tuple[str, str]:
    _, record, name, *_ = row
    return str(record), str(name)


def _packages() -> None:
    needs("books need", "roe books", "books", "numpy")
    if find_spec("ortools") is None:
        click.echo("note: without OR-Tools (pip install 'roe-policy[books]') the plan is greedy", err=True)


@command.command("simulate")
@policy_argument
@data_option
@as_of_option
@click.option("--weeks", type=click.IntRange(1, 520), default=52, show_default=True, help="Number of weekly cycles to simulate.")
@click.option("--against", type=PATH, help="Another policy to compare with, on the same records and random seed.")
@click.option("--history", is_flag=True, help="Use the activities in the data, instead of generating them.")
@click.option("--touches", type=click.IntRange(1, 10_000), default=40, show_default=True, help="Touches that a rep makes each week.")
@click.option("--seed", type=int, default=1, show_default=True, help="Random seed of the simulation.")
@click.option("--out", type=PATH, required=True, help="Folder to write cycles.csv and simulation.html to.")
def simulate(
    policy: Path | None, data: Path, as_of: str, weeks: int, against: Path | None, history: bool, touches: int, seed: int, out: Path
) -> None:
    """Simulate weekly cycles, and plot coverage, churn, fairness and capacity use."""
    _packages()
    from roe.analysis.simulate import HEADER, Pace, SimulatedCycle, simulate

    played: dict[str, list[SimulatedCycle]] = {}
    for path in [policy, *([against] if against is not None else [])]:
        evaluator = load(path)
        named(evaluator.policy, evaluator.policy.plan.books, (), "book", "books")
        name = (
            evaluator.policy.name
            if evaluator.policy.name not in played
            else f"{evaluator.policy.name} ({Path(path or '.').resolve().name or 'other'})"
        )
        simulated = simulate(
            evaluator, read(evaluator, data), clock(evaluator, as_of), weeks, seed=seed, pace=Pace(touches=touches), history=history
        )
        try:
            played[name] = list(counted(simulated, weeks, "simulating"))
        except OverflowError:
            raise user_error(
                "R801", f"{weeks} weeks from `{as_of}` pass the last day of the calendar", "--as-of", "begin earlier", as_of
            ) from None
    rows = [[name, *cycle.row()] for name, cycles in played.items() for cycle in cycles]
    files = {"cycles.csv": csv_text(("policy", *HEADER), rows)}
    if find_spec("matplotlib") is not None:
        from roe.web.simulation import simulation_page

        files["simulation.html"] = simulation_page(played, weeks, as_of, history)
    write_into(out, files)
    shown = []
    for name, cycles in played.items():
        for book in dict.fromkeys(c.book for c in cycles):
            own = [c for c in cycles if c.book == book]
            mean = [sum(values) / len(own) for values in zip(*((c.use, c.coverage, c.churn, c.unfair) for c in own), strict=True)]
            last = own[-1]
            shown.append([f"{name}: {book}", *(f"{x:.0%}" for x in mean), f"{last.reached:.0%}", last.meetings, last.opportunities])
    click.echo(table(shown, ["mean over cycles", "use", "cover", "churn", "unfair", "reached", "meet", "opps"]))
    page = out / "simulation.html" if find_spec("matplotlib") is not None else out / "cycles.csv"
    click.echo(f"\nsee {page}" + ("" if page.suffix == ".html" else "; pip install 'roe-policy[pages]' for charts"))
