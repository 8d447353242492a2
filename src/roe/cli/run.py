"""`roe run`: decide every record, and write what moves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from roe.cli.common import (
    as_of_option,
    bind,
    clock,
    data_option,
    fail,
    guard,
    heed,
    large,
    load,
    policy_argument,
    state_option,
    table,
    unwritable,
    well_named,
)
from roe.diagnostics import Diagnostic, PolicyError, as_text, errors
from roe.progress import counted
from roe.source import Span


@click.command("run")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to write allocations.csv, changes.csv, rollback.csv and so on to."
)
@click.option(
    "--trace",
    "traces",
    is_flag=True,
    help="Keep the explanations for `roe explain --run`. The row engine writes all of them to trace.jsonl; the column engine keeps what it needs to make any of them.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "rows", "columns", "spark"]),
    default="auto",
    show_default=True,
    help="Compute record by record, in columns (roe-policy[batch]), or on Spark (roe-policy[spark]). The results are the same.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="File format of allocations and changes.",
)
def command(policy: Path | None, data: Path, as_of: str, state: Path | None, out: Path, traces: bool, engine: str, form: str) -> None:
    """Decide every record, and write allocations, changes and rejects.

    The state folder is replaced last, once everything else is written.
    """
    evaluator = load(policy)
    checked = Checked(evaluator, out, state)
    if engine == "spark":
        summary = _spark(evaluator, data, as_of, state, out, form, traces)
        if evaluator.policy.plan.invariants:
            click.echo("note: invariants are not checked on Spark", err=True)
    elif _in_columns(engine, data, traces, form):
        summary = _columns(evaluator, data, as_of, state, out, form, traces, checked)
    else:
        summary = _rows(evaluator, data, as_of, state, out, traces, checked)
    _show(summary, out)
    checked.show()


class Checked:
    """The invariants of a run: those that do not hold go to a file, and with an error among them the state stays as it was."""

    def __init__(self, evaluator: Any, out: Path, state: Path | None) -> None:
        self.policy, self.out, self.state = evaluator.policy, out, state
        self.found: list[Any] = []

    def keep(self, broken: list[Any], state: dict[str, Any] | None) -> None:
        """Write what does not hold, and the state if it may be written."""
        from roe.analysis.invariants import HEADER, told
        from roe.data.files import csv_text, write_whole
        from roe.data.report import read_report, write_report
        from roe.data.write import write_state

        self.found = list(told(broken))
        if self.policy.plan.invariants:
            write_whole(self.out / "invariants.csv", csv_text(HEADER, (b.row() for b in broken)))
        if self.state is not None and state is not None and not errors(self.found):
            write_state(self.state, state)
            write_report(read_report(self.out), self.state)

    def show(self) -> None:
        """Say what does not hold; an error ends the command with code 1."""
        if self.found:
            click.echo(as_text(self.found), err=True)
        if errors(self.found):
            kept = f"; the state in {self.state} is as it was" if self.state is not None else ""
            click.echo(f"invariants do not hold: see {self.out / 'invariants.csv'}{kept}", err=True)
            sys.exit(1)


def _last(out: Path, state: Path | None) -> Path:
    """Where the report of the last run is: with its memory, or where it wrote."""
    from roe.data.report import FILE

    return state if state is not None and (state / FILE).is_file() else out


def _say(out: Path, last: dict[str, Any]) -> None:
    """Print what was read, once it is written."""
    from roe.data.report import in_lines, read_report

    for line in in_lines(read_report(out), last):
        click.echo(line, err=True)


def _in_columns(engine: str, data: Path, traces: bool, form: str) -> bool:
    """Whether to compute in columns; ends the command where that was asked for and cannot be."""
    if find_spec("pyarrow") is None or find_spec("numpy") is None:
        if engine == "columns" or form == "parquet" or data.is_file():
            at = Span("--engine", 1, 1, 2)
            fail(
                [
                    Diagnostic(
                        "R406", "columns need the packages numpy and pyarrow", at, "pip install 'roe-policy[batch]', or use --engine rows"
                    )
                ]
            )
        return False
    if engine != "auto":
        if engine == "rows" and (form == "parquet" or data.is_file()):
            at = Span("--engine", 1, 1, 2)
            fail([Diagnostic("R801", "Parquet output and databases need columns", at, "leave out `--engine rows`")])
        return engine == "columns"
    return form == "parquet" or large(data)


def _rows(evaluator: Any, data: Path, as_of: str, state: Path | None, out: Path, traces: bool, checked: Checked) -> dict[str, Any]:
    from roe.analysis.invariants import of_run
    from roe.data.write import write_run
    from roe.evaluator.engine import Run

    bound = bind(evaluator, data, as_of, state, say=True, last=_last(out, state))
    total = sum(len(bound.world.rows[entity]) for entity, _ in bound.plan.engagement)
    run = Run(bound, list(counted(bound.decide_all(), total, "deciding")))
    try:
        summary = write_run(run, out, traces)
        checked.keep(of_run(run), run.state() if state is not None else None)
    except OSError as e:
        unwritable(out, e)
    return summary


def _columns(
    evaluator: Any, data: Path, as_of: str, state: Path | None, out: Path, form: str, traces: bool, checked: Checked
) -> dict[str, Any]:
    from roe.analysis.invariants import Tally
    from roe.columns.evidence import EvidenceWriter
    from roe.columns.read import read_columns
    from roe.columns.run import ColumnRun
    from roe.columns.stream import OutOfOrder, portions
    from roe.columns.tally import add
    from roe.columns.world import ColumnWorld
    from roe.columns.write import write_runs
    from roe.data.report import read_report
    from roe.data.write import read_state
    from roe.evaluator.engine import Bound
    from roe.evaluator.world import Circle

    try:
        kept = read_state(state)
    except PolicyError as e:
        fail(e.diagnostics)

    def kept_too(runs: Any, left: Callable[[], dict[str, Any]] | None = None) -> dict[str, Any]:
        """Write the runs, the evidence if it was asked for, and what is left for the next run if the invariants hold."""
        evidence = EvidenceWriter(out, evaluator, as_of) if traces else None
        tally = Tally(evaluator.policy)
        worlds: list[Any] = []

        def also(run: Any) -> None:
            well_named(run.bound)
            if evidence is not None:
                evidence.add(run)
            if evaluator.policy.plan.invariants:
                add(tally, run)
                worlds[:] = [run.world]

        found = write_runs(runs, out, form, also)
        if evidence is not None:
            evidence.close()
        checked.keep(tally.close(worlds[0]) if worlds else [], left() if left is not None else None)
        return found

    try:
        guarded = any(s.rows or s.fall is not None or s.filled for s in evaluator.policy.data.values())  # they are asked of the whole table
        parts = portions(evaluator, data, clock(evaluator, as_of), kept) if state is None and not guarded else None
        if parts is not None:
            last = read_report(out)
            summary = kept_too(parts)
            _say(out, last)
            return summary
    except Circle as e:
        return _followed_by_rows(e, evaluator, data, as_of, state, out, traces, checked)
    except OutOfOrder:
        click.echo("note: the ids are in no order that portions could follow: taking the table whole", err=True)
    except OSError as e:
        unwritable(out, e)
    tables, found = read_columns(evaluator.policy, data, complete=True)
    heed(found)
    try:
        world = ColumnWorld(evaluator.compiled, tables, evaluator.clock(clock(evaluator, as_of)))
        guard(evaluator.policy, world, _last(out, state), say=True)
        run = ColumnRun(Bound(evaluator, world, kept))
    except Circle as e:
        return _followed_by_rows(e, evaluator, data, as_of, state, out, traces, checked)
    try:
        summary = kept_too([run], run.state if state is not None else None)
    except OSError as e:
        unwritable(out, e)
    return summary


def _followed_by_rows(
    e: Exception, evaluator: Any, data: Path, as_of: str, state: Path | None, out: Path, traces: bool, checked: Checked
) -> dict[str, Any]:
    click.echo(f"note: {e} rests on itself through the data, which only rows can follow: computing by rows", err=True)
    return _rows(evaluator, data, as_of, state, out, traces, checked)


def _spark(evaluator: Any, data: Path, as_of: str, state: Path | None, out: Path, form: str, traces: bool) -> dict[str, Any]:
    at = Span("--engine", 1, 1, 2)
    if find_spec("pyspark") is None or find_spec("pandas") is None or find_spec("pyarrow") is None:
        fail(
            [Diagnostic("R406", "Spark needs the packages pyspark, pandas and pyarrow", at, "pip install 'roe-policy[spark]', and Java 17")]
        )
    if state is not None:
        fail(
            [
                Diagnostic(
                    "R801", "a run on Spark keeps no state", Span("--state", 1, 1, 2), "use `--engine columns`, or leave out `--state`"
                )
            ]
        )
    if traces:
        fail(
            [
                Diagnostic(
                    "R801", "a run on Spark keeps no traces", Span("--trace", 1, 1, 2), "use `--engine columns`, or leave out `--trace`"
                )
            ]
        )
    if not data.is_dir():
        fail([Diagnostic("R801", "a run on Spark reads a folder", Span("--data", 1, 1, 2), "name the folder of the tables")])
    from pyspark.errors import PySparkException

    from roe.spark.run import run_spark

    try:
        from roe.data.report import read_report

        last = read_report(out)
        summary, together = run_spark(evaluator, data, clock(evaluator, as_of), out, form)
        _say(out, last)
    except PolicyError as e:
        fail(e.diagnostics)
    except OSError as e:
        unwritable(out, e)
    except PySparkException as e:
        if "Circle:" in str(e):
            return _followed_by_rows(ValueError("a field"), evaluator, data, as_of, state, out, False, Checked(evaluator, out, None))
        first = next((line.strip() for line in reversed(str(e).splitlines()) if line.strip()), type(e).__name__)
        fail([Diagnostic("R803", f"Spark did not finish: {first[:200]}", at, "use `--engine columns`, or look into Spark's own log")])
    if together:
        click.echo(f"note: the records stay in one task: {together}", err=True)
    return summary


def _show(summary: dict[str, Any], out: Path) -> None:
    rows = [[key, rule, n, f"{n / sum(rules.values()):.1%}"] for key, rules in summary["rules"].items() for rule, n in rules.items()]
    click.echo(table(rows[:MOST_ROWS], ["records and role", "rule", "decided", "share"]))
    if len(rows) > MOST_ROWS:
        click.echo(f"… and {len(rows) - MOST_ROWS} more rules, in summary.json")
    rejected = sum(summary["rejected"].values())
    click.echo(f"\n{summary['allocations']} allocations, {summary['moved']} change hands, {rejected} records rejected; see {out}")
    for c in summary["corrected"][:MOST_CORRECTED]:
        click.echo(f"corrected: {c['entity']}.{c['field']} `{c['written']}` to `{c['meant']}` in {c['records']} records")
    if len(summary["corrected"]) > MOST_CORRECTED:
        click.echo(f"… and {len(summary['corrected']) - MOST_CORRECTED} more corrections, in summary.json")
    missing: dict[tuple[str, str], int] = {}
    for d in summary["dangling"]:
        missing[d["entity"], d["field"]] = missing.get((d["entity"], d["field"]), 0) + d["records"]
    for c in summary["conflicts"]:
        shown = ", ".join(c["records"][:5]) + (", …" if len(c["records"]) > 5 else "")
        click.echo(f"warning: {c['step']} allows one row, and {c['rules']} all hold for {len(c['records'])} records: {shown} [R609]")
    if summary["unlisted_reps"]:
        click.echo("warning: owners that no rep record has: " + ", ".join(summary["unlisted_reps"][:8]))
    for (entity, field), n in missing.items():
        click.echo(f"warning: {n} values of {entity}.{field} find no record; see `dangling` in summary.json")


MOST_ROWS = 100
MOST_CORRECTED = 10
