"""`roe match`: which account each lead belongs to, of any two files; or which leads are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import PATH, find_policy, load, put
from roe.cli.match_columns import asked_columns, columns_in, tell
from roe.cli.match_files import Records, Rows, is_for_columns, read, world_of
from roe.cli.table import table
from roe.data.files import csv_text
from roe.diagnostics import user_error
from roe.dynamic import Cell, Record, Value
from roe.files import uncollected
from roe.parallel import each
from roe.plan.operators import Relate
from roe.progress import phase
from roe.run.files import COLUMNS, reject_row

if TYPE_CHECKING:
    from roe.data.reading import Reject
    from roe.evaluator.relate import Match, Matcher
    from roe.evaluator.row import Row


RELEASED = 500  # leads after which the accounts that were read for them are dropped
PERSON = ("person", "first", "last")  # fields of the definition of duplicates
NOTHING = "it has nothing that a method compares"
RESULT = ("lead", "lead_name", "account", "account_name", "score", "method", "runner_up", "runner_up_name", "runner_up_score", "reason")


@click.command("match")
@click.option("--leads", type=PATH, required=True, help="File with leads: CSV, JSON, JSON lines or Parquet.")
@click.option("--accounts", type=PATH, help="File with accounts.")
@click.option("--duplicates", is_flag=True, help="Find duplicate leads instead of matching accounts.")
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Name a column: `company=Firma` for both files, `account.name=Firma` for one. Repeat for several.",
)
@click.option("--policy", type=PATH, help="Policy whose `matching:` to use. Default: the built-in definition.")
@click.option(
    "--at-least",
    type=click.FloatRange(0, 1),
    help="Accept a name only with at least this probability that it is the same company, 0 to 1. Default: 0.5, and less at the same address.",
)
@click.option("--group", is_flag=True, help="Where no account is the same company, find one of the same corporate group.")
@click.option("--out", type=PATH, required=True, help="CSV file to write, with one line for each lead.")
def command(
    leads: Path,
    accounts: Path | None,
    duplicates: bool,
    mapped: tuple[str, ...],
    policy: Path | None,
    at_least: float | None,
    group: bool,
    out: Path,
) -> None:
    """Find the account for each lead, with score, runner-up and reason."""
    _check_options(accounts, duplicates, policy, at_least, group)
    own = resources.files("roe") / "policies" / ("duplicates" if duplicates else "group" if group else "matching")
    evaluator = load(find_policy(policy) if policy is not None else Path(str(own)))
    loaded = evaluator.policy
    if ("lead", "matched_account") not in loaded.plan.steps:
        raise user_error("R304", "the policy has no `matching:`", policy, "add `matching: default`")
    in_columns = accounts is not None and is_for_columns(evaluator, (leads, accounts))
    files: dict[str, Records] = {
        "lead": read(leads, in_columns),
        "account": read(accounts, in_columns) if accounts is not None else Rows([]),
    }
    maps = asked_columns(mapped, loaded, {e: files[e if accounts is not None else "lead"].headers for e in files})
    columns = {entity: columns_in(loaded, entity, some, maps[entity]) for entity, some in files.items()}
    tell(leads, "lead", files["lead"], columns["lead"])
    if accounts is not None:
        tell(accounts, "account", files["account"], columns["account"])
    if duplicates:
        _lead_against_lead(files, columns)
    tables = {entity: some.renamed(columns[entity]) for entity, some in files.items()}
    with uncollected():
        world = world_of(evaluator, tables, in_columns)
        del files, tables  # as large as what was made of them
    step = loaded.plan.steps["lead", "matched_account"]
    assert isinstance(step, Relate)
    matcher = world.matcher(step if at_least is None else _at_least(step, at_least))
    rows, show = world.all("lead"), _person_of_company if duplicates else _company
    place = dict(zip((row["id"] for row in rows), world.line_numbers("lead"), strict=True))

    def answer(i: int) -> list[Value]:
        row = rows[i]
        match = matcher.match(row, lambda c: not duplicates or place[c["id"]] < place[row["id"]])
        line = _line(row, match, matcher, show, "earlier lead" if duplicates else "account")
        if i % RELEASED == 0:
            world.release("account")
        return line

    phase("indexing accounts")
    matcher.prepare()
    lines = list(each(answer, len(rows), "matching"))
    lines.sort(key=lambda line: place[line[0]])
    _write(lines, world.rejects, out, duplicates)
    _summary(lines, len(world.rejects), out, duplicates)


def _check_options(accounts: Path | None, duplicates: bool, policy: Path | None, at_least: float | None, group: bool) -> None:
    """Refuse options that contradict each other."""
    if accounts is None and not duplicates:
        raise click.UsageError("name the file of accounts with --accounts, or ask for --duplicates")
    others = {"--accounts": accounts, "--group": group or None, "--at-least": at_least if policy is None else None}
    beside = [option for option, value in others.items() if value is not None]
    if duplicates and beside:
        raise click.UsageError(f"--duplicates compares the leads with each other, and not their companies: leave out {', '.join(beside)}")
    if group and policy is not None:
        raise click.UsageError("--group is about the built-in definition: write `matching: group` in a policy of your own")


def _lead_against_lead(files: dict[str, Records], columns: dict[str, dict[str, str]]) -> None:
    """Make the leads the accounts that leads are compared with."""
    columns["account"] = {}
    leads = files["lead"]
    assert isinstance(leads, Rows)
    files["account"] = Rows([_as_account(row, columns["lead"]) for row in leads.rows])
    files["lead"] = Rows([{**row, **{f"\0{k}": x for k, x in _person(row, columns["lead"]).items()}} for row in leads.rows])
    columns["lead"] |= {name: f"\0{name}" for name in PERSON}


def _write(lines: list[list[object]], rejects: list[Reject], out: Path, duplicates: bool) -> None:
    put(csv_text(("lead", "lead_name", "duplicate_of", "duplicate_name", *RESULT[4:]) if duplicates else RESULT, lines), out, said=False)
    if rejects:
        put(csv_text(COLUMNS["rejects.csv"], map(reject_row, rejects)), out.with_suffix(".rejects.csv"), said=False)


def _at_least(step: Relate, probability: float) -> Relate:
    """The same definition, with one least probability for all methods that compare names."""
    return replace(step, methods=tuple(replace(m, least=probability) if m.similar is not None else m for m in step.methods))


def _person(row: Record, columns: Mapping[str, str]) -> dict[str, str]:
    """The names of a person. A full name ends with the last name, or begins with it before a comma; a single word is both."""
    first, last = (str(row.get(columns.get(k, "")) or "").strip() for k in ("first_name", "last_name"))
    if not first and not last:
        full = str(row.get(columns.get("name", "")) or "").strip()
        last, comma, first = (part.strip() for part in full.partition(","))
        if not comma:
            first, _, last = full.rpartition(" ")
            first = first.strip() or last
    return {"person": f"{first} {last}".strip() if first != last else last, "first": first, "last": last}


def _as_account(row: Record, columns: Mapping[str, str]) -> dict[str, object]:
    """A lead as what other leads are held against."""

    def of(name: str) -> Cell:
        return row.get(columns[name]) if name in columns else None

    return {
        "id": of("id") or of("email"), "name": of("company"), **_person(row, columns), "email": of("email"), "domain": of("email"),
        "phone": of("phone"), "country": of("country"), "$line": row["$line"],
    }  # fmt: skip


def _line(row: Row, match: Match, matcher: Matcher, show: Callable[[Row], object], target: str) -> list[Value]:
    """A row of the result: the best candidate, the next best, and why. `show` names a record, and `target` is what was looked for."""
    best = next((c for c in match.candidates if c.row is match.row), None)
    other = next((c for c in match.candidates if c.row is not match.row), None)
    runner = ["", "", ""] if other is None else [other.row["id"], show(other.row), other.score]
    why_not = "" if other is None else f"{show(other.row)}: {other.lost}"
    if best is None:
        reason = f"no {target}; {why_not}" if why_not else f"no {target} is like it" if matcher.can_search(row) else NOTHING
        return [row["id"], show(row), "", "", "", "", *runner, reason]
    reason = f"by {best.method}" + (f"; {why_not}" if why_not else "")
    return [row["id"], show(row), best.row["id"], show(best.row), best.score, best.method, *runner, reason]


def _company(row: Row) -> object:
    """A record by its company."""
    return row["company" if row.entity == "lead" else "name"] or row.label


def _person_of_company(row: Row) -> object:
    """A lead by its person and company, whether it stands as a lead or as an account."""
    return (
        ", ".join(str(part) for part in (row["person"], row["company" if row.entity == "lead" else "name"]) if part)
        or row["email"]
        or row["id"]
    )


def _summary(lines: list[list[object]], rejects: int, out: Path, duplicates: bool) -> None:
    from collections import Counter

    none = "(the first of its kind)" if duplicates else "(no account)"
    methods = Counter(line[5] or ("(nothing to go by)" if line[9] == NOTHING else none) for line in lines)
    click.echo(table([[m, n, f"{100 * n / max(len(lines), 1):.1f}%"] for m, n in methods.most_common()], ["method", "leads", "share"]))
    more = f", {rejects} records rejected: see {out.with_suffix('.rejects.csv')}" if rejects else ""
    click.echo(f"\n{len(lines)} leads{more}; see {out}")
