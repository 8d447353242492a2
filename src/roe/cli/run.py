"""`roe run`: decide every record, and write what moves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from roe.cli.common import as_of_option, clock, data_option, fail, heed, load, policy_argument, state_option, table, unwritable
from roe.diagnostics import PolicyError, as_text


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
    from roe.data.report import in_lines
    from roe.run.engines import Job
    from roe.run.memory import read_state
    from roe.run.run import run
    from roe.run.source import Source

    evaluator = load(policy)
    source = Source(evaluator.policy, data)
    try:
        job = Job(evaluator, source, clock(evaluator, as_of), read_state(state), state is not None, form, traces)
        finished = run(job, out, state, engine)
    except PolicyError as e:
        fail([*source.warnings, *e.diagnostics])
    except OSError as e:
        unwritable(out, e)
    heed(source.warnings)
    for line in (*(f"note: {n}" for n in finished.notes), *in_lines(finished.report, finished.last)):
        click.echo(line, err=True)
    _show(finished.summary, out)
    if finished.broken:
        click.echo(as_text(finished.broken), err=True)
    if not finished.kept:
        kept = f"; the state in {state} is as it was" if state is not None else ""
        click.echo(f"invariants do not hold: see {out / 'invariants.csv'}{kept}", err=True)
        sys.exit(1)


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
