"""`roe repl`: expressions one after the other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from roe.api import parse_checked
from roe.cli.evaluate import scope_from, scope_options, show
from roe.grammar.closures import compile_expression


@click.command("repl")
@scope_options
def command(variables: str | None, data: Path | None, record: str | None, policy: Path | None, as_of: str) -> None:
    """Type expressions and see their values. `name := expression` stores one. End with an empty line or Ctrl-D."""
    scope = scope_from(variables, data, record, policy, as_of)
    stdin = sys.stdin
    interactive = stdin.isatty()
    while True:
        if interactive:
            try:
                line = input("roe> ")
            except (EOFError, KeyboardInterrupt):
                break
        else:
            line = stdin.readline()
            if not line:
                break
        line = line.strip()
        if not line:
            if interactive:
                break
            continue
        name, assigned, text = line.partition(":=")
        try:
            click.echo(show(text.strip() if assigned else line, scope))
        except SystemExit:
            continue
        if assigned and name.strip().isidentifier():
            tree, _ = parse_checked(text.strip())
            if tree is not None:
                scope[name.strip()] = compile_expression(tree)(scope)
