"""`roe repl`: expressions one after the other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from roe.cli.evaluate import scope_from, show


@click.command("repl")
@click.option("--vars", "variables", metavar="JSON", help="Variables, such as '{\"x\": 5}'.")
@click.option("--data", type=click.Path(path_type=Path), help="A folder of records, with --record.")
@click.option("--record", help="The record that expressions are about.")
@click.option("--policy", type=click.Path(path_type=Path), help="The policy whose fields the record has.")
@click.option("--as-of", "as_of", default="1970-01-01", metavar="WHEN", help="What `today` and `now` mean.")
def command(variables: str | None, data: Path | None, record: str | None, policy: Path | None, as_of: str) -> None:
    """Type expressions, see values; `name := expression` keeps one. An empty line or Ctrl-D ends it."""
    from roe.api import parse_checked
    from roe.evaluator.expressions import compile_expression

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
