"""`roe match`: which account each lead belongs to, of any two files; or which leads are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import PATH, fail, find_policy, load, put, table
from roe.cli.match_files import Records, Rows, is_for_columns, read, world_of
from roe.data.files import csv_text
from roe.data.headers import columns_of, normal
from roe.diagnostics import Diagnostic, suggest, user_error
from roe.dynamic import Cell, Record, Value
from roe.files import uncollected
from roe.parallel import each
from roe.plan.operators import Relate
from roe.policy.model import Policy
from roe.progress import phase
from roe.run.files import COLUMNS, reject_row
from roe.source import Span

if TYPE_CHECKING:
    from roe.data.reading import Reject
    from roe.evaluator.row import Row


RELEASED = 500  # leads after which the accounts that were read for them are dropped
RESULT = ("lead", "lead_name", "account", "account_name", "score", "method", "runner_up", "runner_up_name", "runner_up_score", "reason")

# the other names under which files have a field; as `normal` writes them
SYNONYMS: dict[str, dict[str, tuple[str, ...]]] = {
    "lead": {
        "company": (
            "company_name",
            "organization",
            "organisation",
            "account_name",
            "account",
            "employer",
            "firma",
            "business_name",
            "name",
        ),
        "email": ("email_address", "e_mail", "mail", "work_email"),
        "website": ("url", "web", "homepage", "domain", "web_site", "company_domain"),
        "phone": ("phone_number", "telephone", "tel", "mobile"),
        "country": ("country_region", "country_code", "billing_country", "land"),
        "city": ("town", "billing_city", "ort", "stadt"),
        "postal_code": ("zip", "zip_code", "zipcode", "postcode", "billing_postal_code", "plz"),
        "street": ("address", "street_address", "billing_street", "strasse", "addr"),
    },
    "account": {
        "name": ("company_name", "company", "account_name", "organization", "organisation", "firma", "business_name", "title"),
        "domain": ("company_domain_name", "website", "url", "web", "homepage", "web_site", "email_domain"),
        "phone": ("phone_number", "telephone", "tel"),
        "country": ("country_region", "country_code", "billing_country", "land"),
        "city": ("town", "billing_city", "ort", "stadt"),
        "postal_code": ("zip", "zip_code", "zipcode", "postcode", "billing_postal_code", "plz"),
        "street": ("address", "street_address", "billing_street", "strasse", "addr"),
    },
}


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
    if (accounts is None) is not duplicates:
        raise click.UsageError("name the file of accounts with --accounts, or ask for --duplicates")
    if group and (duplicates or policy is not None):
        raise click.UsageError("--group is about the built-in definition: write `matching: group` in a policy of your own")
    own = resources.files("roe") / "policies" / ("duplicates" if duplicates else "group" if group else "matching")
    evaluator = load(find_policy(policy) if policy is not None else Path(str(own)))
    loaded = evaluator.policy
    if ("lead", "matched_account") not in loaded.plan.steps:
        raise user_error("R503", "the policy has no `matching:`", policy, "add `matching: default`")
    in_columns = accounts is not None and is_for_columns(evaluator, (leads, accounts))
    files: dict[str, Records] = {
        "lead": read(leads, in_columns),
        "account": read(accounts, in_columns) if accounts is not None else Rows([]),
    }
    maps = _maps(mapped, loaded, {"lead": files["lead"], "account": files["account" if accounts is not None else "lead"]})
    columns = {entity: _columns(loaded, entity, some, maps[entity]) for entity, some in files.items()}
    if duplicates:
        _lead_against_lead(files, columns)
    tables = {entity: some.renamed(columns[entity]) for entity, some in files.items()}
    with uncollected():
        world = world_of(evaluator, tables, in_columns)
        del files, tables  # as large as what was made of them
    step = loaded.plan.steps["lead", "matched_account"]
    assert isinstance(step, Relate)
    matcher = world.matcher(step if at_least is None else _at_least(step, at_least))
    rows = world.all("lead")
    place = dict(zip((row["id"] for row in rows), world.line_numbers("lead"), strict=True))

    def answer(i: int) -> list[Value]:
        row = rows[i]
        line = _line(row, matcher.match(row, lambda c: not duplicates or place[c["id"]] < place[row["id"]]))
        if i % RELEASED == 0:
            world.release("account")
        return line

    phase("indexing accounts")
    matcher.prepare()
    lines = list(each(answer, len(rows), "matching"))
    lines.sort(key=lambda line: place[line[0]])
    _write(lines, world.rejects, out, duplicates)
    _summary(lines, len(world.rejects), out, duplicates)


def _lead_against_lead(files: dict[str, Records], columns: dict[str, dict[str, str]]) -> None:
    """Make the leads the accounts that leads are compared with."""
    columns["account"] = {}
    leads = files["lead"]
    assert isinstance(leads, Rows)
    files["account"] = Rows([_as_account(row, columns["lead"]) for row in leads.rows])
    files["lead"] = Rows([{**row, "\0person": _person(row, columns["lead"])} for row in leads.rows])
    columns["lead"]["person"] = "\0person"


def _write(lines: list[list[object]], rejects: list[Reject], out: Path, duplicates: bool) -> None:
    put(csv_text(("lead", "lead_name", "duplicate_of", *RESULT[3:]) if duplicates else RESULT, lines), out, said=False)
    if rejects:
        put(csv_text(COLUMNS["rejects.csv"], map(reject_row, rejects)), out.with_suffix(".rejects.csv"), said=False)


def _at_least(step: Relate, probability: float) -> Relate:
    """The same definition, with one least probability for all methods that compare names."""
    return replace(step, methods=tuple(replace(m, least=probability) if m.similar is not None else m for m in step.methods))


def _maps(mapped: Iterable[str], policy: Policy, files: Mapping[str, Records]) -> dict[str, dict[str, str]]:
    """field -> column of each file, as it was asked for."""
    asked_for: dict[str, dict[str, str]] = {"lead": {}, "account": {}}
    headers = {entity: some.headers for entity, some in files.items()}
    problems = []
    for text in mapped:
        field, equals, column = text.partition("=")
        entity, dot, name = field.strip().partition(".")
        asked = [entity] if dot else ["lead", "account"]
        name = name if dot else entity
        fits = [
            (e, _meant(e, name)) for e in asked if e in asked_for and _meant(e, name) in policy.model.entities[e] and column in headers[e]
        ]
        if not equals or not fits:
            known = sorted({*headers["lead"], *headers["account"]})
            help = suggest(column, known, f"the columns are {', '.join(known[:8])}; write --map company=Firma")
            problems.append(Diagnostic("R503", f"`--map {text}` names no field and column", Span("--map", 1, 1, 2, text), help))
        for e, name in fits:
            asked_for[e][name] = column
    if problems:
        fail(problems)
    return asked_for


def _meant(entity: str, name: str) -> str:
    """A lead's company is an account's name."""
    return {("account", "company"): "name", ("account", "email"): "domain"}.get((entity, name), name)


def _columns(policy: Policy, entity: str, records: Records, asked: Mapping[str, str]) -> dict[str, str]:
    """field -> column: what was asked for, what the policy knows, and what the column's name says."""
    headers = records.headers
    columns = columns_of(entity, policy.model.entities[entity], headers, policy.roles)
    by_name = {normal(h): h for h in reversed(headers)}
    for name, others in SYNONYMS[entity].items():
        column = next((by_name[o] for o in others if o in by_name), None)
        if name not in columns and column is not None:
            columns[name] = column
    if "id" not in columns:
        ids = [h for h in headers if normal(h).endswith("_id") or normal(h) in ("record_id", "key", "nr", "no")]
        column = next(filter(records.tells_apart, ids), None)
        if column is not None:
            columns["id"] = column
    return {**columns, **asked}


