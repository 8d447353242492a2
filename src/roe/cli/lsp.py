"""`roe lsp`: the language server, on standard input and output."""

from __future__ import annotations

import click

from roe.cli.common import needs


@click.command("lsp")
def command() -> None:
    """Run the language server for your editor: findings as you type, completion, hover, definitions, rename and formatting. Above each
    rule it shows how many records in the policy's `data` folder the rule decides."""
    needs("the language server needs", "roe lsp", "lsp", "pygls")
    from roe.lsp.server import make

    make().start_io()
