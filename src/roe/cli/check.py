"""`roe check`: load, types, names; then what the rules can and cannot do."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.analysis.checked import CheckedPolicy
from roe.cache import load_policy
from roe.cli.common import clock, color, find_policy, guard, policy_argument, read
from roe.cli.repository import in_repository
from roe.cli.settings import as_of_setting, data_setting, is_data_a_setting
from roe.cli.terminal import commands
from roe.data.read import newest, read_tables
from roe.diagnostics import FORMATS, errors
from roe.evaluator.engine import Evaluator
from roe.words import counted

if TYPE_CHECKING:
    from roe.policy.model import Policy


@click.command("check")
@policy_argument
@click.option(
    "--format", "shape", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="Output format of the findings."
)
@click.option("--hints", is_flag=True, help="Also show hints.")
@data_setting(
    "Folder with records: roe checks reps, pools and fields against it, and counts the records of each finding. Default: the policy's folder `data`, if it has one.",
    without="no_data",
)
@click.option("--no-data", is_flag=True, help="Skip the checks that read records.")
@as_of_setting("The date to use as `today`. Default: the date of the newest record.", default="")
@click.option("--strict", is_flag=True, help="Also exit with 1 for warnings.")
def command(policy: Path | None, shape: str, hints: bool, data: Path | None, no_data: bool, as_of: str, strict: bool) -> None:
    """Check a policy for mistakes: syntax, names, types, rules that cannot fire, and gaps. Shows all findings at once."""
    root = find_policy(policy)
    loaded, problems = load_policy(root)
    if loaded is not None:
        from roe.analysis.check import findings

        problems = problems + findings(subject(loaded, data, no_data, as_of))
    if not hints:
        problems = [d for d in problems if d.severity != "hint"]
    bad = errors(problems)
    if shape != "text":
        placed = in_repository(problems, root) if shape in ("github", "sarif", "junit") else problems
        text = FORMATS[shape](placed, False)
        (commands if shape == "github" and text else click.echo)(text or "no findings")
    else:
        if problems:
            click.echo(FORMATS["text"](problems, color()), color=color())
        if loaded is not None and not bad:
            rules = sum(len(c.rules) for c in loaded.plan.engagement.values())
            steps = len(loaded.plan.steps)
            weaker = f", {counted(len(problems), 'warning')}" if problems else ""
            click.echo(
                f"{loaded.name}: fine{weaker} ({counted(len(loaded.files), 'file')}, {counted(steps, 'computed field')}, {counted(rules, 'engagement rule')})"
            )
        else:
            click.echo(counted(len(bad), "error"))
    sys.exit(1 if bad or (strict and problems) else 0)


def subject(policy: Policy, data: Path | None, no_data: bool, as_of: str) -> CheckedPolicy:
    """The policy for analysis, with the records of its own data folder unless others are given, or none."""
    evaluator = Evaluator(policy)
    today = evaluator.clock(clock(evaluator, as_of)).today if as_of else None
    own = policy.root / "data"
    if data is not None and not data.exists() and is_data_a_setting():  # as on a machine of CI, which has no export
        click.echo(f"note: the settings name {data}, but it has no records", err=True)
        data = None
    if no_data or (data is None and not own.is_dir()):
        return CheckedPolicy(evaluator, None, today, today or evaluator.clock(datetime.now(UTC)).today)
    if data is not None:
        tables = read(evaluator, data)
    else:
        tables, problems = read_tables(policy, own)
        if errors(problems):  # nobody asked for it
            click.echo(f"note: skipped the records in {own}: {errors(problems)[0].message}", err=True)
            return CheckedPolicy(evaluator, None, today)
    bound = evaluator.bind(tables, as_of=as_of or newest(evaluator, tables))
    guard(policy, bound.world, None, say=data is not None)
    return CheckedPolicy(evaluator, bound, bound.world.clock.today)
