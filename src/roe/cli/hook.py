"""`roe hook`: what pre-commit calls with the names of changed files."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("hook")
@click.argument("what", type=click.Choice(["fmt", "check", "test"]))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def command(what: str, files: tuple[Path, ...]) -> None:
    """For pre-commit: format, check or test each policy that one of FILES belongs to. Other files are skipped."""
    from roe.cli import main

    worst = 0
    for root in sorted({root for file in files if (root := _root(file)) is not None}):
        try:
            code = main.main([what, str(root)], standalone_mode=False)
        except SystemExit as e:
            code = e.code
        worst = max(worst, int(code or 0))
    sys.exit(worst)


def _root(file: Path) -> Path | None:
    """The folder of the nearest policy.yaml above a file, as it was named."""
    return next((folder for folder in file.parents if (folder / "policy.yaml").is_file()), None)
