"""What `tools/mutants.py` keeps between runs, in `.mutants/`: the faults of a file, what each test takes and reaches, and which test noticed a fault.

Faults and measurements are kept under the digest of the files that they rest on. That a test noticed a fault before only says which test is
asked first: every run plants every fault again.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from faults import ROOT, Fault, faults

Measured = tuple[float, dict[str, list[int]]]  # seconds of the processor, and the lines that a test reaches, by file


class Kept:
    """A folder of JSON files."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "noticed.jsonl"
        lines = self._log.read_text("utf-8").splitlines() if self._log.exists() else []
        self._noticed: dict[str, str] = dict(json.loads(line) for line in lines)

    def faults(self, file: str) -> Iterator[Fault]:
        """The faults of a file, each kept as the piece of its text that is changed."""
        source = (ROOT / file).read_text("utf-8")
        rules = json.dumps([self.config["operators"], self.config["left_out"]]) + (ROOT / "tools" / "faults.py").read_text("utf-8")
        path = self._path("faults", file, source, rules)
        if not path.exists():
            made = list(faults(file, self.config))
            path.write_text(json.dumps([_packed(fault, source) for fault in made]), "utf-8")
            yield from made
            return
        for start, end, text, given in json.loads(path.read_text("utf-8")):
            yield Fault(**given, source=source[:start] + text + source[end:])

    def measured(self, guarded: dict[str, set[str]]) -> dict[str, Measured]:
        """What is known of tests, where their files and the files that they guard are the same. `guarded`: a test's file -> files of roe."""
        known: dict[str, Measured] = {}
        for test, files in guarded.items():
            path = self._measurement(test, files)
            known |= json.loads(path.read_text("utf-8")) if path.exists() else {}
        return known

    def keep_measured(self, results: dict[str, Measured], guarded: dict[str, set[str]]) -> None:
        by_file: dict[str, dict[str, Measured]] = defaultdict(dict)
        for name, result in results.items():
            by_file[name.partition("::")[0]][name] = result
        for test, measured in by_file.items():
            path = self._measurement(test, guarded[test])
            before = json.loads(path.read_text("utf-8")) if path.exists() else {}
            path.write_text(json.dumps(before | measured), "utf-8")

    def noticing(self, fault: Fault) -> str | None:
        """The test that noticed a fault when it was planted last; "" if none did, None if it has not been planted."""
        return self._noticed.get(fault.digest)

    def keep_noticing(self, fault: Fault, test: str) -> None:
        if self._noticed.get(fault.digest) != test:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps([fault.digest, test]) + "\n")

    def _measurement(self, test: str, files: Iterable[str]) -> Path:
        return self._path("measured", test, _digest_of_test(test), *map(_digest_of_file, sorted(files)))

    def _path(self, what: str, file: str, *rests_on: str) -> Path:
        digest = hashlib.sha256("\0".join(rests_on).encode()).hexdigest()[:16]
        return self.folder / f"{what}-{Path(file).stem}-{digest}.json"


def _packed(fault: Fault, source: str) -> tuple[int, int, str, dict[str, Any]]:
    """(where the changed piece begins and ends in the file, what stands there instead, the fault's other fields)."""
    start = next((i for i, (a, b) in enumerate(zip(source, fault.source, strict=False)) if a != b), min(len(source), len(fault.source)))
    most = min(len(source), len(fault.source)) - start
    same = next((i for i in range(most) if source[-1 - i] != fault.source[-1 - i]), most)
    names = ("file", "operator", "occurrence", "line", "function", "before", "after")
    return start, len(source) - same, fault.source[start : len(fault.source) - same], {name: getattr(fault, name) for name in names}


@cache
def _digest_of_test(file: str) -> str:
    """The digest of a test's file, of what tests share, and of the folder that has its name: `tests/boundaries` of `tests/test_boundaries.py`."""
    path = ROOT / file
    cases = path.with_name(path.stem.removeprefix("test_")).rglob("*")
    shared = (p for p in (ROOT / "tests").glob("*.py") if not p.name.startswith("test_"))
    return _digest([path, *shared, *(p for p in cases if p.is_file() and "__pycache__" not in p.parts)])


@cache
def _digest_of_file(file: str) -> str:
    return _digest([ROOT / file])


def _digest(paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
