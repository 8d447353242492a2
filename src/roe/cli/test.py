"""`roe test`: the tests beside a policy."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from roe.cli.common import color, fail, load, policy_argument, progress
from roe.diagnostics import Diagnostic, errors
from roe.source import Span


@click.command("test")
@policy_argument
@click.option("-k", "words", metavar="TEXT", help="Only tests whose name or file has this text.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="Write the results as JUnit XML.")
@click.option("--fail-on-empty", is_flag=True, help="No test found is a failure.")
@click.option("-v", "--verbose", is_flag=True, help="Name every test.")
def command(policy: Path | None, words: str | None, junit_file: Path | None, fail_on_empty: bool, verbose: bool) -> None:
    """Run the tests in the policy's folder `tests`."""
    from roe.data.files import write_whole
    from roe.testing.cases import load_cases
    from roe.testing.runner import junit, run_case

    evaluator = load(policy)
    cases, found = load_cases(evaluator.policy)
    if errors(found):
        fail(found)
    if words:
        cases = [c for c in cases if words.lower() in c.name.lower() or words.lower() in c.file.lower()]
    start = time.perf_counter()
    results = []
    for case in progress(cases, len(cases), "testing"):
        result = run_case(evaluator, case)
        results.append(result)
        if verbose or not result.passed:
            red, green, off = ("\033[31m", "\033[32m", "\033[0m") if color() else ("", "", "")
            click.echo(f"{green + 'pass' if result.passed else red + 'FAIL'}{off}  {case.file}: {case.name}")
        for f in result.failures:
            click.echo(f"      {f.place}: {f.what}: expected {f.wanted}, got {f.got}")
            for line in f.why:
                click.echo(f"        {line}")
    failed = sum(not r.passed for r in results)
    if junit_file is not None:
        try:
            write_whole(junit_file, junit(results, time.perf_counter() - start))
        except OSError as e:
            at = Span(str(junit_file), 1, 1, 2)
            fail([Diagnostic("R801", f"cannot write: {e.strerror or e}", at, "name a file in a folder that exists")])
    click.echo(f"{len(results) - failed} passed, {failed} failed")
    if not results and fail_on_empty:
        fail(
            [
                Diagnostic(
                    "R703",
                    "no test was found",
                    Span(str(evaluator.policy.root / "tests"), 1, 1, 2),
                    "write tests/first.yaml, see docs/testing.md",
                )
            ],
            1,
        )
    sys.exit(1 if failed else 0)
