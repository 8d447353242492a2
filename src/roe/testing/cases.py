"""`tests/*.yaml` and `tests/*.csv` beside a policy, read into cases.

A CSV table has one case a row: `name` and `as_of`; a column for each given field of the one record, as `account.country`;
and a column for each expectation, as `expect.owner`.
"""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from roe.data.coerce import Records, columns_of
from roe.data.scan import Origin
from roe.diagnostics import Diagnostic, errors, suggest
from roe.files import MAX_TABLE_BYTES, read_text, schema
from roe.policy.loader import Map, load_yaml, validate
from roe.policy.model import Field, Policy
from roe.policy.standard import FILES
from roe.policy.tables import objects, parse_csv
from roe.source import Span, Text, span_of

Given = dict[str, list[dict[str, Any]]]


@dataclass(slots=True)
class Expectation:
    """What must hold of one record; `wanted` maps a field of the decision, or an expression, to its text."""

    record: str
    entity: str
    role: str
    wanted: dict[str, Text]
    values: dict[str, Text]
    rejected: Text | None
    place: Span


@dataclass(slots=True)
class Case:
    name: str
    file: str
    as_of: str
    given: Given
    expect: list[Expectation] = field(default_factory=list)
    place: Span | None = None


def load_cases(policy: Policy) -> tuple[list[Case], list[Diagnostic]]:
    """Every case beside a policy, in the order of the files' names."""
    folder = policy.root / "tests"
    cases: list[Case] = []
    found: list[Diagnostic] = []
    for path in sorted(p for p in folder.glob("*") if p.suffix in (".yaml", ".yml", ".csv")) if folder.is_dir() else []:
        shown = f"tests/{path.name}"
        made, problems = (_csv if path.suffix == ".csv" else _yaml)(path, shown, policy)
        cases += made
        found += problems
    return cases, found


def entity_named(name: str, policy: Policy) -> str | None:
    """`account` for account and accounts."""
    for entity in policy.model.entities:
        if name in (entity, *FILES.get(entity, (entity + "s",))):
            return entity
    return None


def _yaml(path: Path, shown: str, policy: Policy) -> tuple[list[Case], list[Diagnostic]]:
    of = schema("tests")
    content, found = load_yaml(path, shown, of)
    if content is None:
        return [], found
    found += validate(content, of, shown)
    if errors(found):
        return [], found
    shared = _given(content.get("given") or Map(), policy, found)
    if content.get("data"):
        shared = _join(_data(content["data"], policy, found), shared, policy)
    cases = []
    for raw in content["tests"]:
        as_of = raw.get("as_of") or content.get("as_of")
        if not as_of:
            found.append(Diagnostic("R701", f"the test `{raw['name']}` has no day", span_of(raw["name"]), "add `as_of: 2026-02-01`"))
            continue
        given = _join(shared, _given(raw.get("given") or Map(), policy, found), policy)
        expect = [_expectation(e, given, policy, found) for e in raw["expect"]]
        cases.append(Case(str(raw["name"]), shown, str(as_of), given, [e for e in expect if e], span_of(raw["name"])))
    return cases, found


def _given(raw: Map, policy: Policy, found: list[Diagnostic]) -> Given:
    given: Given = {}
    for key, records in raw.items():
        entity = entity_named(str(key), policy)
        if entity is None:
            help = suggest(str(key), policy.model.entities, "name an entity of the policy")
            found.append(Diagnostic("R504", f"there is no entity `{key}`", span_of(key), help))
            continue
        known = [*policy.model.entities[entity], *(f"owner.{r}" for r in policy.roles), *(f"owner_{r}" for r in policy.roles)]
        columns = [c for f in policy.model.entities[entity].values() for c in f.columns]
        for record in records:
            for name in record:
                if (
                    str(name) not in known
                    and str(name) not in columns
                    and not columns_of(entity, policy.model.entities[entity], [str(name)], policy.roles)
                ):
                    help = suggest(str(name), known, "declare the field under `fields:`")
                    found.append(Diagnostic("R204", f"unknown field `{name}` of {entity}", span_of(name), help))
        fields = policy.model.entities[entity]
        given.setdefault(entity, []).extend({str(k): _plain(fields.get(str(k)), x) for k, x in r.items()} for r in records)
    return given


def _plain(f: Field | None, text: Any) -> Any:
    """A value of a test: a number as the language writes it, whatever the data's own way of writing numbers is; else a text."""
    written = str(text)
    if f is not None and f.type.name == "number" and _NUMBER.fullmatch(written):
        return float(written) if "." in written else int(written)
    return written


_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)


def _data(name: Text, policy: Policy, found: list[Diagnostic]) -> Given:
    from roe.data.read import read_tables

    folder = policy.root / str(name)
    if not folder.resolve().is_relative_to(policy.root.resolve()):
        found.append(Diagnostic("R308", f"`{name}` is outside the policy folder", span_of(name), "name a folder below it"))
        return {}
    tables, problems = read_tables(policy, folder)
    found += problems
    return dict(tables)


