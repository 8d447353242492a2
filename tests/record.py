"""`python tests/record.py [FOLDER…]`: what `roe check` and `roe test` say of the policies under tests/bad, tests/faults and tests/sound,
written anew. It shows every difference: read each of them before you keep it. No test runs it.
"""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path

from click.testing import CliRunner

HERE = Path(__file__).parent
KINDS = ("bad", "faults", "sound")
FOLDERS = sorted(path.parent for kind in KINDS for path in (HERE / kind).glob("*/policy.yaml"))
CHECK = ("check", ".", "--as-of", "2026-02-01")


def said(folder: Path) -> str:
    """What the commands print of a policy, each under its command line: `roe check`, and `roe test` where it has tests."""
    from roe.cli import main

    before, text = Path.cwd(), ""
    os.chdir(folder)
    try:
        for command in (CHECK, ("test", "."))[: 2 if (folder / "tests").is_dir() else 1]:
            done = CliRunner().invoke(main, list(command))
            text += f"$ roe {' '.join(command)}\n{done.output}"
            text += f"(exit code {done.exit_code})\n" if done.exit_code else ""
    finally:
        os.chdir(before)
    return text


def record(folder: Path) -> None:
    expected = folder / "expected.txt"
    before = expected.read_text("utf-8") if expected.is_file() else ""
    after = said(folder)
    name = str(expected.relative_to(HERE.parent))
    print("".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, name)), end="")
    expected.write_text(after, "utf-8", newline="\n")


if __name__ == "__main__":
    for place in [Path(x).resolve() for x in sys.argv[1:]] or FOLDERS:
        record(place)
