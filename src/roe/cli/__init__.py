"""The command line: one file per command, imported when the command is used."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from roe import __version__

COMMANDS = {
    "init": "init", "data": "data", "check": "check", "run": "run", "explain": "explain", "audit": "audit", "history": "history", "timeline": "timeline", "match": "match", "report": "report", "score": "score", "books": "books", "kpi": "kpi", "calc": "calc", "test": "test", "diff": "diff",
    "handbook": "handbook", "graph": "graph", "ui": "ui", "compile": "compile", "fmt": "fmt", "serve": "serve", "route": "route", "sync": "sync", "pause": "pause", "token": "token", "lsp": "lsp", "ledger": "ledger", "undo": "undo", "hook": "hook", "eval": "evaluate", "repl": "repl",
}  # fmt: skip


ELSEWHERE = {  # what people type for something that has another name
    "why": "roe explain RECORD", "why-not": "roe explain RECORD --why-not REP", "plan": "roe books plan", "apply": "roe books apply",
    "simulate": "roe books simulate", "backtest": "roe score backtest", "fit": "roe score fit", "server": "roe serve", "validate": "roe check",
    "lint": "roe check", "format": "roe fmt", "help": "roe --help", "import": "roe init DIR --from EXPORT",
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

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command, and let nothing reach the terminal but through `roe.cli.terminal`."""
        from roe.cli.terminal import SILENT, guarded

        given = (kwargs.get("args") or (args[0] if args else None)) or sys.argv[1:]
        with guarded(not any(name in SILENT for name in given[:1])):
            return super().main(*args, **kwargs)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        from roe.diagnostics import suggest

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = f"use `{ELSEWHERE[args[0]]}`" if args[0] in ELSEWHERE else suggest(args[0], COMMANDS, "roe --help lists them")
            raise click.UsageError(f"there is no command `{args[0]}`; {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(version=__version__, prog_name="roe")
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
