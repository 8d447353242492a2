"""`roe data`: what an export has, what fits which field, and what does not."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.analysis.records import overview
from roe.cli.common import PATH, fail, format_option, heed, large, load, put
from roe.cli.settings import policy_folder
from roe.cli.table import table
from roe.crm import PROFILES
from roe.data.headers import columns_of
from roe.data.read import files_of, read_file, read_tables
from roe.data.report import in_lines, read_report, report_of
from roe.evaluator.engine import Evaluator
from roe.evaluator.world import World
from roe.stages.build import build
from roe.words import some

if TYPE_CHECKING:
    from roe.analysis.records import Overview


@click.command("data")
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("policy", required=False, type=PATH)
@click.option("--last", type=PATH, help="The --out or --state folder of the last run, to show what has changed since.")
@format_option("text", "json", "html")
@click.option("--out", type=PATH, help="File to write. Default: standard output.")
def command(folder: Path, policy: Path | None, last: Path | None, shape: str, out: Path | None) -> None:
    """Show what an export in DIR contains: rows, columns, fields, and everything that cannot be read.

    Uses POLICY, or the nearest policy in or above the current folder. Without a policy, it picks the CRM whose columns fit best.
    Exits with 1 if the data is not what the policy expects.
    """
    evaluator = _evaluator(folder, policy)
    world = _world(evaluator, folder)
    seen = overview(evaluator.policy, world, report_of(world.readings), read_report(last))
    if shape == "json":
        text = json.dumps(seen.as_json(), indent=2, ensure_ascii=False) + "\n"
    elif shape == "html":
        from roe.web.records import records_page

        text = records_page(f"The data in {folder.resolve().name}", seen)
    else:
        text = "\n".join(_lines(seen)) + "\n"
    put(text, out)
    sys.exit(1 if seen.broken else 0)


def _evaluator(folder: Path, policy: Path | None) -> Evaluator:
    if policy is not None or policy_folder(None) is not None:
        return load(policy)

    most, best = -1, None
    headers: dict[Path, tuple[str, ...]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for profile in PROFILES:
            Path(scratch, "policy.yaml").write_text(f"roe: 1\nname: data\nprofile: {profile}\n", "utf-8")
            made, of_build = build(Path(scratch))
            if made is None:
                fail(of_build)
            paths, problems = files_of(made, folder)
            heed(problems)
            for path in paths.values():
                if path not in headers:
                    headers[path] = read_file(path)[0].origin.header
            known = sum(len(columns_of(e, made.model.entities[e], headers[path], made.roles)) for e, path in paths.items())
            if known > most:
                most, best = known, Evaluator(made)
    assert best is not None
    return best


def _world(evaluator: Evaluator, folder: Path) -> World:
    """The records, without anything decided: in columns where there are many."""
    from importlib.util import find_spec

    clock = evaluator.clock("1970-01-01")
    if folder.exists() and large(folder) and find_spec("pyarrow") and find_spec("numpy"):
        from roe.columns.read import read_columns
        from roe.columns.world import ColumnWorld

        raws, problems = read_columns(evaluator.policy, folder)
        heed(problems)
        return ColumnWorld(evaluator.compiled, raws, clock)

    rows, problems = read_tables(evaluator.policy, folder)
    heed(problems)
    return World(evaluator.compiled, rows, clock)


def _lines(seen: Overview) -> Iterator[str]:
    for entity, read in seen.report.items():
        yield from in_lines({entity: read}, {})
        rows = []
        for name, f in read["fields"].items():
            share = f"{f['filled'] / read['rows']:.0%}" if read["rows"] else ""
            values = some(f["values"], 6)
            newest = seen.newest.get((entity, name), "")
            rows.append([name, f["column"], f["filled"], share, f["unread"] or "", f["corrected"] or "", values or newest])
        yield table(rows, ["field", "column", "filled", "", "missing", "corrected", "values, or the newest"])
        yield ""
    for entity, names in seen.empty.items():
        yield f"rules need, and the data leaves empty: {entity} {', '.join(names)}"
    for (entity, name), strange in seen.strange.items():
        yield f"no rule names: {entity}.{name} {', '.join(f'`{v}`' for v in strange[:12])}"
    for line in seen.changes:
        yield f"since the last run: {line}"
    for line in seen.broken:
        yield f"not as expected: {line}"
