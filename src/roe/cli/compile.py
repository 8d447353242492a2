"""`roe compile`: the stateless part of a policy as SQL for a warehouse."""

from __future__ import annotations

import re
from pathlib import Path

import click

from roe.cli.common import PATH, clock, color, load, policy_argument, put
from roe.diagnostics import as_text, user_error
from roe.sql.dialects import DIALECTS

_SOURCE = re.compile(r"(\w+)=[\w$-]+(\.[\w$-]+){0,3}")


@click.command("compile")
@policy_argument
@click.option("--dialect", type=click.Choice(list(DIALECTS)), required=True, help="SQL dialect of your warehouse.")
@click.option("--entity", default="account", show_default=True, help="Entity to assign owners to.")
@click.option("--as-of", "as_of", metavar="WHEN", help="The date to use as `today`. Default: the day on which the SQL runs.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="ENTITY=TABLE",
    help="Staged table for an entity, such as account=analytics.accounts; repeat for several.",
)
@click.option("--out", type=PATH, help="File to write. Default: standard output.")
def command(policy: Path | None, dialect: str, entity: str, as_of: str | None, sources: tuple[str, ...], out: Path | None) -> None:
    """Write one SQL statement that assigns the owners of every record of an entity, ready for a dbt model.

    Rules that SQL cannot express are listed as warnings. The result marks the records that only those rules can decide.
    """
    evaluator = load(policy)
    try:
        from roe.sql.statement import compile_sql
    except ImportError:
        raise user_error("R406", "writing SQL needs the package sqlglot", "--dialect", "pip install 'roe-policy[sql]'") from None
    entities = {entity for entity, _ in evaluator.policy.plan.engagement}
    if entity not in entities:
        help = f"it has rules for {', '.join(sorted(entities))}"
        raise user_error("R801", f"the policy has no rules for `{entity}`", "--entity", help, entity)
    known = evaluator.policy.model.entities
    wrong = [s for s in sources if not (m := _SOURCE.fullmatch(s)) or m[1] not in known]
    if wrong:
        help = "write ENTITY=TABLE, such as account=analytics.accounts"
        raise user_error("R801", f"`{wrong[0]}` does not name the table of an entity", "--source", help, wrong[0])
    when = evaluator.clock(clock(evaluator, as_of)) if as_of else None
    from sqlglot.errors import SqlglotError

    try:
        made = compile_sql(evaluator.compiled, entity, dialect, when, dict(s.split("=", 1) for s in sources))
    except SqlglotError as e:
        said, help = str(e).splitlines()[0][:200], "name tables as database.schema.table, or choose another dialect"
        raise user_error("R801", f"the statement cannot be written: {said}", "--source", help, " ".join(sources)) from e
    if made.diagnostics:
        click.echo(as_text(made.diagnostics, color()), err=True)
    put(made.sql, out, said=False)
    if out is not None:
        click.echo(f"{made.translated} of {made.rules} rules; see {out}", err=True)
