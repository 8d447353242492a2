"""`roe fmt`: canonical spelling of policy files."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from roe.cli.common import color, fail, find_policy, policy_argument
from roe.files import MAX_POLICY_BYTES, read_text
from roe.policy.format import format_expression, format_policy
from roe.policy.loader import load_policy_files
from roe.untrusted import style


@click.command("fmt")
@policy_argument
@click.option("--check", "only_check", is_flag=True, help="Change nothing. Exit with 1 if a file would change.")
@click.option("--diff", "show_diff", is_flag=True, help="Change nothing. Show what would change.")
@click.option("-e", "--expression", help="Format and print this one expression only.")
def command(policy: Path | None, only_check: bool, show_diff: bool, expression: str | None) -> None:
    """Format a policy's expressions in one standard spelling. Comments and layout stay as they are."""
    if expression is not None:
        from roe.api import parse_checked

        tree, problems = parse_checked(expression)
        if tree is None:
            fail(problems)
        click.echo(format_expression(expression))
        return
    root = find_policy(policy)
    files, problems = load_policy_files(root)
    if problems:
        fail(problems)
    changed = 0
    for name, _ in files:
        path = root / name
        source, problems = read_text(path, name, MAX_POLICY_BYTES)
        if source is None:
            fail(problems)
        new = format_policy(source, name)
        if new == source:
            continue
        changed += 1
        if show_diff:
            lines = difflib.unified_diff(source.splitlines(True), new.splitlines(True), name, name)
            click.echo("".join(_tinted(line) for line in lines), nl=False)
        elif only_check:
            click.echo(f"would change {name}")
        else:
            path.write_text(new, "utf-8", newline="\n")
            click.echo(f"changed {name}")
    if not changed:
        click.echo(f"{len(files)} files are in canonical spelling")
    sys.exit(1 if changed and (only_check or show_diff) else 0)


def _tinted(line: str) -> str:
    tint = {"+": style(32), "-": style(31)}.get(line[:1]) if color() else None
    return f"{tint}{line}{style(0)}" if tint else line
