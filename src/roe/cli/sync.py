"""`roe sync`: bring the service's mirror to what an export has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roe.cli.common import fail, find_policy, heed, needs_service, policy_argument, service_state
from roe.diagnostics import Diagnostic, PolicyError
from roe.source import Span
from roe.words import counted

MOST_SHOWN = 20


@click.command("sync")
@click.argument("data", metavar="DIR", type=click.Path(path_type=Path))
@policy_argument
@service_state
@click.option(
    "--complete", multiple=True, metavar="ENTITY", help="Entity of which the export has all records: the others are deleted. Repeatable."
)
def command(data: Path, policy: Path | None, state: str, complete: tuple[str, ...]) -> None:
    """Load the export in DIR into the service.

    Servers that run see the records at once. Owners that were changed in the CRM become entries. A record that cannot be read is reported.
    """
    needs_service()
    from roe.progress import phase
    from roe.serve.local import Local
    from roe.serve.policies import load

    try:
        ready = load(find_policy(policy))
        known = ready.evaluator.policy.model.entities
        for entity in complete:
            if entity not in known:
                fail([Diagnostic("R504", f"there is no entity `{entity}`", Span("--complete", 1, 1, 2), f"there are {', '.join(known)}")])
        with Local(state, ready) as local:
            tables = tables_of(ready.evaluator.policy, data)
            phase("writing the mirror")
            taken, problems = local.sync(tables, complete)
    except PolicyError as e:
        fail(e.diagnostics)
    for problem in problems[:MOST_SHOWN]:
        click.echo(f"warning: {problem['detail']}" + (f" (record {problem['record']})" if problem.get("record") else ""), err=True)
    if len(problems) > MOST_SHOWN:
        click.echo(f"… and {len(problems) - MOST_SHOWN} more records that cannot be read", err=True)
    click.echo("now in the mirror: " + ", ".join(counted(n, entity) for entity, n in taken.items()))


def tables_of(policy: Any, data: Path) -> dict[str, Any]:
    """The raw records of an export; a file that cannot be read ends the command."""
    from roe.data.read import read_tables

    tables, found = read_tables(policy, data)
    heed(found)
    return dict(tables)
