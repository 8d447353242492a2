"""`roe run`: decide every record, and write what moves."""

from __future__ import annotations

from pathlib import Path

import click

from roe.cli.common import as_of_option, bind, data_option, fail, load, policy_argument, progress, state_option, table
from roe.diagnostics import Diagnostic
from roe.source import Span


@click.command("run")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder for allocations.csv, changes.csv, rollback.csv, …")
@click.option("--trace", "traces", is_flag=True, help="Write trace.jsonl: the whole explanation of every allocation.")
def command(policy: Path | None, data: Path, as_of: str, state: Path | None, out: Path, traces: bool) -> None:
    """Decide every record, and write allocations, changes and rejects.

    The state folder is replaced whole after everything else is written.
    """
    from roe.data.write import write_run, write_state
    from roe.evaluator.engine import Run

    evaluator = load(policy)
    bound = bind(evaluator, data, as_of, state)
    total = sum(len(bound.world.rows[entity]) for entity, _ in bound.plan.engagement)
    run = Run(bound, list(progress(bound.decide_all(), total, "deciding")))
    try:
        summary = write_run(run, out, traces)
        if state is not None:
            write_state(state, run.state())
    except OSError as e:
        at = Span(str(out), 1, 1, 2)
        fail([Diagnostic("R801", f"cannot write: {e.strerror or e}", at, "name a folder that you may write to")])
    rows = [[key, rule, n, f"{n / sum(rules.values()):.1%}"] for key, rules in summary["rules"].items() for rule, n in rules.items()]
    click.echo(table(rows, ["records and role", "rule", "decided", "share"]))
    rejected = sum(summary["rejected"].values())
    click.echo(f"\n{summary['allocations']} allocations, {summary['moved']} change hands, {rejected} records rejected; see {out}")
    for c in summary["corrected"]:
        click.echo(f"corrected: {c['entity']}.{c['field']} `{c['written']}` to `{c['meant']}` in {c['records']} records")
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
