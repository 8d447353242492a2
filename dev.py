"""Everything a developer runs, on any system: `python3 dev.py demo|test|heavy|proofs|mutants|bench`. It sets up `.venv` by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BIN = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")
PYTHON, SAIL = (str(ROOT / name / BIN) for name in (".venv", ".venv-sail"))
EXAMPLE = "policies/examples/static"


def setup() -> None:
    """An environment with roe and the development tools; made anew when pyproject.toml is newer."""
    mark = ROOT / ".venv" / "ready"
    if mark.exists() and mark.stat().st_mtime >= (ROOT / "pyproject.toml").stat().st_mtime:
        return
    if sys.version_info < (3, 11):
        sys.exit("roe needs Python 3.11 or newer")
    say("setting up .venv (a minute or two)")
    venv.create(ROOT / ".venv", with_pip=True, clear=True)
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[dev]")
    mark.touch()


def say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def run(*args: str, heavy: bool = False, python: str = PYTHON) -> None:
    env = {**os.environ, **({"ROE_HEAVY": "1"} if heavy else {})}
    done = subprocess.run([python, *args], cwd=ROOT, env=env)
    if done.returncode:
        sys.exit(done.returncode)


def demo() -> None:
    """The main job on an example, and one allocation explained."""
    data = ("--data", f"{EXAMPLE}/data", "--as-of", "2026-02-01")
    run("-m", "roe", "run", EXAMPLE, *data, "--out", "out")
    print(flush=True)
    run("-m", "roe", "explain", "hooli.com", EXAMPLE, *data, "--role", "ae", "--why-not", "Cal Cruz")


def test() -> None:
    """Style, types, docs and the everyday tests."""
    for args in (
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "mypy"),
        ("tools/pages.py", "--check"),
        ("-m", "pytest", "-n", "auto"),
    ):
        say(" ".join(args))
        run(*args)


HEAVY = tuple(
    f"tests/test_{name}.py"
    for name in ("expressions", "index", "analysis", "policies", "data", "columns", "pages", "sql", "examples", "mutation")
)
SPARK = ("tests/test_spark.py", "tests/test_spark_connect.py")
PYTEST = ("hypothesis", "pytest", "pytest-timeout", "pytest-xdist")  # what all tests need


def heavy() -> None:
    """Long fuzzing, engines compared at length, Spark and Sail, the conformance report where the suite is at hand, a hundred planted faults, and the quick benchmarks."""
    run("-m", "pytest", "-n", "auto", *HEAVY, heavy=True)
    if shutil.which("java"):
        run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[spark]", "pyspark[connect]")
        run("-m", "pytest", *SPARK, heavy=True)
    else:
        say("no Java: the tests on Spark are left out")
    venv.create(ROOT / ".venv-sail", with_pip=True, clear=True)  # Sail needs another PySpark
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[sail,delta]", *PYTEST, python=SAIL)
    run("-m", "pytest", "-n", "0", "tests/test_spark_sail.py", heavy=True, python=SAIL)
    run("tests/fuzz.py", "60", *(["2026"] if os.environ.get("CI") else []))
    if (ROOT.parent / "shared" / "conformance" / "tck.jsonl").is_file():
        run("tests/conformance/runner.py")
    if hasattr(os, "fork"):
        run("tools/mutants.py", "--sample", "100", "--seed", "2026", "--minutes", "5", "--min", "50")
    run("benchmarks/run.py", "--quick")


def proofs() -> None:
    """What the documentation says is proven, at its full length: thousands of policy changes, expressions, damaged tables, advised changes,
    killed runs and servers, and every page in a browser: each test that tries more where somebody asks for it, but for those of `heavy`.
    It takes hours.
    """
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        text = path.read_text("utf-8")
        longer = any(mark in text for mark in ("HEAVY", "tries(", "seeds(", "mark.heavy", "@given("))
        if longer and f"tests/{path.name}" not in (*HEAVY, *SPARK):
            run("-m", "pytest", "-s", f"tests/{path.name}", heavy=True)


def mutants() -> None:
    """Every small fault that tools/mutants.toml plants in roe's own code, and which of them the tests notice. It takes most of an hour."""
    run("tools/mutants.py", "--out", "benchmarks/results/mutants.md")


def bench() -> None:
    """Every figure of the docs, beside other engines."""
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[bench]")
    run("benchmarks/run.py")


COMMANDS = {"demo": demo, "test": test, "heavy": heavy, "proofs": proofs, "mutants": mutants, "bench": bench}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python3 dev.py {'|'.join(COMMANDS)}")
    setup()
    COMMANDS[sys.argv[1]]()
