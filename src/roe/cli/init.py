"""`roe init`: a policy repository that passes its own tests, from scratch or from a CRM export."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from roe.cli.common import PATH, fail, writing
from roe.diagnostics import user_error
from roe.files import schema


@click.command("init")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--from", "export", metavar="EXPORT", type=PATH, help="Folder or file with a CRM export to draft the policy from.")
@click.option("--copy-data", is_flag=True, help="Copy the export into DIR/data, which git ignores. Otherwise it stays where it is.")
def command(folder: Path, export: Path | None, copy_data: bool) -> None:
    """Create a policy repository in DIR: policy, tables, tests, CI workflow, editor settings.

    With --from, roe drafts the policy from a CRM export. The draft has no findings, passes its own tests and reads every valid row.
    It keeps today's owners, and places the records that nobody owns.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise user_error("R802", f"`{folder}` is not empty", folder, "name a new folder")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _copy(resources.files("roe.cli").joinpath("template"), folder, bare=export is not None)
        (folder / ".roe").mkdir()
        for name in ("policy", "tests"):
            text = json.dumps(schema(name), indent=2) + "\n"
            (folder / ".roe" / f"{name}.schema.json").write_text(text, "utf-8", newline="\n")
        if export is not None:
            from roe.cli.draft import draft

            report, problems = draft(export, folder, copy_data)
            if report is None or problems:
                _clear(folder)  # or the next try would find a folder that is not empty
                fail(problems)
            for line in report.lines():
                click.echo(line)
            return
    click.echo(f"made {folder}: policy.yaml, tables, tests, data, a CI workflow and editor settings")
    click.echo(f"next: roe test {folder}")


def _clear(folder: Path) -> None:
    """Remove what a draft that failed wrote into the folder, which was empty before."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _copy(source: Traversable, target: Path, bare: bool) -> None:
    """The template's files; of a policy drafted from an export only what is not about its example."""
    for item in source.iterdir():
        if item.is_dir():
            if bare and item.name in ("tables", "data", "tests"):
                continue
            (target / item.name).mkdir(exist_ok=True)
            _copy(item, target / item.name, bare)
        elif item.name != "__init__.py" and not (bare and item.name == "policy.yaml"):
            content = item.read_bytes().replace(b"\r\n", b"\n")
            (target / item.name).write_bytes(content + b"data/\n" if bare and item.name == ".gitignore" else content)
