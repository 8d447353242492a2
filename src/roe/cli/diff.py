"""`roe diff`: what a change of policy changes."""

from __future__ import annotations

import json
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.analysis.compared import said, sections, sides
from roe.cli.comment import comment, introduction, run_link
from roe.cli.common import bind, clock, fail, large, load, put, table, unwritable
from roe.cli.repository import folder_at, revision
from roe.cli.settings import as_of_setting, data_setting, is_setting
from roe.diagnostics import Diagnostic, PolicyError, as_text, errors
from roe.dynamic import Json
from roe.revisions import NotThere
from roe.source import Span
from roe.untrusted import code, markdown

if TYPE_CHECKING:
    from roe.analysis.diff import Impact, PolicyChange
    from roe.analysis.equivalence import Comparison, Difference
    from roe.evaluator.engine import Evaluator, Run

MOST = 30
FACTS = "decided, moved, moved_share, unowned, customers_moved, windows_cut, over_capacity, most_lost, most_gained, rules_changed, cases_changed, fields_changed"


@click.command("diff")
@click.argument("old")
@click.argument("new")
@data_setting("Folder with records, to show which of them change hands.", policy="new")
@as_of_setting("With --data: the date or date-time to use as `today` and `now`.", policy="new", default="")
@click.option("--state", envvar="ROE_STATE", help="With --data: ledger with what earlier runs decided. It is only read.")
@click.option("--fail-if", "fail_if", default="", metavar="EXPR", help=f"Exit with 1 if this expression is true. It can use {FACTS}.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "md", "json"]),
    default="text",
    show_default=True,
    help="Output format; md suits a pull request.",
)
@click.option("--page", type=click.Path(path_type=Path), help="HTML page to write, as one file.")
@click.option(
    "--comment", "comment_file", type=click.Path(path_type=Path), help="File to write a pull-request comment to, at most 60,000 characters."
)
@click.option("--new-is-fine", is_flag=True, help="Pass, with a note, if OLD does not exist yet or cannot be read.")
def command(
    old: str, new: str, data: Path | None, as_of: str, state: str | None, fail_if: str, shape: str, page: Path | None,
    comment_file: Path | None, new_is_fine: bool,
) -> None:  # fmt: skip
    """Compare two policies. OLD and NEW are folders, or REVISION:FOLDER in this git repository."""
    from roe.analysis.decided import with_made_records, with_records
    from roe.analysis.diff import changes, impact
    from roe.analysis.equivalence import compare
    from roe.analysis.verdicts import UNDECIDED
    from roe.evaluator.engine import Run

    if data is not None and is_setting("data") and not (as_of and data.exists()):
        click.echo(
            f"note: the records in {data}, from the settings, are not compared: "
            + ("they need --as-of" if data.exists() else "there are none"),
            err=True,
        )
        data = None
    with tempfile.TemporaryDirectory() as scratch:
        if new_is_fine and _introduced(old, new, shape, comment_file, Path(scratch) / "first"):
            return
        evaluators = [load(revision(text, Path(scratch) / str(i))) for i, text in enumerate((old, new))]
        found = changes(*(e.policy for e in evaluators))
        compared = compare(*evaluators)
        made: Impact | None = None
        broken: list[Diagnostic] = []
        if data is not None:
            if not as_of:
                raise click.UsageError("--data needs --as-of")
            runs = [Run(b, list(b.decide_all())) for b in (bind(e, data, clock(e, as_of), state) for e in evaluators)]
            made = impact(*runs)
            broken = newly_broken(*runs)
            compared = with_records(compared, *runs)
        elif compared.verdict == UNDECIDED:
            compared = _with_own_records(compared, evaluators)
        compared = with_made_records(compared, *evaluators)
        facts: dict[str, float] = {
            **(made.facts if made is not None else {}),
            "rules_changed": len(found),
            "cases_changed": len(compared.differences),
            "fields_changed": len({d.where for d in compared.fields}),
        }
        failed = _holds(fail_if, facts) if fail_if else False
        if shape == "json":
            click.echo(json.dumps(_json(found, compared, made, facts, failed), indent=2, ensure_ascii=False))
        else:
            click.echo(_markdown(found, compared, made, old, new) if shape == "md" else _text(found, compared, made))
        if broken:
            click.echo(as_text(broken), err=True)
        if comment_file is not None:
            put(comment(_markdown(found, compared, made, old, new), new, run_link()), comment_file, said=False)
        if page is not None:
            _page(page, found, compared, made, old, new)
    if failed:
        click.echo(f"fails: {fail_if}", err=True)
    if failed or errors(broken):
        sys.exit(1)


