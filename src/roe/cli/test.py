"""`roe test`: the tests beside a policy."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import PATH, color, fail, format_option, load, policy_argument, put, put_json
from roe.cli.table import table
from roe.cli.terminal import document
from roe.diagnostics import Diagnostic, errors
from roe.progress import counted
from roe.source import Span
from roe.testing.cases import load_cases
from roe.testing.runner import junit, run_case
from roe.untrusted import style

if TYPE_CHECKING:
    from roe.evaluator.engine import Evaluator
    from roe.testing.cases import Case
    from roe.testing.coverage import CoverageReport
    from roe.testing.runner import CaseResult


@click.command("test")
@policy_argument
@click.option("-k", "words", metavar="TEXT", help="Run only tests whose name or file contains this text.")
@click.option("--junit", "junit_file", type=PATH, help="Write the results to this file as JUnit XML.")
@click.option("--fail-on-empty", is_flag=True, help="Fail if there are no tests.")
@click.option("-v", "--verbose", is_flag=True, help="List every test.")
@click.option("--coverage", is_flag=True, help="Show what the tests reach: rules, table rows, and both outcomes of each condition.")
@click.option(
    "--min",
    "least",
    type=click.FloatRange(0, 100),
    help="Exit with 1 if coverage (with --mutate: the mutation score) is below this percentage.",
)
@click.option("--html", "page", type=PATH, help="HTML page to write: the policy's source, coloured by coverage.")
@click.option("--cobertura", type=PATH, help="Write coverage to this file as Cobertura XML, which CI services read.")
@click.option("--mutate", "mutate", is_flag=True, help="Plant small faults in the policy, and list the ones that your tests miss.")
@click.option("--generate", is_flag=True, help="Propose tests, as YAML, that would catch them.")
@format_option("text", "json", help="Output format of --coverage and --mutate.")
def command(
    policy: Path | None, words: str | None, junit_file: Path | None, fail_on_empty: bool, verbose: bool, coverage: bool, least: float | None,
    page: Path | None, cobertura: Path | None, mutate: bool, generate: bool, shape: str,
) -> None:  # fmt: skip
    """Run the tests in the policy's folder `tests`."""
    evaluator = load(policy)
    cases, problems = load_cases(evaluator.policy)
    if errors(problems):
        fail(problems)
    if words:
        cases = [c for c in cases if words.lower() in c.name.lower() or words.lower() in c.file.lower()]
    if not cases and fail_on_empty:
        at = Span(str(evaluator.policy.root / "tests"), 1, 1, 2)
        click.echo("0 passed, 0 failed")
        fail([Diagnostic("R703", "no test was found", at, "write tests/first.yaml, see docs/testing.md")], 1)
    if generate or mutate:
        _mutate(evaluator, cases, generate, least, shape)
    elif coverage or page is not None or cobertura is not None or least is not None:
        _coverage(evaluator, cases, verbose, junit_file, least, page, cobertura, shape)
    else:
        sys.exit(1 if _run(evaluator, cases, verbose, junit_file) else 0)


def _run(evaluator: Evaluator, cases: list[Case], verbose: bool, junit_file: Path | None) -> int:
    """Run and tell; how many failed."""
    start = time.perf_counter()
    results = []
    for case in counted(cases, len(cases), "testing"):
        result = run_case(evaluator, case)
        results.append(result)
        _tell(result, verbose)
    return _closed(results, junit_file, time.perf_counter() - start)


def _tell(result: CaseResult, verbose: bool, err: bool = False) -> None:
    if verbose or not result.passed:
        red, green, off = map(style, (31, 32, 0)) if color() else ("", "", "")
        click.echo(f"{green + 'pass' if result.passed else red + 'FAIL'}{off}  {result.case.file}: {result.case.name}", err=err)
    for f in result.failures:
        click.echo(f"      {f.place}: {f.what}: expected {f.wanted}, got {f.got}", err=err)
        for line in f.why:
            click.echo(f"        {line}", err=err)


def _closed(results: list[CaseResult], junit_file: Path | None, seconds: float, err: bool = False) -> int:
    failed = sum(not r.passed for r in results)
    if junit_file is not None:
        put(junit(results, seconds), junit_file, said=False)
    click.echo(f"{len(results) - failed} passed, {failed} failed", err=err)
    return failed


