"""The command line: one file per command, imported when the command is used."""

from __future__ import annotations

import sys
from importlib import import_module

import click

COMMANDS = {
    "init": "init", "data": "data", "check": "check", "run": "run", "explain": "explain", "audit": "audit", "timeline": "timeline", "match": "match", "report": "report", "score": "score", "books": "books", "kpi": "kpi", "calc": "calc", "test": "test", "diff": "diff",
    "handbook": "handbook", "graph": "graph", "compile": "compile", "fmt": "fmt", "lsp": "lsp", "hook": "hook", "eval": "evaluate", "repl": "repl",
}  # fmt: skip


class Lazy(click.Group):
    """Commands in the order that a new user meets them, none imported before it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"roe.cli.{COMMANDS[name]}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        from roe.diagnostics import suggest

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command `{args[0]}`; {suggest(args[0], COMMANDS, 'roe --help lists them')}")
        return super().resolve_command(ctx, args)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="roe", prog_name="roe")
def main() -> None:
    """Sales rules of engagement as code: who owns which account or lead, and why.

    Exit codes: 0 fine, 1 findings or failed tests, 2 wrong usage or unreadable input.
    """


def entry() -> None:
    """The installed command: a broken pipe and an interrupt end it quietly."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        main()
    except BrokenPipeError:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
