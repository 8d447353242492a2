"""`roe check`: load, types, names."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from roe.cli.common import color, find_policy, policy_argument
from roe.diagnostics import FORMATS, errors


@click.command("check")
@policy_argument
@click.option("--format", "shape", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="How findings are printed.")
@click.option("--hints", is_flag=True, help="Show hints too.")
def command(policy: Path | None, shape: str, hints: bool) -> None:
    """Check a policy: form, names and types, all findings at once."""
    from roe.cache import load_policy

    root = find_policy(policy)
    loaded, found = load_policy(root)
    if loaded is not None:
        from roe.analysis.overlap import overlapping_rows
        from roe.analysis.shadow import shadowed_rules

        found = found + shadowed_rules(loaded.plan) + overlapping_rows(loaded)
    if not hints:
        found = [d for d in found if d.severity != "hint"]
    bad = errors(found)
    if shape != "text":
        click.echo(FORMATS[shape](found, False))
    else:
        if found:
            click.echo(FORMATS["text"](found, color()), color=color())
        if loaded is not None:
            rules = sum(len(c.rules) for c in loaded.plan.engagement.values())
            steps = len(loaded.plan.steps)
            weaker = f", {len(found)} warnings" if found else ""
            click.echo(f"{loaded.name}: fine{weaker} ({len(loaded.files)} files, {steps} computed fields, {rules} engagement rules)")
        else:
            click.echo(f"{len(bad)} error{'s' if len(bad) != 1 else ''}")
    sys.exit(1 if bad else 0)
