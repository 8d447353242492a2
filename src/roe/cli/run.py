"""`roe run`: decide every record, and write what moves."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import PATH, as_of_option, clock, data_option, fail, heed, load, policy_argument, state_option, wait_option, writing
from roe.cli.lean import before_arrow, without_pandas
from roe.cli.table import table
from roe.diagnostics import PolicyError, as_text, errors, user_error
from roe.dynamic import Json
from roe.words import counted, some, verb

if TYPE_CHECKING:
    from roe.evaluator.engine import Evaluator
    from roe.run.run import Finished


@click.command("run")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--out", type=PATH, required=True, help="Folder to write allocations.csv, changes.csv, rollback.csv and so on to.")
@click.option(
    "--trace",
    "traces",
    is_flag=True,
    help="Keep the explanations for `roe explain --run`. The row engine writes all of them to trace.jsonl; the column engine and Spark keep what they need to make any of them.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "rows", "columns", "spark"]),
    default="auto",
    show_default=True,
    help="Compute record by record, in columns (roe-policy[batch]), or on Spark (roe-policy[spark]). The results are the same.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "parts", "delta"]),
    default="csv",
    show_default=True,
    help="File format of allocations and changes. With parts, each task writes its own Parquet files. With delta, a run is a new version of Delta tables (roe-policy[delta]).",
)
@click.option(
    "--turns",
    type=click.Choice(["jsonl", "parquet"]),
    help="File format of the turns of pools. Default: jsonl up to 50,000 turns, parquet above.",
)
@wait_option
@click.option("--dry-run", "dry", is_flag=True, help="Decide and write the files, and commit nothing to the ledger.")
@click.option("--apply", "apply", is_flag=True, help="Commit the dry run that is in the --out folder, just as it is.")
@click.option("--replay", is_flag=True, help="Decide on a copy of the ledger as it was on the --as-of day, and commit nothing.")
@click.option("--activate", is_flag=True, help="Let this policy take over the ledger from another one that decides the same owners.")
@click.option(
    "--accept",
    "accepted",
    metavar="WHO AND WHY",
    default="",
    help="Commit although an invariant does not hold. The ledger keeps who and why.",
)
def command(
    policy: Path | None, data: Path, as_of: str, state: str | None, out: Path, traces: bool, engine: str, form: str, turns: str | None, wait: float, dry: bool,
    apply: bool, replay: bool, activate: bool, accepted: str,
) -> None:  # fmt: skip
    """Decide every record, and write allocations, changes and rejects.

    All of it appears at once: the files, with run.json last, and what the next run needs to know, in the ledger that --state names. A run
    that is interrupted never happened, or is finished by the next command.
    """
    from roe.data.report import in_lines
    from roe.run.engine import Job
    from roe.run.engines import choose
    from roe.run.run import RunOptions, run
    from roe.run.source import Source

    before_arrow()
    evaluator = load(policy)
    source = Source(evaluator.policy, data)
    if dry + apply + replay > 1:
        raise user_error("R801", "--dry-run, --apply and --replay exclude each other", "--apply", "give one of them")
    if apply:
        _apply(evaluator, clock(evaluator, as_of), out, state, wait, accepted)
        return
    job = Job(evaluator, source, clock(evaluator, as_of), form=form, traces=traces, turns=turns or "")
    try:
        if choose(engine, job).name in ("columns", "portions"):
            without_pandas()
        options = RunOptions(state or "", engine, wait, dry, replay, accepted, activate, say=_say)
        with writing(out):
            finished = run(job, out, options)
    except PolicyError as e:
        fail([*source.warnings, *e.diagnostics])
    heed(source.warnings)
    for line in (*(f"note: {n}" for n in finished.notes), *in_lines(finished.report, finished.last)):
        click.echo(line, err=True)
    _show(finished.summary, out, "rep" in finished.report)
    _outcome(finished, out, state, replay)


def _outcome(finished: Finished, out: Path, state: str | None, replay: bool) -> None:
    """What came of it: changes since the last run, whether it was committed, and the invariants that do not hold."""
    from roe.run.folder import files_of

    if finished.since is not None:
        s = finished.since
        changes = f"{s.by_rules} by rules, {s.by_hand} by hand, {s.by_time} by time" if s.by_rules or s.by_hand or s.by_time else "none"
        undone = f"; rules have undone {counted(s.undone, 'change')} in the CRM" if s.undone else ""
        click.echo(f"owners changed since the run as of {s.last}: {changes}{undone}")
    if finished.outcome == "dry":
        click.echo("nothing was committed: this was a " + ("replay" if replay else "dry run"))
    if finished.broken:
        click.echo(as_text(finished.broken), err=True)
    if finished.outcome == "refused" or (state is None and errors(finished.broken)):
        unchanged = f"; the ledger in {state} is as it was" if state is not None else ""
        click.echo(f"invariants do not hold: see {files_of(out) / 'invariants.csv'}{unchanged}", err=True)
        sys.exit(1)


def _say(note: str) -> None:
    click.echo(f"note: {note}", err=True)


def _apply(evaluator: Evaluator, as_of: str, out: Path, state: str | None, wait: float, accepted: str) -> None:
    """Commit the dry run in a folder."""
    from roe.grammar import values as v
    from roe.run.inputs import digest_of, policy_files
    from roe.run.pending import apply_dry_run

    if state is None:
        raise user_error("R801", "--apply needs a ledger", "--apply", "add --state")
    policy = evaluator.policy
    with writing(out):
        moment = v.literal(evaluator.clock(as_of).now)
        mark = apply_dry_run(out, state, policy.timezone, moment, digest_of(policy_files(policy)), wait, accepted)
    moved = mark["counts"]["moved"]
    click.echo(
        f"committed: {moved} of {counted(mark['counts']['allocations'], 'allocation')} {verb(moved, 'changes', 'change')} hands; see {out}"
    )


def _show(summary: Json, out: Path, has_reps: bool) -> None:
    """What the run decided. `has_reps`: whether the data lists reps, so that an owner whom it does not list is odd."""
    rows = [[key, rule, n, f"{n / sum(rules.values()):.1%}"] for key, rules in summary["rules"].items() for rule, n in rules.items()]
    click.echo(table(rows[:MOST_ROWS], ["records and role", "rule", "decided", "share"]))
    if len(rows) > MOST_ROWS:
        click.echo(f"… and {len(rows) - MOST_ROWS} more rules, in summary.json")
    rejected = sum(summary["rejected"].values())
    moved = summary["moved"]
    click.echo(
        f"\n{counted(summary['allocations'], 'allocation')}, {moved:,} {verb(moved, 'changes', 'change')} hands, {counted(rejected, 'record')} rejected; see {out}"
    )
    for c in summary["corrected"][:MOST_CORRECTED]:
        click.echo(f"corrected: {c['entity']}.{c['field']} `{c['written']}` to `{c['meant']}` in {counted(c['records'], 'record')}")
    if len(summary["corrected"]) > MOST_CORRECTED:
        click.echo(f"… and {len(summary['corrected']) - MOST_CORRECTED} more corrections, in summary.json")
    missing: dict[tuple[str, str], int] = {}
    for d in summary["dangling"]:
        missing[d["entity"], d["field"]] = missing.get((d["entity"], d["field"]), 0) + d["records"]
    for c in summary["conflicts"]:
        records = f"{counted(len(c['records']), 'record')}: {some(c['records'], 5)}"
        click.echo(f"warning: {c['step']} allows one row, and {c['rules']} all hold for {records} [R609]")
    for leaver in summary.get("leavers", ())[:MOST_LEAVERS]:
        click.echo(_of_leaver(leaver))
    if len(summary.get("leavers", ())) > MOST_LEAVERS:
        click.echo(f"… and {len(summary['leavers']) - MOST_LEAVERS} more reps who have left, in summary.json")
    if summary["unlisted_reps"]:
        shown = some(summary["unlisted_reps"], 8)
        if has_reps:
            click.echo(f"warning: these owners are not among the reps of the data: {shown}")
        else:
            click.echo(
                f"note: the data has no list of reps, so owners are known by name only: {shown}. Add reps.csv for their capacity, leave and team"
            )
    for (entity, field), n in missing.items():
        click.echo(
            f"warning: {counted(n, 'value')} of {entity}.{field} {verb(n, 'matches', 'match')} no record; see `dangling` in summary.json"
        )


def _of_leaver(leaver: Json) -> str:
    """What became of the records of a rep who has left, and where the policy still names that rep."""
    to: Counter[str | None] = Counter()
    for held in leaver["records"]:
        to[held["owner"]] += held["records"]
    nobody, unchanged = to.pop(None, 0), to.pop(leaver["rep"], 0)
    moved = to.total()
    said = [
        f"{counted(moved, 'record')} went to {counted(len(to), 'other')}" if moved else "",
        f"{format(nobody, ',') if moved else counted(nobody, 'record') + ' went'} to nobody" if nobody else "",
        f"{counted(unchanged, 'record')} {verb(unchanged, 'stays', 'stay')} as {verb(unchanged, 'it is', 'they are')}" if unchanged else "",
    ]
    places = list(dict.fromkeys(named["place"] for named in leaver["named"]))
    shown = ", ".join(places[:MOST_PLACES]) + (f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else "")
    books = [f"{counted(n, 'account')} {verb(n, 'stays', 'stay')} in the book `{book}`" for book, n in leaver.get("books", {}).items()]
    parts = [
        ", ".join(x for x in said if x),
        ", ".join(books) + " until the next `roe books plan` is applied" if books else "",
        f"still named in {shown} [R417]" if places else "",
    ]
    return f"{leaver['name']} {leaver['why']}: " + "; ".join(x for x in parts if x)


MOST_ROWS = 100
MOST_CORRECTED = 10
MOST_LEAVERS = 10
MOST_PLACES = 4