def _join(first: Given, more: Given, policy: Policy) -> Given:
    """Both sets of records; one with the id of an earlier one replaces it. Fields have the names of the columns that stand there already."""
    out: Given = {entity: copy(rows) for entity, rows in first.items()}
    for entity, rows in more.items():
        have = out.get(entity, [])
        key, renamed = _renamed(entity, have, rows, policy)
        ids = {r.get(key) for r in renamed}
        kept = [r for r in have if r.get(key) not in ids or r.get(key) is None]
        header = dict.fromkeys((*_header(have), *(k for r in renamed for k in r)))
        origin = have.origin if isinstance(have, Records) else Origin("")
        out[entity] = Records([*kept, *renamed], replace(origin, header=tuple(header)))
    return out


def _renamed(entity: str, have: list[dict[str, Any]], rows: list[dict[str, Any]], policy: Policy) -> tuple[str, list[dict[str, Any]]]:
    """(the column of ids, the records under the names of the columns that others have)."""
    fields = policy.model.entities[entity]
    there = columns_of(entity, fields, _header(have), policy.roles)

    def column_for(name: str, key: str) -> str:
        f = fields.get(name)
        declared = f.columns[0] if f is not None and f.columns and not f.standard else key
        return there.get(name, declared)

    out = []
    for row in rows:
        own = {column: name for name, column in columns_of(entity, fields, row, policy.roles).items()}
        out.append({column_for(own.get(k, k), k): x for k, x in row.items()})
    return there.get("id", "id"), out


def _expectation(raw: Any, given: Given, policy: Policy, found: list[Diagnostic]) -> Expectation | None:
    record = str(raw["record"])
    engaged = list(dict.fromkeys(entity for entity, _ in policy.plan.engagement))
    entity = raw.get("entity")
    if entity is None:
        holding = [e for e in engaged if _holds(given.get(e, []), record, e, policy)]
        entity = holding[0] if holding else engaged[0] if engaged else "account"
    roles = [r for e, r in policy.plan.engagement if e == entity]
    role = raw.get("role") or (roles[0] if roles else "")
    skip = ("record", "entity", "role", "values", "rejected")
    wanted = {str(k): x for k, x in raw.items() if k not in skip}
    if role not in roles and "rejected" not in raw and (raw.get("role") or wanted or entity not in policy.model.entities):
        help = suggest(str(role), roles, "the roles are " + ", ".join(f"`{r}`" for r in roles))
        found.append(Diagnostic("R502", f"a {entity} has no role `{role}` in this policy", span_of(raw.get("role") or raw["record"]), help))
        return None
    if not wanted and not raw.get("values") and "rejected" not in raw:
        found.append(Diagnostic("R701", "the expectation expects nothing", span_of(raw["record"]), "add `owner:`, `rule:` or `values:`"))
    return Expectation(record, str(entity), str(role), wanted, dict(raw.get("values") or {}), raw.get("rejected"), span_of(raw["record"]))


def _header(rows: list[dict[str, Any]]) -> list[str]:
    known = rows.origin.header if isinstance(rows, Records) else ()
    return [k for k in known or dict.fromkeys(k for r in rows for k in r) if k != "$line"]


def _holds(rows: list[dict[str, Any]], record: str, entity: str, policy: Policy) -> bool:
    key, _ = _renamed(entity, rows, [], policy)
    return any(str(r.get(key)) == record for r in rows)


def _csv(path: Path, shown: str, policy: Policy) -> tuple[list[Case], list[Diagnostic]]:
    text, found = read_text(path, shown, MAX_TABLE_BYTES)
    if text is None:
        return [], found
    table, problems = parse_csv(text, shown)
    found += problems
    if table is None:
        return [], found
    for column in [c for c in ("name", "as_of") if table.column(c) is None]:
        found.append(Diagnostic("R403", f"the test table has no column `{column}`", table.place, "add the column"))
    if errors(found):
        return [], found
    cases = []
    for number, row in enumerate(objects(table), 1):
        given: Given = {}
        expect = Map()
        for header, cell in row.items():
            head, _, rest = str(header).partition(".")
            if not cell or header in ("name", "as_of"):
                continue
            if head == "expect" and rest:
                expect[Text(rest, header.origin)] = cell  # type: ignore[attr-defined]
                continue
            entity = entity_named(head, policy)
            if entity is None or not rest:
                known = [*policy.model.entities, "expect"]
                found.append(
                    Diagnostic(
                        "R701",
                        f"`{header}` is neither a given field nor an expectation",
                        span_of(header),
                        suggest(head, known, "write `account.country` or `expect.owner`"),
                    )
                )
                continue
            given.setdefault(entity, [{}])[0][rest] = str(cell)
        for rows in given.values():
            rows[0].setdefault("id", f"row-{number}")
        engaged = [e for e, _ in policy.plan.engagement if e in given]
        subject = "lead" if "lead" in engaged else engaged[0] if engaged else "account"
        if "account" in given and "lead" in given:
            given["lead"][0].setdefault("account", given["account"][0]["id"])
        record = given.get(subject, [{"id": ""}])[0]["id"]
        name = row["name"]
        expect["record"], expect["entity"] = Text(record, name.origin), subject
        given = {entity: _renamed(entity, [], rows, policy)[1] for entity, rows in given.items()}
        one = _expectation(expect, given, policy, found)
        cases.append(Case(str(name), shown, str(row["as_of"]), given, [one] if one else [], name.span()))
    return cases, found
