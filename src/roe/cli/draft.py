"""A first policy from a CRM export: fields with the values they have, reps, and territories and owners as they are today.

The draft keeps every owner that there is, and proposes territories by the one field that predicts the owners best: for
each of its values the rep who owns most of those accounts. RevOps edits from there; `roe audit` shows where the
proposal and today differ.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from roe.data.coerce import MISSING, columns_of, normal
from roe.data.files import csv_text
from roe.data.read import SUFFIXES, read_file, read_tables
from roe.diagnostics import Diagnostic, errors
from roe.evaluator.engine import Evaluator
from roe.grammar.field_functions import country
from roe.policy.build import build
from roe.policy.model import standard_fields
from roe.policy.standard import FILES
from roe.source import Span

DAY = "2026-01-01"  # the moment of the drafted tests; nothing in them depends on it
MAX_VALUES = 12  # a column with more distinct values is not a list of values
_ROLE_COLUMN = re.compile(r"owner_([a-z][a-z0-9]{0,15})|([a-z][a-z0-9]{0,15})_owner")
NO_ROLES = {"id", "name", "since", "email", "account", "company", "contact", "lead", "deal", "opportunity", "potential", "task", "record"}
TERRITORY_FIELDS = ("country", "state", "segment", "industry", "postal_code", "city")

Rows = list[dict[str, Any]]


def draft(export: Path, folder: Path) -> list[Diagnostic]:
    """Write policy, tables, tests and a copy of the data into the folder; what is wrong with the export comes back."""
    tables, found = _read(export)
    if errors(found):
        return found
    if "account" not in tables and "lead" not in tables:
        names = ", ".join(sorted(p.name for p in export.glob("*"))[:8]) if export.is_dir() else "no such folder"
        at = Span(str(export), 1, 1, 2)
        return [Diagnostic("R606", "the export has neither accounts nor leads", at, f"name the file accounts.csv; there is: {names}")]
    profile = _profile(tables)
    for sub in ("data", "tables", "tests"):
        (folder / sub).mkdir(exist_ok=True)
    for entity, (path, _) in tables.items():
        name = FILES[entity][0] + path.suffix
        shutil.copyfile(path, folder / "data" / name)
    fields = {entity: standard_fields(profile)[entity] for entity in tables}
    headers = {e: list(dict.fromkeys(k for r in rows for k in r if k != "$line")) for e, (_, rows) in tables.items()}
    roles = _roles(headers)
    columns = {e: columns_of(e, fields[e], headers[e], roles) for e in tables}
    accounts, of = tables.get("account", (None, []))[1], columns.get("account", {})
    if "rep" not in tables:
        _reps(tables, columns, folder)
    by, territories = _territories(accounts, of, roles[0])
    policy = _policy(export.name or "draft", profile, tables, columns, by, territories, roles)
    _write(folder / "policy.yaml", policy)
    if territories:
        _write(folder / "tables" / "territories.csv", csv_text(["name", by], ([value, json.dumps(value)] for value in territories)))
        staffing = [["territory", "role", "rep", "from", "until"]]
        rows = [[value, roles[0], rep, "", ""] for value, rep in territories.items()]
        _write(folder / "tables" / "staffing.csv", csv_text(staffing[0], rows))
    tests, problems = _tests(folder)
    _write(folder / "tests" / "today.yaml", tests)
    return problems


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


def _read(export: Path) -> tuple[dict[str, tuple[Path, Rows]], list[Diagnostic]]:
    found: list[Diagnostic] = []
    tables: dict[str, tuple[Path, Rows]] = {}
    if not export.is_dir():
        return {}, [Diagnostic("R606", f"there is no folder `{export}`", Span(str(export), 1, 1, 2), "name the folder of the export")]
    for path in sorted(export.iterdir()):
        entity = next((e for e, names in FILES.items() if path.stem.lower() in names), None)
        if entity and path.suffix.lower() in SUFFIXES and entity not in tables:
            rows, problems = read_file(path)
            found += problems
            if rows:
                tables[entity] = (path, rows)
    return tables, found


def _profile(tables: dict[str, tuple[Path, Rows]]) -> str:
    keys = {k for _, rows in tables.values() for k in rows[0]}
    if "OwnerId" in keys or "AccountId" in keys:
        return "salesforce"
    return "hubspot" if "Record ID" in keys else "generic"


def _value(row: dict[str, Any], column: str | None) -> str:
    value = "" if column is None else str(row.get(column) or "").strip()
    return "" if value.lower() in MISSING else value


def _reps(tables: dict[str, tuple[Path, Rows]], columns: dict[str, dict[str, str]], folder: Path) -> None:
    """Reps are whoever owns something."""
    owned = [(e, c) for e in tables for name, c in columns[e].items() if name.startswith("owner.")]
    owners = {o for e, column in owned for r in tables[e][1] if (o := _value(r, column))}
    _write(folder / "data" / "reps.csv", csv_text(["id", "name"], ([o, o] for o in sorted(owners))))


def _roles(headers: dict[str, list[str]]) -> list[str]:
    """The roles that own records: of the columns `owner_ae` and `csm_owner` ae and csm; else the one `owner`."""
    found = []
    for entity in ("account", "lead"):
        for header in headers.get(entity, ()):
            m = _ROLE_COLUMN.fullmatch(normal(header))
            role = (m[1] or m[2]) if m else ""
            if role and role not in NO_ROLES and role not in found:
                found.append(role)
    return found or ["owner"]


def _territories(accounts: Rows, columns: dict[str, str], role: str) -> tuple[str, dict[str, str]]:
    """The field that predicts owners best, and for each of its values the rep who owns most."""
    best: tuple[int, str, dict[str, str]] = (0, "", {})
    for name in TERRITORY_FIELDS:
        column = columns.get(name)
        groups: dict[str, Counter[str]] = {}
        for row in accounts:
            value, owner = _value(row, column), _value(row, columns.get(f"owner.{role}"))
            value = (country(value) or "") if name == "country" else value  # as the loader reads it
            if value and owner:
                groups.setdefault(value, Counter())[owner] += 1
        kept = {v: min(c.items(), key=lambda item: (-item[1], item[0]))[0] for v, c in sorted(groups.items())}
        hits = sum(groups[v][rep] for v, rep in kept.items())
        if 1 < len(kept) <= max(2, len(accounts) // 2) and hits > best[0]:
            best = (hits, name, kept)
    return best[1], best[2]


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _policy(
    name: str,
    profile: str,
    tables: dict[str, tuple[Path, Rows]],
    columns: dict[str, dict[str, str]],
    by: str,
    territories: dict[str, str],
    roles: list[str],
) -> str:
    lines = [
        "# yaml-language-server: $schema=.roe/policy.schema.json",
        "# Drafted from an export: everything here is a proposal.",
        "roe: 1",
    ]
    lines += [f"name: {_quote(name)}", "timezone: UTC", f"profile: {profile}", f"roles: [{', '.join(roles)}]", ""]
    drafted: list[str] = []
    for entity, (_, rows) in tables.items():
        fields = _fields(rows, columns[entity], profile, entity)
        if fields:
            drafted += [f"  {entity}:", *fields]
    lines += ["fields:", *drafted, ""] if drafted else []
    if territories:
        lines += [f"# {len(territories)} territories by {by}, each with the rep who owns most of it today", "territories:"]
        lines += [
            "  table: tables/territories.csv",
            "  hit: first",
            "  staffing: tables/staffing.csv",
            f"  inputs: {{{by}: account.{by}}}",
            "  outputs: []",
            "",
        ]
    lines += ["engagement:"]
    for entity in [e for e in ("account", "lead") if e in tables]:
        lines.append(f"  {entity}:")
        for role in roles:
            lines += [f"    {role}:", f"      - name: as-it-is\n        when: {entity}.owner.{role} != null\n        then: keep"]
            lines.append('        because: "it has an owner today"')
            if entity == "account" and territories and role == roles[0]:
                lines += ["      - name: territory\n        when: territory != null\n        then: {assign: territory_owner}"]
                lines.append('        because: "it is in {territory.name}"')
            lines.append("      - {name: open, then: open}")
    return "\n".join(lines) + "\n"


def _fields(rows: Rows, columns: dict[str, str], profile: str, entity: str) -> list[str]:
    """Columns with few values become fields with those values; other unknown columns become plain fields."""
    known = {column: name for name, column in columns.items()}
    out = []
    taken = set(standard_fields(profile)[entity])
    for column in dict.fromkeys(k for r in rows for k in r if k != "$line"):
        values = Counter(x for r in rows if (x := _value(r, column)))
        few = 1 < len(values) <= MAX_VALUES and len(values) * 4 <= max(8, sum(values.values())) and not all(_number(x) for x in values)
        name = known.get(column, normal(column) or "column")
        if "." in name or (column in known and (not few or name in ("id", "name", "country", "domain", "converted", "active"))):
            continue
        if standard_fields(profile)[entity].get(name) is not None and standard_fields(profile)[entity][name].type.name != "string":
            continue
        if not name.isidentifier() or (column not in known and name in taken):
            name = f"x_{name}"
            if not name.isidentifier():
                continue
        taken.add(name)
        parts = [f"type: {'number' if values and all(_number(x) for x in values) else 'string'}"]
        if (column not in known and normal(column) != name) or (column not in known and column != name):
            parts.append(f"column: {_quote(column)}")
        if few:
            parts.append("values: [" + ", ".join(_quote(x) for x in sorted(values)) + "]")
        out.append(f"    {name}: {{{', '.join(parts)}}}")
    return out


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not (len(text) > 1 and text[0] == "0" and text[1] != ".")


def _tests(folder: Path) -> tuple[str, list[Diagnostic]]:
    """The first owned records of the drafted policy stay where they are: the reps are named by their ids."""
    policy, found = build(folder)
    if policy is None:
        return "", found
    tables, found = read_tables(policy, folder / "data")
    run = Evaluator(policy).run(tables, as_of=DAY)
    owned = [d for d in run.decisions if d.previous][:3]
    if not owned:
        return f"as_of: {DAY}\ntests: []\n", []
    lines = [f"as_of: {DAY}", "data: data", "tests:", "  - name: records stay with the owners they have", "    expect:"]
    for d in owned:
        lines.append(
            f"      - {{record: {_quote(d.id)}, entity: {d.entity}, role: {d.role}, rule: as-it-is, owner: {_quote(str(d.previous))}}}"
        )
    return "\n".join(lines) + "\n", []
