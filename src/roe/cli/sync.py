"""`roe sync`: bring the service's mirror to what an export has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import PATH, find_policy, heed, needs_service, policy_argument, service_state
from roe.diagnostics import user_error
from roe.dynamic import Json
from roe.words import counted

if TYPE_CHECKING:
    from roe.policy.model import Policy
    from roe.serve.sync import Synced

MOST_SHOWN = 20


@click.command("sync")
@click.argument("data", metavar="DIR", type=PATH)
@policy_argument
@service_state
@click.option(
    "--complete",
    multiple=True,
    metavar="ENTITY",
    help="Entity whose records are all in the export: roe deletes the others. Repeat for several.",
)
def command(data: Path, policy: Path | None, state: str, complete: tuple[str, ...]) -> None:
    """Load the export in DIR into the service.

    Servers that run see the records at once. Owners that were changed in the CRM become entries. A record that cannot be read is reported.
    """
    needs_service()
    from roe.progress import phase
    from roe.serve.local import Local
    from roe.serve.policies import load
    from roe.serve.sync import sync

    ready = load(find_policy(policy))
    known = ready.evaluator.policy.model.entities
    for entity in complete:
        if entity not in known:
            raise user_error("R504", f"there is no entity `{entity}`", "--complete", f"there are {', '.join(known)}")
    with Local(state, ready) as local:
        tables = tables_of(ready.evaluator.policy, data)
        phase("writing the mirror")
        done = sync(local, tables, complete)
    for note in done.notes:
        click.echo(note, err=True)
    for problem in done.problems[:MOST_SHOWN]:
        click.echo(f"warning: {problem['detail']}" + (f" (record {problem['record']})" if problem.get("record") else ""), err=True)
    if len(done.problems) > MOST_SHOWN:
        click.echo(f"… and {len(done.problems) - MOST_SHOWN} more records that cannot be read", err=True)
    click.echo("in the export: " + ", ".join(_said(done, entity) for entity in dict.fromkeys((*done.read, *done.deleted))))


def _said(done: Synced, entity: str) -> str:
    """How many records of an entity were read, and what became of the mirror's."""
    more = [f"{n} {what}" for n, what in ((done.changed.get(entity, 0), "new or changed"), (done.deleted.get(entity, 0), "deleted")) if n]
    return counted(done.read.get(entity, 0), entity) + f" ({', '.join(more) or 'no changes'})"


def tables_of(policy: Policy, data: Path) -> Json:
    """The raw records of an export; a file that cannot be read ends the command."""
    from roe.data.read import read_tables

    tables, problems = read_tables(policy, data)
    heed(problems)
    return dict(tables)
