"""`tests/*.yaml` and `tests/*.csv` beside a policy, read into cases. A case is one run, or with `steps` several with a memory.

A CSV table has one case a row: `name` and `as_of`; a column for each given field of the one record, as `account.country`;
and a column for each expectation, as `expect.owner`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from roe.cache import is_known_sound, remember_sound
from roe.crm.ids import fold
from roe.data.coerce import RawRecords
from roe.data.headers import columns_of
from roe.diagnostics import Diagnostic, errors, suggest
from roe.dynamic import Cell, Values
from roe.files import MAX_POLICY_BYTES, MAX_TABLE_BYTES, read_text, schema
from roe.grammar.clock import Clock
from roe.policy.loader import Map, parse_yaml, validate
from roe.policy.model import Field, Policy
from roe.policy.standard import FILES
from roe.policy.tables import objects, parse_csv
from roe.source import Span, Text, span_of

Given = dict[str, list[Values]]


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
class CaseStep:
    """One run of a test. `given` are the records of the first step, and in later ones what has changed; `gone` are (entity, id) of records
    that the data no longer has. `loaded` says whether the CRM has loaded by then what the runs before decided.
    """

    as_of: str
    given: Given
    expect: list[Expectation] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    loaded: bool = True


@dataclass(slots=True)
class Case:
    """A test: one run, or several one after another with a memory."""

    name: str
    file: str
    steps: list[CaseStep]
    place: Span | None = None

    @property
    def expect(self) -> list[Expectation]:
        return [e for step in self.steps for e in step.expect]

    @property
    def size(self) -> int:
        """How many records it gives."""
        return sum(len(rows) for step in self.steps for rows in step.given.values())


def load_cases(policy: Policy) -> tuple[list[Case], list[Diagnostic]]:
    """Every case beside a policy, in the order of the files' names."""
    folder = policy.root / "tests"
    cases: list[Case] = []
    diagnostics: list[Diagnostic] = []
    for path in sorted(p for p in folder.glob("*") if p.suffix in (".yaml", ".yml", ".csv")) if folder.is_dir() else []:
        shown = f"tests/{path.name}"
        made, problems = (_csv if path.suffix == ".csv" else _yaml)(path, shown, policy)
        cases += made
        diagnostics += problems
    return cases, diagnostics


def entity_named(name: str, policy: Policy) -> str | None:
    """`account` for account and accounts."""
    for entity in policy.model.entities:
        if name in (entity, *FILES.get(entity, (entity + "s",))):
            return entity
    return None


def _yaml(path: Path, shown: str, policy: Policy) -> tuple[list[Case], list[Diagnostic]]:
    of = schema("tests")
    text, problems = read_text(path, shown, MAX_POLICY_BYTES)
    if text is None:
        return [], problems
    content, problems = parse_yaml(text, shown, of)
    if content is None:
        return [], problems
    known_as = str(path.resolve())
    if not is_known_sound(text, known_as):
        wrong = validate(content, of, shown)
        if not wrong:
            remember_sound(text, known_as)
        problems += wrong
    if errors(problems):
        return [], problems
    shared = _given(content.get("given") or Map(), policy, problems)
    if content.get("data"):
        shared = _join(_data(content["data"], policy, problems), shared, policy)
    cases = []
    for raw in content["tests"]:
        given = _join(shared, _given(raw.get("given") or Map(), policy, problems), policy)
        as_of = raw.get("as_of") or content.get("as_of")
        steps = _steps(raw, given, as_of, policy, problems) if raw.get("steps") else _one_step(raw, given, as_of, policy, problems)
        if steps:
            cases.append(Case(str(raw["name"]), shown, steps, span_of(raw["name"])))
    return cases, problems


def _one_step(raw: Map, given: Given, as_of: Text | None, policy: Policy, problems: list[Diagnostic]) -> list[CaseStep]:
    """The run of a test without `steps`."""
    if not as_of:
        problems.append(Diagnostic("R701", f"the test `{raw['name']}` has no date", span_of(raw["name"]), "add `as_of: 2026-02-01`"))
        return []
    if not raw.get("expect"):
        problems.append(Diagnostic("R701", f"the test `{raw['name']}` expects nothing", span_of(raw["name"]), "add `expect:` or `steps:`"))
        return []
    return [CaseStep(str(as_of), given, _expectations(raw, given, policy, problems))]


