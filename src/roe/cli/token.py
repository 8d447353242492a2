"""`roe token`: make a bearer token for the service."""

from __future__ import annotations

import os
from pathlib import Path

import click

from roe.cli.common import PATH, writing
from roe.diagnostics import user_error
from roe.serve.tokens import SCOPES, made, read_tokens


@click.command("token")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(SCOPES)),
    multiple=True,
    default=("route",),
    show_default=True,
    help="What the token allows; repeat for several.",
)
@click.option("--file", "path", type=PATH, default=Path("tokens.toml"), show_default=True, help="File to add the token's digest to.")
def command(name: str, scopes: tuple[str, ...], path: Path) -> None:
    """Make a bearer token called NAME, and print it once.

    Only its digest is kept, so a token that is lost has to be made again.
    """
    with writing(path):
        if name in read_tokens(path, {}).names():
            raise user_error(
                "R908", f"there is a token `{name}` already", "NAME", f"remove it from {path} first, or use another name", name
            )
        token, lines = made(name, scopes)
        before = path.read_text("utf-8") if path.exists() else ""
        draft = before + ("\n" if before else "") + lines
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(draft)
        read_tokens(path, {})
    click.echo(token)
