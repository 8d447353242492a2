"""`roe undo`: give back what a run gave."""

from __future__ import annotations

from datetime import date, datetime

import click

from roe.cli.common import STATE, wait_option
from roe.cli.table import table
from roe.run.undo import undo

MOST = 20


@click.command("undo")
@click.argument("run")
@click.option("--state", envvar="ROE_STATE", required=True, help=STATE)
@click.option("--accept", "who", metavar="WHO AND WHY", required=True, help="Who undoes the run, and why. The ledger keeps it.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="Keep the former owners until this day. Default: 30 days after the last run."
)
@wait_option
def command(run: str, state: str, who: str, until: datetime | None, wait: float) -> None:
    """Undo RUN, named as in its run.json: owners, turns and events are again what they were before it.

    Records that were decided or moved since are left, and listed. The others stay with their former owners until the --until day, or until
    the policy changes. The next `roe run` writes what the CRM must load.
    """
    undone = undo(run, state, who, date(until.year, until.month, until.day) if until is not None else None, wait)
    rows = [[f"{entity} {record}", role, had or "nobody", back or "nobody"] for entity, record, role, back, had in undone.back]
    if rows:
        click.echo(table(rows[:MOST], ["record", "role", "had by", "back to"]))
    if len(rows) > MOST:
        click.echo(f"… and {len(rows) - MOST} more, in the ledger")
    click.echo(f"\nundone: {len(undone.back)} owners, {undone.turns} turns; held until {undone.until}, or until the policy changes")
    if undone.left:
        some = ", ".join(f"{entity} {record} ({role})" for entity, record, role in undone.left[:MOST])
        click.echo(f"left as they are, since they were decided or moved after the run: {len(undone.left)}: {some}")