def _steps(raw: Map, given: Given, as_of: Text | None, policy: Policy, problems: list[Diagnostic]) -> list[CaseStep]:
    """The runs of a test in steps; their days must be in order."""
    if raw.get("expect"):
        help = "move it into the last step"
        problems.append(Diagnostic("R701", "a test with `steps` has its expectations in the steps", span_of(raw.key("expect")), help))
    steps: list[CaseStep] = []
    known, last = given, None
    for number, one in enumerate(raw["steps"]):
        day = one.get("as_of") or (as_of if number == 0 else None)
        if not day:
            help = "add `as_of: 2026-02-01` to each step"
            problems.append(Diagnostic("R701", f"step {number + 1} has no date", span_of(raw.key("steps")), help))
            continue
        at = _instant(str(day), policy)
        if last is not None and at is not None and at < last:
            problems.append(
                Diagnostic("R701", f"step {number + 1} is before step {number}", span_of(day), "put the steps in the order of time")
            )
        last = at if at is not None else last
        changed = _given(one.get("given") or Map(), policy, problems)
        gone = _gone(one.get("gone") or Map(), known, policy, problems)
        known = updated(known, changed, gone, policy)
        loaded = one.get("loaded") is not False
        steps.append(CaseStep(str(day), changed if steps else known, _expectations(one, known, policy, problems), gone, loaded))
    return steps


def _expectations(raw: Map, given: Given, policy: Policy, problems: list[Diagnostic]) -> list[Expectation]:
    return [e for one in raw.get("expect") or () if (e := _expectation(one, given, policy, problems)) is not None]


def _instant(as_of: str, policy: Policy) -> datetime | None:
    """A step's moment, to be held against the others'; None for what is not a date, which the run says."""
    try:
        return Clock.at(as_of, policy.timezone, policy.calendar, policy.hours, policy.fiscal).now
    except (ValueError, OverflowError):
        return None


def _gone(raw: Map, known: Given, policy: Policy, problems: list[Diagnostic]) -> list[tuple[str, str]]:
    """The records that leave the data."""
    gone = []
    for key, ids in raw.items():
        entity = entity_named(str(key), policy)
        if entity is None:
            help = suggest(str(key), policy.model.entities, "name an entity of the policy")
            problems.append(Diagnostic("R504", f"there is no entity `{key}`", span_of(key), help))
            continue
        there = {fold(str(row.get("id"))) for row in known.get(entity, ())}
        for id_ in ids:
            if fold(str(id_)) not in there:
                help = suggest(str(id_), sorted(there), "name a record that an earlier step gives")
                problems.append(Diagnostic("R504", f"there is no {entity} `{id_}` before this step", span_of(id_), help))
            gone.append((entity, fold(str(id_))))
    return gone


def updated(known: Given, changed: Given, gone: Iterable[tuple[str, str]], policy: Policy) -> Given:
    """The records with what has changed: a record with a known id has the fields that are named anew, and another one is added."""
    away = set(gone)
    tables: Given = {entity: [r for r in rows if (entity, fold(str(r.get("id")))) not in away] for entity, rows in known.items()}
    for entity, rows in changed.items():
        old = list(_by_field(entity, tables.get(entity, []), policy))
        place = {fold(str(r["id"])): i for i, r in enumerate(old) if r.get("id") is not None}
        for row in _by_field(entity, rows, policy):
            at = place.get(fold(str(row["id"]))) if row.get("id") is not None else None
            if at is None:
                old.append(row)
            else:
                old[at] = {**old[at], **row}
        tables[entity] = old
    return {entity: as_read(rows, known.get(entity)) for entity, rows in tables.items()}


