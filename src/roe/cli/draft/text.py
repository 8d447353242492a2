"""The files of a draft: policy.yaml, the tables of territories and staffing, and tests about made-up records."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from roe.cli.draft.fields import Understood, quote
from roe.cli.draft.territories import Carved
from roe.cli.settings import FILE
from roe.data.files import csv_text
from roe.data.read import newest, read_tables
from roe.data.report import Report as Readings
from roe.data.report import report_of
from roe.diagnostics import Diagnostic, errors
from roe.dynamic import Json
from roe.evaluator.engine import Evaluator, Run
from roe.stages.build import build

POOL = "everyone"
PLACING = ("with-account", "territory", "the-rest")  # the rules of a draft for what nobody has who is still here
DAY = "2026-01-01"  # the moment of the drafted tests; nothing in them depends on it


@dataclass(slots=True)
class Written:
    """What the drafted policy does with the export."""

    rules: dict[str, int] = field(default_factory=dict)  # rule -> records without an owner that it decides
    unowned: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    example: str = ""  # a record that can be explained by its name
    day: str = DAY
    dated: bool = False  # whether a record says so; else it is the day on which the export was saved
    tests: int = 0
    reading: Readings = field(default_factory=dict)  # what was read of each entity, as `roe run` reports it


def write_policy(folder: Path, known: Understood, carved: Carved) -> None:
    for sub in ("tables", "tests"):
        (folder / sub).mkdir(exist_ok=True)
    _write(folder / "policy.yaml", "\n".join([*_head(known), *_rules(known, carved)]) + "\n")
    if carved.by:
        rows = [[value, quote(value)] for value in carved.territories]
        _write(folder / "tables" / "territories.csv", csv_text(["name", carved.by], rows))
    if carved.by and carved.reps:
        staffed = [[value, known.roles[0], rep, "", ""] for value, rep in carved.territories.items()]
        _write(folder / "tables" / "staffing.csv", csv_text(["territory", "role", "rep", "from", "until"], staffed))


def write_settings(folder: Path, data: Path, day: str) -> None:
    """`roe.toml`: where the export is and of which day, so that neither has to be typed."""
    try:
        place = Path(os.path.relpath(data.resolve(), folder.resolve()))
    except ValueError:  # on another drive
        place = data.resolve()
    lines = [
        "# What --data and --as-of mean where they are not typed; a path is from this folder.",
        f"data = {quote(place.as_posix())}",
        f"as_of = {day}  # the day of the export: change it with the next one, or remove the line and type --as-of",
    ]
    _write(folder / FILE, "\n".join(lines) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


def _head(known: Understood) -> list[str]:
    name = known.export.folder.resolve().name or "draft"
    return [
        "# yaml-language-server: $schema=.roe/policy.schema.json",
        "# Drafted from an export: everything here is a proposal.",
        "roe: 1",
        f"name: {quote(name)}",
        "timezone: UTC",
        *known.header(),
    ]


def _rules(known: Understood, carved: Carved) -> list[str]:
    lines: list[str] = []
    entities = [e for e in ("account", "lead") if e in known.export.sources]
    both = len(entities) == 2
    columns = known.columns.get("lead", {})
    matched = both and ("email" in columns or "company" in columns) and "account" not in columns
    if matched:
        lines += ["matching: default  # a lead finds its account by e-mail domain, website, phone or company name", ""]
    if carved.by:
        most = "whoever owns most of one" if carved.owned else "whoever has most opportunities in one" if carved.by_deals else ""
        lines.append(f"# one territory for each {carved.by}" + (f"; {most} today has it" if most else ""))
        lines += ["territories:", "  table: tables/territories.csv", "  hit: first"]
        lines += [f"  for: [{carved.entity}]"] if carved.entity != "account" else []
        lines += ["  staffing: tables/staffing.csv"] if carved.reps else []
        lines += [f"  inputs: {{{carved.by}: {carved.entity}.{carved.by}}}", "  outputs: []", ""]
    if carved.reps:
        members = quote("rep.active != false") if carved.has_file else "[" + ", ".join(map(quote, carved.reps)) + "]"
        lines += [f"pools:  # {'all active reps' if carved.has_file else 'everybody who owns something today'}, in turn"]
        lines += [f"  {POOL}: {{members: {members}}}", ""]
    lines.append("engagement:")
    for entity in entities:
        lines.append(f"  {entity}:")
        for role in known.roles:
            lines += _role(entity, role, known, carved, both and (matched or "account" in columns))
    return lines


def _role(entity: str, role: str, known: Understood, carved: Carved, linked: bool) -> list[str]:
    lines = [f"    {role}:"]

    def rule(name: str, when: str, then: str, because: str) -> None:
        lines.append(f"      - name: {name}")
        lines.extend([f"        when: {when}"] if when else [])
        lines.extend([f"        then: {then}", f"        because: {quote(because)}"])

    rule("as-it-is", f"{entity}.owner.{role}.may_hold", "keep", "today's owner keeps it")
    if entity == "lead" and linked:
        rule(
            "with-account",
            f"account.owner.{role}.able",
            f"{{assign: account.owner.{role}}}",
            "{account.name} has an owner, who takes its leads",
        )
    if carved.by and entity == carved.entity and role == known.roles[0]:
        if carved.reps and any(carved.territories.values()):
            rule("territory", f"territory_owner.{role} != null", "{assign: territory_owner}", "it is in {territory.name}")
        elif not carved.reps:
            rule("territory", "territory != null", "open", "it is in {territory.name}, which nobody staffs yet")
    if carved.reps:
        rule("the-rest", "", f"{{route: {POOL}}}", "nobody who is still here had it, and the next in turn gets it")
    else:
        rule("the-rest", "", "open", "nobody owns it yet")
    return lines


# --- tests ----------------------------------------------------------------------------------------------------------


def write_tests(folder: Path, known: Understood, carved: Carved) -> tuple[Written, list[Diagnostic]]:
    """Tests about made-up records, as the drafted policy decides them; and what it does with the export."""
    policy, problems = build(folder)
    if policy is None:
        return Written(), problems
    tests = _tests(known, carved)
    _write(folder / "tests" / "draft.yaml", tests)
    tables, problems = read_tables(policy, known.export.folder)
    if errors(problems):
        return Written(), problems
    evaluator = Evaluator(policy)
    saved = max(datetime.fromtimestamp(s.path.stat().st_mtime) for s in known.export.sources.values())
    dated = newest(evaluator, tables, datetime.min)
    day = saved if dated == datetime.min else dated
    written = _decided(evaluator.run(tables, as_of=day.date()), str(day.date()))
    written.tests, written.dated = tests.count("- name:"), dated != datetime.min
    return written, []


def _decided(run: Run, day: str) -> Written:
    """What the policy does with the records of the export, on a day."""
    written = Written(day=day)
    first = next(iter(run.bound.plan.engagement), ("account", ""))
    for d in run.decisions:
        if (d.previous is None or d.rule in PLACING) and (d.entity, d.role) == first:
            written.unowned += 1
            written.rules[d.rule] = written.rules.get(d.rule, 0) + 1
    names = [d for d in run.decisions if (d.entity, d.role) == first and run.world.find(d.entity, d.name) is d.row]
    names.sort(key=lambda d: (d.previous is not None, d.name != d.id, len(d.name) < 3))
    written.example = names[0].name if names else run.decisions[0].row.written if run.decisions else ""
    written.rejected = len(run.world.rejects)
    written.reading = report_of(run.world.readings)
    written.reasons = [f"{r.entity} line {r.line}: {r.reason}" for r in run.world.rejects[:2]]
    return written


def _tests(known: Understood, carved: Carved) -> str:
    """A record with an owner keeps it, one without goes to its territory or to the pool. Reps are named, records are made up."""
    entity, role = carved.entity, known.roles[0]
    plural = f"{entity}s"
    staffed = next(((value, rep) for value, rep in carved.territories.items() if rep), None)
    rep = staffed[1] if staffed else next(iter(carved.reps), "")
    lines = ["# The records are made up; no record of the export is copied.", f"as_of: {DAY}"]
    if carved.has_file and rep:
        lines += ["given:", f"  reps: [{_record({'id': rep, 'name': carved.reps[rep]})}]"]
    lines.append("tests:")

    def test(name: str, record: dict[str, str], expect: dict[str, str]) -> None:
        lines.append(f"  - name: {name}")
        lines.append(f"    given: {{{plural}: [{_record({'id': 'example-1', 'name': 'Example One'} | record)}]}}")
        lines.append(f"    expect: [{_record({'record': 'example-1', 'entity': entity, 'role': role} | expect)}]")

    if rep:
        test("a record stays with the owner it has", {f"owner.{role}": rep}, {"rule": "as-it-is", "owner": carved.reps[rep]})
    if staffed:
        expect = {"rule": "territory", "territory": staffed[0], "owner": carved.reps[staffed[1]]}
        test("a record without an owner goes to its territory", {carved.by: staffed[0]}, expect)
    elif carved.by:
        value = next(iter(carved.territories))
        test("a record without an owner is open in its territory", {carved.by: value}, {"rule": "territory", "territory": value})
    rest: Json = {"rule": "the-rest"} | ({"pool": POOL} if rep else {"action": "open"})
    test("whatever has no territory goes to somebody" if rep else "whatever has no territory is open", {}, rest)
    return "\n".join(lines) + "\n"


def _record(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {quote(value)}" for key, value in values.items()) + "}"
