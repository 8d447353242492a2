"""What `tools/mutants.py --kept FOLDER` keeps between runs: the faults of a file, what each test takes and reaches, and which faults were noticed.

Everything is kept under the digest of the files that it rests on, so nothing that is kept can be out of date.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from faults import ROOT, Fault, faults

SURVIVED = "survived"


class Kept:
    """A folder of JSON files; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config
        self._verdicts: dict[str, str] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            log = folder / "verdicts.jsonl"
            for line in log.read_text("utf-8").splitlines() if log.exists() else ():
                digest, verdict = json.loads(line)
                self._verdicts[digest] = verdict

    def faults(self, file: str) -> Iterator[Fault]:
        """The faults of a file, each kept as the piece of its text that is changed."""
        source = (ROOT / file).read_text("utf-8")
        rules = json.dumps([self.config["operators"], self.config["left_out"]]) + (ROOT / "tools" / "faults.py").read_text("utf-8")
        path = self._path("faults", file, source, rules)
        if path is None or not path.exists():
            made = list(faults(file, self.config))
            if path is not None:
                path.write_text(json.dumps([_packed(fault, source) for fault in made]), "utf-8")
            yield from made
            return
        for start, end, text, given in json.loads(path.read_text("utf-8")):
            yield Fault(**given, source=source[:start] + text + source[end:])

    def measured(self) -> dict[str, Any]:
        """test -> (seconds, lines by file, ''), of the tests whose files are the same, as are roe and what tests share."""
        return {
            name: result for path in self._measurements() if path.exists() for name, result in json.loads(path.read_text("utf-8")).items()
        }

    def keep_measured(self, results: dict[str, Any]) -> None:
        by_file: dict[str, dict[str, Any]] = defaultdict(dict)
        for name, result in results.items():
            by_file[name.partition("::")[0]][name] = result
        for file, found in by_file.items():
            path = self._measurement(file)
            if path is not None:
                before = json.loads(path.read_text("utf-8")) if path.exists() else {}
                path.write_text(json.dumps(before | found), "utf-8")

    def verdict(self, fault: Fault) -> str | None:
        """What was found of a fault. A verdict of "survived" holds for the same tests alone."""
        return self._verdicts.get(_key(fault, "")) or self._verdicts.get(_key(fault, self._tests(fault.file)))

    def keep_verdict(self, fault: Fault, verdict: str) -> None:
        if self.folder is not None:
            key = _key(fault, self._tests(fault.file) if verdict == SURVIVED else "")
            with (self.folder / "verdicts.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps([key, verdict]) + "\n")

    def _tests(self, file: str) -> str:
        return "".join(_digest_of_test(guard.partition("::")[0]) for guard in self.config["modules"][file])

    def _measurements(self) -> list[Path]:
        files = dict.fromkeys(guard.partition("::")[0] for guards in self.config["modules"].values() for guard in guards)
        return [path for file in files if (path := self._measurement(file)) is not None]

    def _measurement(self, file: str) -> Path | None:
        return self._path("measured", file, _digest_of_roe(), _digest_of_test(file))

    def _path(self, what: str, file: str, *rests_on: str) -> Path | None:
        if self.folder is None:
            return None
        digest = hashlib.sha256("\0".join(rests_on).encode()).hexdigest()[:16]
        return self.folder / f"{what}-{Path(file).stem}-{digest}.json"


def _packed(fault: Fault, source: str) -> tuple[int, int, str, dict[str, Any]]:
    """(where the changed piece begins and ends in the file, what stands there instead, the fault's other fields)."""
    start = next((i for i, (a, b) in enumerate(zip(source, fault.source, strict=False)) if a != b), min(len(source), len(fault.source)))
    most = min(len(source), len(fault.source)) - start
    same = next((i for i in range(most) if source[-1 - i] != fault.source[-1 - i]), most)
    names = ("file", "operator", "occurrence", "line", "function", "before", "after")
    return start, len(source) - same, fault.source[start : len(fault.source) - same], {name: getattr(fault, name) for name in names}


def _key(fault: Fault, tests: str) -> str:
    return hashlib.sha256("\0".join((fault.file, fault.source, tests)).encode()).hexdigest()[:24]


@cache
def _digest_of_roe() -> str:
    return _digest([*(ROOT / "src" / "roe").rglob("*.py"), *(p for p in (ROOT / "tests").glob("*.py") if not p.name.startswith("test_"))])


@cache
def _digest_of_test(file: str) -> str:
    """The digest of a test's file, and of the folder that has its name: `tests/boundaries` of `tests/test_boundaries.py`."""
    path = ROOT / file
    return _digest(
        [path, *(p for p in path.with_name(path.stem.removeprefix("test_")).rglob("*") if p.is_file() and "__pycache__" not in p.parts)]
    )


def _digest(paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
