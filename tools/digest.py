"""The digest of every file that roe writes for every example, by both engines: `python tools/digest.py [--json FILE] [POLICY ...]`.

A change that decides nothing else gives the same digests before and after: `--against FILE` names each file that differs. Two runs
are made, the second from the first one's state a day later. What tells the time that a run took is left out. Further
POLICY folders (with a `data` folder inside) are decided as of 2026-02-01.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers import AS_OF, EXAMPLES  # noqa: E402
from roe.cli import main  # noqa: E402

TIMES = re.compile(
    rb'"(seconds|took|started|finished|version|roe_version|duration|run_id|digest|code|out|state|data|policy_root)": ?("[^"]*"|[\d.e+-]+)'
)


def invoke(*args: str) -> bytes:
    result = CliRunner().invoke(main, list(args), catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return f"{result.exit_code}\n{result.output}".encode()


def _ids(folder: Path, table: str, most: int = 6) -> list[str]:
    """The first ids in a table of an example; none where there is no such file."""
    file = folder / "data" / f"{table}.csv"
    return [line.split(",")[0] for line in file.read_text("utf-8").splitlines()[1 : most + 1]] if file.is_file() else []


def next_day(as_of: str) -> str:
    day, mark, time = as_of.partition("T")
    return str(date.fromisoformat(day) + timedelta(days=1)) + mark + time


def files_of(folder: Path, engine: str, as_of: str, scratch: Path) -> dict[str, bytes]:
    """Every file of two runs of an example's policy."""
    found: dict[str, bytes] = {}
    state = scratch / "state"
    for number, moment in enumerate((as_of, next_day(as_of)), 1):
        out = scratch / f"out{number}"
        args = ("--data", f"{folder}/data", "--as-of", moment, "--state", str(state), "--out", str(out), "--engine", engine, "--trace")
        found[f"run{number}.txt"] = invoke("run", str(folder), *args)
        for file in sorted(p for p in (*out.rglob("*"), *state.rglob("*")) if p.is_file()):
            found[f"run{number}/{file.relative_to(scratch)}"] = file.read_bytes()
    return found


def others(folder: Path, as_of: str) -> dict[str, bytes]:
    """The other commands that say something about a policy, and the statements for a warehouse."""
    from roe.policy.build import build

    found: dict[str, bytes] = {}
    data = ("--data", f"{folder}/data", "--as-of", as_of)
    policy, _ = build(folder)
    entities = [] if policy is None else dict.fromkeys(e for e, _ in policy.plan.engagement)
    for entity in entities:
        for dialect in ("duckdb", "snowflake"):
            found[f"{entity}.{dialect}.sql"] = invoke("compile", str(folder), "--entity", entity, "--dialect", dialect, "--as-of", as_of)
    found["check.txt"] = invoke("check", str(folder), *data)
    found["test.txt"] = invoke("test", str(folder), "--coverage")
    found["handbook.txt"] = invoke("handbook", str(folder), *data)
    for record in (*_ids(folder, "accounts", 4), *_ids(folder, "leads", 3)):
        found[f"explain-{record}.json"] = invoke("explain", record, str(folder), *data, "--format", "json")
        found[f"timeline-{record}.txt"] = invoke("timeline", record, str(folder), *data)
        for rep in _ids(folder, "reps")[1:2]:
            found[f"why-not-{record}.txt"] = invoke("explain", record, str(folder), *data, "--why-not", rep)
    return found


def digest(folder: Path, as_of: str, only: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for engine in ("rows", "columns"):
        with tempfile.TemporaryDirectory() as scratch:
            made = files_of(folder, engine, as_of, Path(scratch))
            for name, content in made.items():
                plain = TIMES.sub(b"", content).replace(scratch.encode(), b"")
                if name.endswith("run.json"):
                    plain = re.sub(rb'"(seconds|files|digests?|inputs)":.*', b"", plain)
                found[f"{folder.name}/{engine}/{name}"] = hashlib.sha256(plain).hexdigest()[:16]
    if only != "runs":
        for name, content in others(folder, as_of).items():
            found[f"{folder.name}/{name}"] = hashlib.sha256(content).hexdigest()[:16]
    return found


def compare(now: dict[str, str], before: dict[str, str]) -> int:
    different = sorted(
        name
        for name in now.keys() | before.keys()
        if now.get(name) != before.get(name) and name.partition("/")[0] in {n.partition("/")[0] for n in now}
    )
    for name in different:
        print(f"{'new' if name not in before else 'gone' if name not in now else 'changed'}: {name}")
    print(f"{len(now)} files, {len(different)} differ")
    return bool(different)


def command() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policies", nargs="*", type=Path)
    parser.add_argument("--examples", default=",".join(sorted(AS_OF)))
    parser.add_argument("--only", choices=("all", "runs"), default="all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    os.environ["ROE_CACHE"] = "off"
    wanted = [(EXAMPLES / name, AS_OF[name]) for name in given.examples.split(",") if name]
    wanted += [(path.resolve(), "2026-02-01") for path in given.policies]
    now = {name: value for folder, as_of in wanted for name, value in digest(folder, as_of, given.only).items()}
    whole = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()
    print(f"{whole} of {len(now)} files")
    if given.json:
        given.json.write_text(json.dumps(now, indent=1, sort_keys=True), "utf-8")
    return compare(now, json.loads(given.against.read_text("utf-8"))) if given.against else 0


if __name__ == "__main__":
    sys.exit(command())
