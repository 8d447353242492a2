"""Digests of all files that runs of the examples write, on each engine: proof that a rebuild changes no decision.

    python tools/digests.py > before.txt                     # one line a file: digest, engine/example/night/file
    python tools/digests.py --against before.txt             # what has changed since; code 1 if anything has
    python tools/digests.py --engine spark static crm        # another engine, or some examples only
    python tools/digests.py --engine answers                 # what the other commands say: check, test, explain, why not, timeline, SQL

Each example runs twice on each engine, with traces and a memory, so that the second run reads what the first one left. What a run
prints counts as a file too. `run.json` is left out: it says by which version and at which commit the run was made.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers import AS_OF, EXAMPLES, example  # noqa: E402
from roe.cli import main as roe  # noqa: E402

ANSWERS = "answers"
VARIANTS = {
    "rows": ("--engine", "rows", "--trace"),
    "columns": ("--engine", "columns", "--trace"),
    "parquet": ("--engine", "columns", "--format", "parquet"),
    "spark": ("--engine", "spark"),
}
BESIDE = ("run.json", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")  # what says when and by which version


def digests(variants: list[str], names: list[str]) -> Iterator[tuple[str, str]]:
    """(`variant/example/night/file`, its digest), in a stable order."""
    for variant in variants:
        for name in names:
            if variant == ANSWERS:
                yield from _answers(name)
                continue
            with tempfile.TemporaryDirectory() as folder:
                for night in (1,) if variant == "spark" else (1, 2):
                    yield from _night(variant, name, night, Path(folder))


def _night(variant: str, name: str, night: int, folder: Path) -> Iterator[tuple[str, str]]:
    """One run: what it printed, each file it wrote, and its memory."""
    place, state = folder / f"night{night}", folder / "state"
    command = ["run", str(EXAMPLES / name), "--data", str(EXAMPLES / name / "data"), "--as-of", AS_OF[name], "--out", str(place)]
    command += [*VARIANTS[variant], *(() if variant == "spark" else ("--state", str(state)))]
    said = _said(*command).replace(str(folder), "FOLDER")
    yield f"{variant}/{name}/{night}/printed", _sha(said.encode())
    for path in sorted(p for p in (*place.rglob("*"), *state.rglob("*")) if p.is_file()):
        if path.name not in BESIDE or path.parent.name == "trace":
            yield f"{variant}/{name}/{night}/{path.relative_to(folder)}", _sha(path.read_bytes().replace(str(folder).encode(), b"FOLDER"))


def _answers(name: str) -> Iterator[tuple[str, str]]:
    """What the other commands say about an example and its first records, and its statements for two warehouses."""
    folder = EXAMPLES / name
    data = ("--data", str(folder / "data"), "--as-of", AS_OF[name])
    asked: dict[str, tuple[str, ...]] = {
        "check": ("check", str(folder), *data), "test": ("test", str(folder), "--coverage"), "handbook": ("handbook", str(folder), *data),
    }  # fmt: skip
    for entity in dict.fromkeys(entity for entity, _ in example(name).policy.plan.engagement):
        for dialect in ("duckdb", "snowflake"):
            asked[f"{entity}.{dialect}"] = ("compile", str(folder), "--entity", entity, "--dialect", dialect, "--as-of", AS_OF[name])
    for record in (*_ids(folder, "accounts", 4), *_ids(folder, "leads", 3)):
        asked[f"explain-{record}"] = ("explain", record, str(folder), *data, "--format", "json")
        asked[f"timeline-{record}"] = ("timeline", record, str(folder), *data)
        for rep in _ids(folder, "reps", 2)[1:]:
            asked[f"why-not-{record}"] = ("explain", record, str(folder), *data, "--why-not", rep)
    for what, command in asked.items():
        yield f"{ANSWERS}/{name}/{what}", _sha(_said(*command).encode())


def _ids(folder: Path, table: str, most: int) -> list[str]:
    """The first ids in a table of an example; none where there is no such file."""
    file = folder / "data" / f"{table}.csv"
    return [line.split(",")[0] for line in file.read_text("utf-8").splitlines()[1 : most + 1]] if file.is_file() else []


def _said(*command: str) -> str:
    """What a command prints, with its exit code."""
    result = CliRunner().invoke(roe, list(command))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return f"{result.exit_code}\n{result.output}"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("examples", nargs="*", help="Some examples only; all by default.")
    options.add_argument(
        "--engine", action="append", choices=[*VARIANTS, ANSWERS], help="Some engines only; rows, columns and Parquet by default."
    )
    options.add_argument("--against", type=Path, help="File of an earlier call to compare with.")
    given = options.parse_args()
    now = dict(digests(given.engine or ["rows", "columns", "parquet"], given.examples or sorted(AS_OF)))
    if given.against is None:
        print("\n".join(f"{digest} {name}" for name, digest in now.items()))
        return
    asked = [n.split("/")[:2] for n in now]
    lines = (line.split(" ", 1) for line in given.against.read_text("utf-8").splitlines())
    before = {name: digest for digest, name in lines if name.split("/")[:2] in asked}
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    print("\n".join([*changed, f"{len(now)} files, {len(changed)} changed"]))
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