def _person(row: Record, columns: Mapping[str, str]) -> str:
    parts = [row.get(columns[k]) for k in ("first_name", "last_name") if k in columns]
    return " ".join(str(p) for p in parts if p) or str(row.get(columns.get("name", ""), "") or "")


def _as_account(row: Record, columns: Mapping[str, str]) -> dict[str, object]:
    """A lead as what other leads are held against."""

    def of(name: str) -> Cell:
        return row.get(columns[name]) if name in columns else None

    return {
        "id": of("id") or of("email"), "name": of("company"), "person": _person(row, columns), "email": of("email"), "domain": of("email"),
        "phone": of("phone"), "country": of("country"), "$line": row["$line"],
    }  # fmt: skip


def _line(row: Row, match: Value) -> list[Value]:
    best = next((c for c in match.candidates if c.row is match.row), None)
    other = next((c for c in match.candidates if c.row is not match.row), None)
    runner = ["", "", ""] if other is None else [other.row["id"], other.row.label, other.score]
    shown = row["company"] or row.label
    if best is None:
        reason = f"no account: {other.row.label} has {other.lost}" if other is not None else "no account is like it"
        return [row["id"], shown, "", "", "", "", *runner, reason]
    reason = f"by {best.method}" + (f"; {other.row.label}: {other.lost}" if other is not None else "")
    return [row["id"], shown, best.row["id"], best.row.label, best.score, best.method, *runner, reason]


def _summary(lines: list[list[object]], rejects: int, out: Path, duplicates: bool) -> None:
    from collections import Counter

    methods = Counter(line[5] or ("(the first of its kind)" if duplicates else "(no account)") for line in lines)
    click.echo(table([[m, n, f"{100 * n / max(len(lines), 1):.1f}%"] for m, n in methods.most_common()], ["method", "leads", "share"]))
    more = f", {rejects} records rejected: see {out.with_suffix('.rejects.csv')}" if rejects else ""
    click.echo(f"\n{len(lines)} leads{more}; see {out}")
