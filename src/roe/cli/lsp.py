"""`roe lsp`: the language server, on standard input and output."""

from __future__ import annotations

from importlib.util import find_spec

import click

from roe.diagnostics import user_error


@click.command("lsp")
def command() -> None:
    """Run the language server for your editor: findings as you type, completion, hover, definitions, rename and formatting. Above each
    rule it shows how many records in the policy's `data` folder the rule decides."""
    if find_spec("pygls") is None:
        raise user_error("R406", "the language server needs the package pygls", "roe lsp", "pip install 'roe-policy[lsp]'")
    from roe.lsp.server import make

    make().start_io()