def _given(raw: Map, policy: Policy, problems: list[Diagnostic]) -> Given:
    given: Given = {}
    for key, records in raw.items():
        entity = entity_named(str(key), policy)
        if entity is None:
            help = suggest(str(key), policy.model.entities, "name an entity of the policy")
            problems.append(Diagnostic("R504", f"there is no entity `{key}`", span_of(key), help))
            continue
        fields = policy.model.entities[entity]
        known = [*fields, *(f"owner.{r}" for r in policy.roles), *(f"owner_{r}" for r in policy.roles)]
        for record in records:
            for name in record:
                if str(name) not in known and not columns_of(entity, fields, [str(name)], policy.roles):
                    help = suggest(str(name), known, "declare the field under `fields:`")
                    problems.append(Diagnostic("R204", f"unknown field `{name}` of {entity}", span_of(name), help))
        fields = policy.model.entities[entity]
        given.setdefault(entity, []).extend({str(k): _plain(fields.get(str(k)), x) for k, x in r.items()} for r in records)
    return given


def _plain(f: Field | None, text: object) -> Cell:
    """A value of a test: a number as the language writes it, whatever the data's own way of writing numbers is; else a text."""
    written = str(text)
    if f is not None and f.type.name == "number" and _NUMBER.fullmatch(written):
        return float(written) if "." in written else int(written)
    return written


_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)


def _data(name: Text, policy: Policy, diagnostics: list[Diagnostic]) -> Given:
    from roe.data.read import read_tables

    folder = policy.root / str(name)
    if not folder.resolve().is_relative_to(policy.root.resolve()):
        diagnostics.append(Diagnostic("R308", f"`{name}` is outside the policy folder", span_of(name), "name a folder below it"))
        return {}
    tables, problems = read_tables(policy, folder)
    diagnostics += problems
    return dict(tables)


def _join(first: Given, more: Given, policy: Policy) -> Given:
    """Both sets of records, their fields by name; one with the id of an earlier one replaces it."""
    joined: Given = {entity: _by_field(entity, rows, policy) for entity, rows in first.items()}
    for entity, rows in more.items():
        added = _by_field(entity, rows, policy)
        ids = {fold(str(r["id"])) for r in added if r.get("id") is not None}
        joined[entity] = [r for r in joined.get(entity, []) if r.get("id") is None or fold(str(r["id"])) not in ids] + added
    return {entity: as_read(rows, first.get(entity)) for entity, rows in joined.items()}


def as_read(rows: list[Values], read: list[Values] | None) -> list[Values]:
    """The records with what their file's reading said, such as the rows that are not records."""
    if not isinstance(read, RawRecords):
        return rows
    header = dict.fromkeys(k for row in rows for k in row if k != "$line")
    return RawRecords(rows, replace(read.origin, header=tuple(header)))


def _by_field(entity: str, rows: list[Values], policy: Policy) -> list[Values]:
    """Records from one source, with each cell under the name that its field is found by, whatever its header is there."""
    fields = policy.model.entities[entity]
    keys = dict.fromkeys(k for row in rows for k in row if k != "$line")
    columns = {
        name: c
        for name, c in columns_of(entity, fields, keys, policy.roles).items()
        if name not in fields or fields[name].normalize != "queue"
    }
    columns |= {key: key for key in keys if key in fields and fields[key].type.name != "owners"}
    named = {
        name: fields[name].columns[0] if name in fields and fields[name].columns and not fields[name].standard else name for name in columns
    }
    used = set(columns.values())
    return [
        {**{k: x for k, x in row.items() if k not in used}, **{named[name]: row[c] for name, c in columns.items() if c in row}}
        for row in rows
    ]