# --- coverage -------------------------------------------------------------------------------------------------------


def _coverage(
    evaluator: Evaluator, cases: list[Case], verbose: bool, junit_file: Path | None, least: float | None, page: Path | None, xml: Path | None, shape: str
) -> None:  # fmt: skip
    from roe.testing.coverage import cobertura, cover

    start = time.perf_counter()
    report = cover(evaluator, cases)
    json_ = shape == "json"
    for result in report.results:
        _tell(result, verbose, err=json_)
    failed = _closed(report.results, junit_file, time.perf_counter() - start, err=json_)
    if page is not None:
        from roe.web.coverage import coverage_page

        put(coverage_page(evaluator.policy, report), page, said=False)
    if xml is not None:
        put(cobertura(report, str(evaluator.policy.root)), xml, said=False)
    if json_:
        put_json(report.as_json())
    else:
        _show_coverage(report)
    low = least is not None and report.share < least
    if low:
        click.echo(f"coverage {report.share:.1f} % is below {least:g} %", err=True)
    sys.exit(1 if failed or low else 0)


def _show_coverage(report: CoverageReport) -> None:
    rows = []
    for key, rules in report.lists.items():
        outcomes = [c for r in rules for c in r.conditions]
        fired, met = sum(r.fired > 0 for r in rules), sum(c.covered for c in outcomes)
        rows.append([report.titles[key].replace("`", ""), f"{fired}/{len(rules)}", f"{met}/{2 * len(outcomes)}" if outcomes else ""])
    click.echo("\n" + table(rows, ["list", "rules that decide", "outcomes"]))
    for key, rules in report.lists.items():
        for rule in rules:
            if not rule.fired:
                click.echo(f"\n{rule.place}: `{rule.name}` of {report.titles[key]} decides no test")
                click.echo("\n".join(textwrap.wrap(rule.reason, 76, initial_indent="  ", subsequent_indent="  ")))
                continue
            for c in rule.conditions:
                if c.covered < 2:
                    missing = "true" if not c.true else "anything but true"
                    click.echo(f"\n{c.place}: `{c.text}` is never {missing} where `{rule.name}` is considered")
    click.echo(f"\ncoverage {report.share:.1f} %")


# --- mutation -------------------------------------------------------------------------------------------------------


def _mutate(evaluator: Evaluator, cases: list[Case], generate: bool, least: float | None, shape: str) -> None:
    start = time.perf_counter()
    from roe.testing.mutate import fates, score

    mutants, report = fates(evaluator, cases)
    broken = [r for r in report.results if not r.passed]
    if broken:  # a test that fails anyhow notices everything
        for result in broken:
            _tell(result, False, err=True)
        click.echo(f"{len(broken)} tests fail as it is: mend them first", err=True)
        sys.exit(1)
    if generate:
        from roe.testing.generate import as_yaml, propose

        made = propose(evaluator, mutants)
        document(as_yaml(made))
        click.echo(f"{len(made)} tests, which notice {sum(len(p.kills) for p in made)} planted faults that no test noticed", err=True)
        return
    reached = score(mutants)
    if shape == "json":
        put_json({"score": round(reached, 1), "mutants": [f.as_json() for f in mutants]})
    else:
        for f in mutants:
            if f.outcome == "survived":
                click.echo(f"{f.mutant.place}: {f.mutant.kind}: {f.mutant.what}")
                click.echo(
                    f"  no test notices; {f'it shows for {f.witness}' if f.witness is not None else 'no record was found on which it shows'}"
                )
        counts = {k: sum(f.outcome == k for f in mutants) for k in ("killed", "survived", "equivalent")}
        click.echo(
            f"\n{len(mutants)} faults planted: {counts['killed']} noticed, {counts['survived']} not, {counts['equivalent']} change nothing (proven); "
            f"mutation score {reached:.1f} % in {time.perf_counter() - start:.1f} s"
        )
    low = least is not None and reached < least
    if low:
        click.echo(f"the mutation score {reached:.1f} % is below {least:g} %", err=True)
    sys.exit(1 if low else 0)
