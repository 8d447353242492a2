"""`roe diff`: what a change of policy changes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.analysis.decided import with_made_records, with_records
from roe.analysis.diff import changes, impact
from roe.analysis.equivalence import compare
from roe.analysis.verdicts import UNDECIDED
from roe.api import evaluate, parse_checked
from roe.cache import load_policy
from roe.cli.comment import comment, introduction, run_link
from roe.cli.common import PATH, bind, clock, format_option, large, load, put, put_json
from roe.cli.diff_report import PolicyDiff, as_json, as_markdown
from roe.cli.diff_report import as_text as diff_text
from roe.cli.repository import folder_at, revision
from roe.cli.settings import as_of_setting, data_setting, is_data_a_setting
from roe.data.read import newest, read_tables
from roe.diagnostics import Diagnostic, PolicyError, as_text, errors, user_error
from roe.evaluator.engine import Run
from roe.evaluator.reps import misnamed
from roe.grammar import syntax as s
from roe.revisions import NotThere
from roe.run.invariants import of_run, told
from roe.web.diff import diff_page

if TYPE_CHECKING:
    from roe.analysis.equivalence import Comparison
    from roe.evaluator.engine import Evaluator

FACTS = "decided, moved, moved_share, unowned, customers_moved, windows_cut, over_capacity, most_lost, most_gained, rules_changed, cases_changed, fields_changed"


@click.command("diff")
@click.argument("old")
@click.argument("new")
@data_setting("Folder with records, to show which of them change hands.", policy="new")
@as_of_setting("With --data: the date or date-time to use as `today` and `now`.", policy="new", default="")
@click.option("--state", envvar="ROE_STATE", help="With --data: ledger with what earlier runs decided. It is only read.")
@click.option("--fail-if", "fail_if", default="", metavar="EXPR", help=f"Exit with 1 if this expression is true. It can use {FACTS}.")
@format_option("text", "md", "json", help="Output format; md suits a pull request.")
@click.option("--page", type=PATH, help="HTML page to write, as one file.")
@click.option("--comment", "comment_file", type=PATH, help="File to write a pull-request comment to, at most 60,000 characters.")
@click.option("--new-is-fine", is_flag=True, help="Pass, with a note, if OLD does not exist yet or cannot be read.")
def command(
    old: str, new: str, data: Path | None, as_of: str, state: str | None, fail_if: str, shape: str, page: Path | None,
    comment_file: Path | None, new_is_fine: bool,
) -> None:  # fmt: skip
    """Compare two policies. OLD and NEW are folders, or REVISION:FOLDER in this git repository."""
    data = _wanted(data, as_of)
    with tempfile.TemporaryDirectory() as scratch:
        if new_is_fine and _introduced(old, new, shape, comment_file, Path(scratch) / "first"):
            return
        before, after = (load(revision(text, Path(scratch) / str(i))) for i, text in enumerate((old, new)))
        compared, made, broken = compare(before, after), None, list[Diagnostic]()
        if data is not None:
            if not as_of:
                raise click.UsageError("--data needs --as-of")
            runs = [Run(b, list(b.decide_all())) for b in (bind(e, data, clock(e, as_of), state) for e in (before, after))]
            made, broken = impact(*runs), newly_broken(*runs)
            compared = with_records(compared, *runs)
        elif compared.verdict == UNDECIDED:
            compared = _with_own_records(compared, [before, after])
        compared = with_made_records(compared, before, after)
        diff = PolicyDiff(old, new, changes(before.policy, after.policy), compared, made)
        failed = bool(fail_if) and _holds(fail_if, diff.facts)
        _print(diff, shape, failed)
        if broken:
            click.echo(as_text(broken), err=True)
        if comment_file is not None:
            put(comment(as_markdown(diff), new, run_link()), comment_file, said=False)
        if page is not None:
            _page(page, diff)
    if failed:
        click.echo(f"fails: {fail_if}", err=True)
    if failed or errors(broken):
        sys.exit(1)


def _wanted(data: Path | None, as_of: str) -> Path | None:
    """The folder of records; none where the settings name one that cannot be compared, which is said."""
    if data is None or not is_data_a_setting() or (as_of and data.exists()):
        return data
    why = "they need --as-of" if data.exists() else "there are none"
    click.echo(f"note: the records in {data}, from the settings, are not compared: {why}", err=True)
    return None


def _print(diff: PolicyDiff, shape: str, failed: bool) -> None:
    if shape == "json":
        put_json(as_json(diff, failed))
    else:
        click.echo(as_markdown(diff) if shape == "md" else diff_text(diff))


def _introduced(old: str, new: str, shape: str, comment_file: Path | None, scratch: Path) -> bool:
    """Whether there is no old policy that could be compared; then that is said."""
    try:
        folder = folder_at(old, scratch)
        why = "" if (folder / "policy.yaml").is_file() else f"there is no policy at {old}"
        if not why and load_policy(folder)[0] is None:
            why = f"the policy at {old} has errors"
    except NotThere as e:
        why = f"{old} does not exist: {e}"
    if not why:
        return False
    policy = load(Path(new)).policy
    text = introduction(policy, new, why)
    if shape == "json":
        put_json({"new": True, "reason": why})
    else:
        click.echo(text if shape == "md" else f"new: {why}")
    if comment_file is not None:
        put(comment(text, new, run_link()), comment_file, said=False)
    return True


def _with_own_records(compared: Comparison, evaluators: list[Evaluator]) -> Comparison:
    """The same, with records of the folder `data` that one of the policies has, as of the newest of them; large data takes too long."""
    own = next((folder for e in reversed(evaluators) if (folder := e.policy.root / "data").is_dir()), None)
    if own is None or large(own):
        return compared
    bounds = []
    for evaluator in evaluators:
        tables, problems = read_tables(evaluator.policy, own)
        if errors(problems):
            return compared
        try:
            bounds.append(evaluator.bind(tables, as_of=newest(evaluator, tables)))
        except PolicyError:
            return compared
    if any(misnamed(bound.world) for bound in bounds):
        return compared
    return with_records(compared, *(Run(bound, list(bound.decide_all())) for bound in bounds))


def newly_broken(old: Run, new: Run) -> list[Diagnostic]:
    """Invariants of the new policy that do not hold under it, and did under the old or were not asked there."""
    known = {(str(b.invariant.name), b.record) for b in of_run(old)}
    return list(told([b for b in of_run(new) if (str(b.invariant.name), b.record) not in known]))


def _holds(text: str, facts: dict[str, float]) -> bool:
    tree, problems = parse_checked(text)
    if tree is None:
        raise PolicyError(problems)
    unknown = [n.id for n in s.walk(tree) if isinstance(n, s.Name) and n.id not in facts]
    if unknown:
        raise user_error("R201", f"there is no fact `{unknown[0]}`", "--fail-if", f"there are {', '.join(facts)}; most need --data", text)
    return evaluate(text, facts) is True


def _page(path: Path, diff: PolicyDiff) -> None:
    put(diff_page(diff.changes, diff.compared, diff.impact, diff.old, diff.new), path, said=False)
