"""What commands share: finding and loading the policy, reading data, printing findings, a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from roe.diagnostics import Diagnostic, PolicyError, as_text, errors, suggest
from roe.source import Span

T = TypeVar("T")
COLUMNS_FROM = 2 << 20  # bytes of data: below, starting NumPy and Arrow takes longer than the rows

policy_argument = click.argument("policy", required=False, type=click.Path(path_type=Path))
data_option = click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="The folder with the records: accounts.csv, leads.csv, reps.csv, …"
)
as_of_option = click.option(
    "--as-of", "as_of", required=True, metavar="WHEN", help="The date or date-time that `today` and `now` mean, such as 2026-02-01."
)
state_option = click.option("--state", type=click.Path(path_type=Path), help="The folder of pointers and owners kept between runs.")


def color(stream: Any = None) -> bool:
    import os

    return bool((stream or sys.stdout).isatty()) and "NO_COLOR" not in os.environ


def fail(found: Iterable[Diagnostic], code: int = 2) -> NoReturn:
    """Findings to standard error, and the end."""
    click.echo(as_text(list(found), color(sys.stderr)), err=True, color=color(sys.stderr))
    sys.exit(code)


def unwritable(out: Path, e: OSError) -> NoReturn:
    fail([Diagnostic("R801", f"cannot write: {e.strerror or e}", Span(str(out), 1, 1, 2), "name a place that you may write to")])


def put(text: str, out: Path | None) -> None:
    """A text to a file, or to standard output."""
    from roe.data.files import write_whole

    if out is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(out, text)
    except OSError as e:
        unwritable(out, e)
    click.echo(f"wrote {out}")


def named(policy: Any, known: Mapping[str, Any], only: Iterable[str], what: str, key: str) -> None:
    """End the command where the policy has none of something, or not one that is asked for by name."""
    here = Span(str(policy.root), 1, 1, 1)
    unknown = [name for name in only if name not in known]
    if unknown or not known:
        help = suggest(unknown[0], known, f"there are {', '.join(known)}") if unknown and known else f"add `{key}:` to the policy"
        fail([Diagnostic("R501", f"there is no {what} `{unknown[0]}`" if unknown else f"the policy has no {key}", here, help)])


def find_policy(given: Path | None) -> Path:
    """The folder that is given, or the nearest one at or above the current folder with a policy.yaml."""
    if given is not None:
        root = given.parent if given.name == "policy.yaml" else given
        if (root / "policy.yaml").is_file():
            return root
        fail(
            [
                Diagnostic(
                    "R307",
                    f"there is no policy.yaml in `{given}`",
                    Span(str(given), 1, 1, 2),
                    "name the folder of a policy, or make one: roe init DIR",
                )
            ]
        )
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "policy.yaml").is_file():
            return folder
    fail(
        [
            Diagnostic(
                "R307",
                "no policy.yaml here or in a folder above",
                Span(str(here), 1, 1, 2),
                "name the folder of a policy, or make one: roe init DIR",
            )
        ]
    )


def load(given: Path | None) -> Any:
    """The evaluator of the policy; its errors end the command with code 2, its warnings are for `roe check`."""
    from roe.cache import load_policy
    from roe.evaluator.engine import Evaluator

    policy, found = load_policy(find_policy(given))
    if policy is None:
        fail(errors(found))
    return Evaluator(policy)


def read(evaluator: Any, data: Path) -> Any:
    """The tables of a data folder; a file that cannot be read ends the command, a bad row is reported and goes on."""
    from roe.data.read import read_tables

    tables, found = read_tables(evaluator.policy, data)
    if errors(found):
        fail(found)
    if found:
        click.echo(as_text(found, color(sys.stderr)), err=True)
    return tables


def clock(evaluator: Any, as_of: str) -> str:
    """The as-of text, checked."""
    try:
        evaluator.clock(as_of)
    except (ValueError, OverflowError):
        at = Span("--as-of", 1, 1, max(2, len(as_of) + 1), as_of)
        fail([Diagnostic("R801", f"`{as_of}` is no date or date-time", at, "write 2026-02-01 or 2026-02-01T09:30")])
    return as_of


def bind(evaluator: Any, data: Path, as_of: str, state: Path | None) -> Any:
    from roe.data.write import read_state

    try:
        return well_named(evaluator.bind(read(evaluator, data), as_of=clock(evaluator, as_of), state=read_state(state)))
    except PolicyError as e:
        fail(e.diagnostics)


def well_named(bound: Any) -> Any:
    """The same, if every rep whom the policy names is one rep of the data; else that ends the command."""
    from roe.evaluator.reps import misnamed

    problems = misnamed(bound.world)
    if problems:
        fail(problems)
    return bound


def large(data: Path) -> bool:
    """Whether columns are worth their start; smaller data is faster row by row."""
    size = sum(p.stat().st_size for p in data.iterdir() if p.is_file()) if data.is_dir() else COLUMNS_FROM
    return size >= COLUMNS_FROM


def bind_large(evaluator: Any, data: Path, as_of: str, state: Path | None) -> Any:
    """`bind`, in columns where the data is large and their packages are there."""
    from importlib.util import find_spec

    if not data.exists() or not large(data) or find_spec("pyarrow") is None or find_spec("numpy") is None:
        return bind(evaluator, data, as_of, state)
    from roe.columns.read import read_columns
    from roe.columns.world import ColumnWorld
    from roe.data.write import read_state
    from roe.evaluator.engine import Bound

    tables, found = read_columns(evaluator.policy, data)
    if errors(found):
        fail(found)
    if found:
        click.echo(as_text(found, color(sys.stderr)), err=True)
    try:
        return well_named(
            Bound(evaluator, ColumnWorld(evaluator.compiled, tables, evaluator.clock(clock(evaluator, as_of))), read_state(state))
        )
    except PolicyError as e:
        fail(e.diagnostics)


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The items; from the first second on with a bar and a rate, on a terminal only."""
    if not sys.stderr.isatty() or total < 1000:
        yield from items
        return
    start = shown = time.monotonic()
    for number, item in enumerate(items, 1):
        now = time.monotonic()
        if now - start > 1 and now - shown > 0.1:
            shown = now
            done = min(1.0, number / total)
            bar = "#" * int(done * 30)
            click.echo(f"\r{what} [{bar:<30}] {done:4.0%} {number / (now - start):,.0f}/s ", err=True, nl=False)
        yield item
    if shown > start:
        click.echo("\r" + " " * 78 + "\r", err=True, nl=False)


def table(rows: Iterable[Iterable[Any]], headers: list[str]) -> str:
    from tabulate import tabulate

    return str(tabulate([list(r) for r in rows], headers=headers, disable_numparse=True))


def revision(text: str, scratch: Path) -> Path:
    """A folder, or one of a git revision, laid out in a scratch folder."""
    import io
    import subprocess
    import tarfile

    here = Path(text)
    if here.is_dir() or ":" not in text:
        return here
    named, _, folder = text.partition(":")
    at = Span(text, 1, 1, 2)
    if not named or named.startswith("-"):
        fail([Diagnostic("R801", f"`{named}` is no revision", at, "write HEAD~1:policies/rules")])
    try:
        done = subprocess.run(["git", "archive", "--format=tar", f"{named}:{folder.strip('/')}" if folder else named], capture_output=True)
    except OSError as e:
        fail([Diagnostic("R801", f"git cannot be run: {e.strerror}", at, "name two folders")])
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        fail(
            [
                Diagnostic(
                    "R801", f"git finds no `{text}`: {said[0] if said else ''}", at, "write REVISION:FOLDER, from the top of the repository"
                )
            ]
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(scratch, filter="data")
    return scratch