def _introduced(old: str, new: str, shape: str, comment_file: Path | None, scratch: Path) -> bool:
    """Whether there is no old policy that could be compared; then that is said."""
    from roe.cache import load_policy

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
        click.echo(json.dumps({"new": True, "reason": why}, indent=2, ensure_ascii=False))
    else:
        click.echo(text if shape == "md" else f"new: {why}")
    if comment_file is not None:
        put(comment(text, new, run_link()), comment_file, said=False)
    return True


def _with_own_records(compared: Comparison, evaluators: list[Evaluator]) -> Comparison:
    """The same, with records of the folder `data` that one of the policies has, as of the newest of them; large data takes too long."""
    from roe.analysis.decided import with_records
    from roe.data.read import newest, read_tables
    from roe.evaluator.engine import Run
    from roe.evaluator.reps import misnamed

    own = next((folder for e in reversed(evaluators) if (folder := e.policy.root / "data").is_dir()), None)
    if own is None or large(own):
        return compared
    bounds = []
    for evaluator in evaluators:
        tables, found = read_tables(evaluator.policy, own)
        if errors(found):
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
    from roe.run.invariants import of_run, told

    known = {(str(b.invariant.name), b.record) for b in of_run(old)}
    return list(told([b for b in of_run(new) if (str(b.invariant.name), b.record) not in known]))


def _holds(text: str, facts: dict[str, float]) -> bool:
    from roe.api import evaluate, parse_checked
    from roe.grammar import syntax as s

    try:
        tree, problems = parse_checked(text)
        if tree is None:
            raise PolicyError(problems)
        unknown = [n.id for n in s.walk(tree) if isinstance(n, s.Name) and n.id not in facts]
        if unknown:
            at = Span("--fail-if", 1, 1, max(2, len(text) + 1), text)
            raise PolicyError(
                [Diagnostic("R201", f"there is no fact `{unknown[0]}`", at, f"there are {', '.join(facts)}; most need --data")]
            )
        return evaluate(text, facts) is True
    except PolicyError as e:
        fail(e.diagnostics)


def _case(d: Difference) -> list[str]:
    """A case, and what each policy makes of it."""
    lines = [f"{d.where}: {d.witness or 'some record'}" + ("" if d.certainty == "proven" else f"  [{d.certainty}]")]
    return lines + [f"  {sign} {rule}" + (f": {gives}" if gives else "") for sign, (rule, gives) in zip("-+", sides(d), strict=True)]


def _json(found: list[PolicyChange], compared: Comparison, made: Impact | None, facts: dict[str, float], failed: bool) -> Json:
    out: Json = {
        "same": not found, "verdict": compared.verdict, "cases": [d.as_json() for d in compared.differences],
        "possible_cases": [d.as_json() for d in compared.possible], "renamed": [d.as_json() for d in compared.renamed],
        "fields": [d.as_json() for d in compared.fields], "not_compared": list(compared.unproven),
        "changes": [c.as_json() for c in found], "facts": facts, "failed": failed,
    }  # fmt: skip
    if made is not None:
        load = {rep: {"before": was, "after": now, "capacity": capacity} for rep, (was, now, capacity) in made.load.items()}
        matrix = [{"from": a, "to": b, "records": n} for (a, b), n in sorted(made.matrix().items())]
        out |= {"moved": [m.as_json() for m in made.moved], "matrix": matrix, "load": load}
    return out


