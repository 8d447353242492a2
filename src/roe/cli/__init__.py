"""The command line: one file per command, imported when the command is used."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Any

import click

from roe import __version__

CHAPTERS = {  # what `roe --help` shows: commands by what you want to do, with a line each; nothing is imported for it
    "Ask": {
        "explain": "Who owns a record, why, until when, and why not you.",
        "history": "Who owned a record when, by which rule, and why.",
        "timeline": "When a record's protection windows start and end.",
        "ui": "All of this as pages in your browser.",
    },
    "Write and check a policy": {
        "init": "Create a policy, from scratch or from an export of your CRM.",
        "data": "Show what an export contains, and what cannot be read.",
        "check": "Find mistakes: names, types, dead rules, gaps, conflicts.",
        "test": "Run the policy's tests.",
        "diff": "Compare two policies: which records change hands?",
        "fmt": "Format a policy's expressions in one standard spelling.",
        "handbook": "Write the policy as a rulebook for reps.",
        "graph": "Draw the rules as a flow chart.",
        "calc": "Calculate a figure, with every step and its source.",
    },
    "Decide": {
        "run": "Decide every record: owners, changes, reasons.",
        "audit": "Compare today's owners in the CRM with the policy.",
        "match": "Find the account for each lead.",
        "books": "Plan, apply and simulate dynamic books.",
        "undo": "Take back a run.",
        "ledger": "Look after the ledger: everything that runs decided.",
        "compile": "Write the rules as one SQL statement.",
    },
    "Measure": {
        "report": "Print the counts declared under `reports:`.",
        "kpi": "Print key figures by rep, team, territory or list.",
        "score": "Test scores on your history, and fit new ones.",
    },
    "Route live": {
        "serve": "Answer over HTTP who gets a record, in milliseconds.",
        "route": "Route one record without a server.",
        "sync": "Load an export into the service.",
        "pause": "Stop all webhooks and reassignments.",
        "token": "Make a token for a client of the service.",
    },
    "Tools": {
        "eval": "Evaluate an expression, and show the value of each part.",
        "repl": "Type expressions and see their values.",
        "lsp": "Run the language server for your editor.",
        "hook": "Format, check or test before each commit.",
    },
}
COMMANDS = [name for chapter in CHAPTERS.values() for name in chapter]
FILES = {"eval": "evaluate"}  # where a file is not called like its command


ELSEWHERE = {  # what people type for something that has another name
    "why": "roe explain RECORD", "why-not": "roe explain RECORD --why-not REP", "plan": "roe books plan", "apply": "roe books apply",
    "simulate": "roe books simulate", "backtest": "roe score backtest", "fit": "roe score fit", "server": "roe serve", "validate": "roe check",
    "lint": "roe check", "format": "roe fmt", "help": "roe --help", "import": "roe init DIR --from EXPORT",
}  # fmt: skip


COLLECTED = 250_000, 10, 10  # objects made until garbage is looked for: hardly any comes up while a command starts, or a small run lasts


class LazyCommands(click.Group):
    """Commands by what they are for, none imported before it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return COMMANDS

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in CHAPTERS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(8), line) for name, line in commands.items()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"roe.cli.{FILES.get(name, name)}").command
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command: what is wrong with its input ends it here, and all that it prints goes through `roe.cli.terminal`."""
        from roe.cli.terminal import SILENT, guarded
        from roe.diagnostics import PolicyError

        given = (kwargs.get("args") or (args[0] if args else None)) or sys.argv[1:]
        with guarded(not any(name in SILENT for name in given[:1])):
            try:
                return super().main(*args, **kwargs)
            except PolicyError as e:
                from roe.cli.common import fail

                fail(e.diagnostics)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        from roe.diagnostics import suggest

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = f"use `{ELSEWHERE[args[0]]}`" if args[0] in ELSEWHERE else suggest(args[0], COMMANDS, "roe --help lists them")
            raise click.UsageError(f"there is no command `{args[0]}`; {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(version=__version__, prog_name="roe")
def main() -> None:
    """Sales rules of engagement as code: who owns which account or lead, and why.

    Exit codes: 0 fine, 1 findings or failed tests, 2 wrong usage or unreadable input.
    """


def entry() -> None:
    """The installed command: a broken pipe and an interrupt end it quietly."""
    gc.set_threshold(*COLLECTED)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # Python would write what is left once more as it ends, and complain
            import os

            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        gc.freeze()  # memory goes with the process: Python need not look through all of it once more as it ends
