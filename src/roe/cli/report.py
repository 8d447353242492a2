"""`roe report`: the reports of a policy, over the records of a run."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from roe.analysis.report import run_reports
from roe.cli.common import as_of_option, bind, data_option, format_option, load, named, policy_argument, put_json, state_option
from roe.cli.table import table
from roe.cli.terminal import document
from roe.dynamic import Value
from roe.grammar import values as v
from roe.words import counted, some, verb


@click.command("report")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--only", multiple=True, help="Only the report with this name; repeat for several. Default: all reports.")
@format_option("text", "json", "csv")
def command(policy: Path | None, data: Path, as_of: str, state: str | None, only: tuple[str, ...], shape: str) -> None:
    """Print the counts declared under `reports:`, such as coverage, engagement, or what is missing from a list."""
    evaluator = load(policy)
    known = evaluator.policy.plan.reports
    named(evaluator.policy, known, only, "report", "reports")
    results = run_reports(bind(evaluator, data, as_of, state), {n: r for n, r in known.items() if not only or n in only})
    if shape == "json":
        put_json([r.as_json() for r in results])
        return
    if shape == "csv":
        from roe.data.files import csv_text

        for result in results:
            document(csv_text(["report", *result.header()], ([result.report.name, *row] for row in result.rows())))
        return
    for result in results:
        click.echo(f"{result.report.name}\n")
        rows = [[str(row[1]), *_shares(row, result)] for row in result.rows()]
        columns = zip(result.header()[1:], *rows, strict=True)  # groups side by side: there are few, and measures have long names
        click.echo(table(columns, ["", *(row[0] for row in result.rows())]))
        if result.listed:
            shown = some(result.missing, 10)
            unknown = len(result.missing)
            said = f"{counted(result.listed, 'row')} {verb(result.listed, 'is', 'are')} on the list"
            said += (
                f"; {unknown} {verb(unknown, 'matches', 'match')} no record in the data: {shown}"
                if unknown
                else ", each for a record in the data"
            )
            click.echo("\n" + textwrap.fill(said, 80))
        click.echo("")


def _shares(row: list[Value], result: Value) -> list[str]:
    """Counts with their share of the group's records; sums as they are."""
    shares = []
    for name, value in zip(result.report.measures, row[2:], strict=True):
        share = f" ({100 * value / row[1]:.0f}%)" if result.counted[name] and row[1] else ""
        shares.append(f"{v.show_number(value)}{share}")
    return shares