def _text(found: list[PolicyChange], compared: Comparison, made: Impact | None) -> str:
    lines = textwrap.wrap(said(compared, found), 80)
    for heading, cases in sections(compared):
        lines += ["", f"{heading.lower()}:"] if cases is not compared.differences else []
        for d in cases[:MOST]:
            lines += ["", *(part for line in _case(d) for part in textwrap.wrap(line, 80, subsequent_indent="      "))]
        lines += [f"… and {len(cases) - MOST} more cases"] if len(cases) > MOST else []
    lines += ["", "what they say:"] if found else []
    for c in found[:MOST]:
        lines.append(f"{c.kind:<8} {c.where}: {c.name}")
        lines += [f"         - {c.before}"] if c.before else []
        lines += [f"         + {c.after}"] if c.after else []
    if len(found) > MOST:
        lines.append(f"… and {len(found) - MOST} more differences")
    if made is None:
        return "\n".join(lines)
    f = made.facts
    lines.append(f"\n{f['moved']:g} of {f['decided']:g} allocations change hands ({f['moved_share']:.1%}): {f['customers_moved']:g} of customers, "
                 f"{f['windows_cut']:g} in a live window, {f['unowned']:g} to nobody")  # fmt: skip
    if made.moved:
        lines.append("\n" + table([[a, b, n] for (a, b), n in made.matrix().most_common(MOST)], ["from", "to", "records"]))
        lines.append("\n" + table(_load(made), ["rep", "before", "after", "", "capacity"]))
        for m in made.moved[:MOST]:
            marks = "".join(x for x, on in ((" [customer]", m.customer), (" [window cut short]", m.cut)) if on)
            lines.append(f"\n{m.entity} {m.name} ({m.record}) as {m.role}: {m.before or 'nobody'} -> {m.after or 'nobody'}{marks}")
            lines.append(f"  was {m.rule_before or '(no rule)'}: {m.reason_before}")
            lines.append(f"  is  {m.rule_after or '(no rule)'}: {m.reason_after}")
        if len(made.moved) > MOST:
            lines.append(f"\n… and {len(made.moved) - MOST} more; --format json has all of them")
    return "\n".join(lines)


def _load(made: Impact) -> list[list[object]]:
    return [
        [rep, was, now, f"{now - was:+d}", "" if c is None else f"{c:g}" + (" over" if now > c else "")]
        for rep, was, now, c in made.shifts()[:MOST]
    ]


def _markdown(found: list[PolicyChange], compared: Comparison, made: Impact | None, old: str, new: str) -> str:
    """A comment for a pull request."""

    def cell(text: object) -> str:
        return markdown(text or "")

    lines = [f"## Policy change: {code(old)} → {code(new)}", "", f"**{cell(said(compared, found))}**", ""]
    for heading, cases in sections(compared):
        lines += [f"### {heading}", "", "| where | for example | before | after |", "|---|---|---|---|"]
        for d in cases[:MOST]:
            both = (": ".join(filter(None, side)) for side in sides(d))
            lines.append("| " + " | ".join(map(cell, (d.where, d.witness, *both))) + " |")
        lines += [f"\n… and {len(cases) - MOST} more"] if len(cases) > MOST else []
        lines.append("")
    if found:
        lines += ["| | where | rule | before | after |", "|---|---|---|---|---|"]
        lines += [f"| {c.kind} | {cell(c.where)} | {cell(c.name)} | {cell(c.before)} | {cell(c.after)} |" for c in found[:MOST]]
        lines += [f"\n… and {len(found) - MOST} more"] if len(found) > MOST else []
    if made is not None:
        f = made.facts
        lines += ["", f"**{f['moved']:g} of {f['decided']:g} allocations change hands ({f['moved_share']:.1%})**; customers: {f['customers_moved']:g}; "
                  f"live windows cut short: {f['windows_cut']:g}; left without an owner: {f['unowned']:g}", ""]  # fmt: skip
        if made.moved:
            lines += [
                "| from | to | records |",
                "|---|---|---|",
                *(f"| {cell(a)} | {cell(b)} | {n} |" for (a, b), n in made.matrix().most_common(MOST)),
                "",
            ]
            lines += [
                "| rep | before | after | | capacity |",
                "|---|---|---|---|---|",
                *("| " + " | ".join(map(cell, row)) + " |" for row in _load(made)),
                "",
            ]
            lines += [
                "<details><summary>Every record that moves</summary>",
                "",
                "| record | role | from | to | was | is |",
                "|---|---|---|---|---|---|",
            ]
            for m in made.moved[:500]:
                mark = " (customer)" if m.customer else ""
                lines.append(
                    f"| {cell(m.name)}{mark} | {m.role} | {cell(m.before)} | {cell(m.after)} | {cell(m.reason_before)} | {cell(m.reason_after)} |"
                )
            lines += [f"\n… and {len(made.moved) - 500} more"] if len(made.moved) > 500 else []
            lines += ["", "</details>"]
    return "\n".join(lines)


def _page(path: Path, found: list[PolicyChange], compared: Comparison, made: Impact | None, old: str, new: str) -> None:
    from roe.data.files import write_whole
    from roe.web.diff import diff_page

    try:
        write_whole(path, diff_page(found, compared, made, old, new))
    except OSError as e:
        unwritable(path, e)
