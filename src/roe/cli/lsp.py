"""`roe lsp`: the language server, on standard input and output."""

from __future__ import annotations

from importlib.util import find_spec

import click

from roe.cli.common import fail
from roe.diagnostics import Diagnostic
from roe.source import Span


@click.command("lsp")
def command() -> None:
    """Serve an editor: what is wrong as you type, completion, hover, definitions, rename, formatting, and above each rule how many
    records of the policy's own `data` folder it decides."""
    if find_spec("pygls") is None:
        fail([Diagnostic("R406", "the language server needs the package pygls", Span("roe lsp", 1, 1, 2), "pip install 'roe-policy[lsp]'")])
    from roe.lsp.server import make

    make().start_io()