def _expectation(raw: Map, given: Given, policy: Policy, problems: list[Diagnostic]) -> Expectation | None:
    record = str(raw["record"])
    entity = raw.get("entity") or _entity_of(record, given, policy)
    roles = [r for e, r in policy.plan.engagement if e == entity]
    role = raw.get("role") or (roles[0] if roles else "")
    skip = ("record", "entity", "role", "values", "rejected")
    wanted = {str(k): x for k, x in raw.items() if k not in skip}
    if role not in roles and "rejected" not in raw and (raw.get("role") or wanted or entity not in policy.model.entities):
        help = suggest(str(role), roles, "the roles are " + ", ".join(f"`{r}`" for r in roles))
        problems.append(
            Diagnostic("R502", f"a {entity} has no role `{role}` in this policy", span_of(raw.get("role") or raw["record"]), help)
        )
        return None
    if not wanted and not raw.get("values") and "rejected" not in raw:
        problems.append(Diagnostic("R701", "the test expects nothing", span_of(raw["record"]), "add `owner:`, `rule:` or `values:`"))
    return Expectation(record, str(entity), str(role), wanted, dict(raw.get("values") or {}), raw.get("rejected"), span_of(raw["record"]))


def _entity_of(record: str, given: Given, policy: Policy) -> str:
    """The entity that has a record of this id, else of this name; the first one that the policy decides where none has."""
    engaged = list(dict.fromkeys(entity for entity, _ in policy.plan.engagement))
    for key, fields in ((record, ("id",)), (record.lower(), ("name", "email", "domain"))):
        for entity in engaged:
            if any(_is(row, key, fields) for row in given.get(entity, ())):
                return entity
    return engaged[0] if engaged else "account"


def _is(row: Values, key: str, fields: tuple[str, ...]) -> bool:
    return any(fold(str(row.get(name))) == fold(key) or str(row.get(name)).lower() == key for name in fields if row.get(name) is not None)


def _csv(path: Path, shown: str, policy: Policy) -> tuple[list[Case], list[Diagnostic]]:
    text, diagnostics = read_text(path, shown, MAX_TABLE_BYTES)
    if text is None:
        return [], diagnostics
    table, problems = parse_csv(text, shown)
    diagnostics += problems
    if table is None:
        return [], diagnostics
    for column in [c for c in ("name", "as_of") if table.column(c) is None]:
        diagnostics.append(Diagnostic("R403", f"the test table has no column `{column}`", table.place, "add the column"))
    if errors(diagnostics):
        return [], diagnostics
    return [_case_of_row(row, number, shown, policy, diagnostics) for number, row in enumerate(objects(table), 1)], diagnostics


def _case_of_row(row: Mapping[str, Text], number: int, shown: str, policy: Policy, problems: list[Diagnostic]) -> Case:
    given, expect = _cells(row, policy, problems)
    for rows in given.values():
        rows[0].setdefault("id", f"row-{number}")
    engaged = [e for e, _ in policy.plan.engagement if e in given]
    subject = "lead" if "lead" in engaged else engaged[0] if engaged else "account"
    if "account" in given and "lead" in given:
        given["lead"][0].setdefault("account", given["account"][0]["id"])
    record, name = given.get(subject, [{"id": ""}])[0]["id"], row["name"]
    expect["record"], expect["entity"] = Text(record, name.origin), subject
    given = {entity: _by_field(entity, rows, policy) for entity, rows in given.items()}
    expectation = _expectation(expect, given, policy, problems)
    return Case(str(name), shown, [CaseStep(str(row["as_of"]), given, [expectation] if expectation else [])], name.span())


def _cells(row: Mapping[str, Text], policy: Policy, problems: list[Diagnostic]) -> tuple[Given, Map]:
    """The records that a row gives, one of an entity, and what it expects."""
    given: Given = {}
    expect = Map()
    for header, cell in row.items():
        head, _, rest = str(header).partition(".")
        if not cell or header in ("name", "as_of"):
            continue
        entity = entity_named(head, policy)
        if head == "expect" and rest:
            expect[Text(rest, header.origin)] = cell  # type: ignore[attr-defined]
        elif entity is None or not rest:
            help = suggest(head, [*policy.model.entities, "expect"], "write `account.country` or `expect.owner`")
            problems.append(Diagnostic("R701", f"`{header}` is neither a given field nor an expectation", span_of(header), help))
        else:
            given.setdefault(entity, [{}])[0][rest] = str(cell)
    return given, expect
