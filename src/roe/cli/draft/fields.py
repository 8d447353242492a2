"""What the columns of an export are: standard fields, fields of its own, roles, formats of dates, aliases.

The draft is held against the export itself: a policy of its fields alone reads every record, and what that policy rejects changes
the field, until nothing sound is rejected.
"""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from roe.cli.draft.export import Export, ExportFile
from roe.cli.draft.typos import slips
from roe.crm import spellings
from roe.crm.generic import WORDS
from roe.crm.profile import label
from roe.data.bands import parse_band
from roe.data.cells import MISSING
from roe.data.headers import columns_of, normal
from roe.data.numbers import parse_money, parse_percent
from roe.data.read import read_tables
from roe.diagnostics import Diagnostic
from roe.evaluator.engine import Evaluator
from roe.evaluator.world import World
from roe.policy.model import Field, headers_of, standard_fields
from roe.stages.build import build

if TYPE_CHECKING:
    from roe.evaluator.row import Row


ROLE = "ae"  # of an export that has one owner per record
ROLE_COLUMN = re.compile(r"owner_([a-z][a-z0-9]{0,15})|([a-z][a-z0-9]{0,15})_owner")
NO_ROLES = {
    "id", "name", "since", "email", "account", "company", "contact", "lead", "deal", "opportunity", "potential", "task", "record", "queue",
    "call", "event", "alias", "role", "full", "organization", "person", "activity", "current", "previous", "former", "parent",
}  # fmt: skip
FEW = 12  # distinct values that are listed beside a field
PRIVATE = re.compile(r"@|^\+?[\d\s()/.-]{7,}$")  # e-mail addresses and phone numbers are not listed
FORMATS = tuple(
    day + clock
    for day in ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%Y", "%d %B %Y")
    for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", ", %H:%M", ", %I:%M %p", " %I:%M:%S %p")
)
GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_GROUPED = re.compile(r"-?\d{1,3}(?:[.,]\d{3})*(?:[.,]\d{1,2})?|-?\d+(?:[.,]\d{1,2})?", re.ASCII)
WORDED = (
    "industry",
    "segment",
    "type",
    "country",
    "lead_source",
    "status",
    "stage",
    "product",
    "region",
    "team",
)  # written by hand, or picked


@dataclass(slots=True)
class Spec:
    """A field as the draft declares it."""

    type: str = ""
    column: str = ""
    format: str = ""
    aliases: dict[str, str] = field(default_factory=dict)
    seen: tuple[str, ...] = ()  # the values that there are today, for a comment

    def text(self) -> str:
        parts = [f"type: {self.type}"] if self.type else []
        parts += [f"column: {quote(self.column)}"] if self.column else []
        parts += [f"format: {quote(self.format)}"] if self.format else []
        if self.aliases:
            parts.append("aliases: {" + ", ".join(f"{quote(a)}: {quote(b)}" for a, b in self.aliases.items()) + "}")
        return "{" + ", ".join(parts or ["type: string"]) + "}"


@dataclass(slots=True)
class Understood:
    """The export, the fields that the draft declares, and its records as those fields read them."""

    export: Export
    roles: list[str]
    fields: dict[str, dict[str, Spec]] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)  # entity -> field -> header
    own: dict[str, list[str]] = field(default_factory=dict)  # entity -> headers that become fields of their own
    notes: list[str] = field(default_factory=list)
    world: World | None = None

    @property
    def profile(self) -> str:
        return self.export.profile.name

    def rows(self, entity: str) -> list[Row]:
        return list(self.world.rows[entity]) if self.world is not None and entity in self.export.sources else []

    def header(self) -> list[str]:
        """The lines of a policy that say how the export is read."""
        lines = [f"profile: {self.profile}", f"roles: [{', '.join(self.roles)}]", "", "data:"]
        lines += [f"  {entity}: {{file: {quote(s.path.name)}}}" for entity, s in self.export.sources.items()]
        drafted = [(entity, specs) for entity, specs in self.fields.items() if specs]
        lines += ["", "fields:"] if drafted else [""]
        for entity, specs in drafted:
            lines.append(f"  {entity}:")
            for name, spec in specs.items():
                seen = f"  # seen: {', '.join(spec.seen)}" if spec.seen else ""
                lines.append(f"    {name}: {spec.text()}{seen}")
        return [*lines, ""] if drafted else lines


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def understand(export: Export) -> tuple[Understood | None, list[Diagnostic]]:
    """What the export's columns are, and its records read by that; diagnostics if it cannot be read at all."""
    known = Understood(export, _roles(export))
    standard = standard_fields(export.profile.name)
    for entity, source in export.sources.items():
        _columns(known, source, standard[entity])
    for attempt in range(6):
        problems = _read(known)
        if problems or known.world is None:
            return None, problems
        if attempt == 5 or not _mend(known):
            break
    _typos(known)
    problems = _read(known)
    return (None, problems) if problems else (known, [])


def _roles(export: Export) -> list[str]:
    """The roles that own records: of the columns `owner_ae` and `csm_owner` ae and csm; else one."""
    roles = []
    for entity in ("account", "lead"):
        for header in export.sources[entity].headers if entity in export.sources else ():
            m = ROLE_COLUMN.fullmatch(normal(header))
            role = (m[1] or m[2]) if m else ""
            if role and role not in NO_ROLES and role not in roles:
                roles.append(role)
    return roles or [ROLE]


def _columns(known: Understood, source: ExportFile, standard: Mapping[str, Field]) -> None:
    """Standard fields by the profile's headers, then by the words of any export; the other columns are fields of their own."""
    entity = source.entity
    columns = columns_of(entity, standard, source.headers, known.roles)
    specs = known.fields.setdefault(entity, {})
    _by_words(columns, specs, source, known.roles)
    if "id" not in columns:
        header = next((h for h in source.headers if normal(h).endswith("id") and h not in columns.values() and _unique(source, h)), None)
        if header is not None:
            columns["id"], specs["id"] = header, Spec(column=header)
    known.columns[entity] = columns
    own = _own_fields(source, standard, columns)
    if own:
        known.own.setdefault(entity, []).extend(header for header, _, _ in own)
    specs |= {name: spec for _, name, spec in own}
    for name, header in columns.items():
        if name in WORDED and name not in specs and (seen := _seen(source.values(header))):
            specs[name] = Spec("string", seen=seen)


def _by_words(columns: dict[str, str], specs: dict[str, Spec], source: ExportFile, roles: list[str]) -> None:
    """Add the standard fields that a column has by the words of any export, also of another CRM."""
    by_label = {label(h): h for h in reversed(source.headers)}
    for name in WORDS.get(source.entity, {}):
        words = (*source.profile.columns.get(source.entity, {}).get(name, ()), *spellings(source.entity, name))
        shown = f"owner.{roles[0]}" if name == "owner" else name
        if shown in columns or (name == "owner" and any(c.startswith("owner.") for c in columns)):
            continue
        header = next((by_label[label(w)] for w in words if label(w) in by_label and by_label[label(w)] not in columns.values()), None)
        if header is not None:
            columns[shown] = header
            specs[name] = Spec(column=header)


def _own_fields(source: ExportFile, standard: Mapping[str, Field], columns: Mapping[str, str]) -> list[tuple[str, str, Spec]]:
    """(header, name, what it is) of each column with values that no standard field has, nor has under another header."""
    entity, taken = source.entity, set(standard)
    spellings = {
        label(x) for name in columns for x in (*_headers(entity, standard, name), *WORDS.get(entity, {}).get(name.partition(".")[0], ()))
    }
    own: list[tuple[str, str, Spec]] = []
    for number, header in enumerate(source.headers, 1):
        if header in columns.values() or label(header) in spellings:  # a second column for a field, such as the owner's name
            continue
        values = [x for x in source.values(header) if x.lower() not in MISSING]
        if not values:
            continue
        name = _field_name(header) or f"column_{number}"
        name = f"x_{name}" if name in taken or not name.isidentifier() else name
        if name in taken or not name.isidentifier():
            name = f"column_{number}"
        taken.add(name)
        kind, form = _kind(values)
        own.append((header, name, Spec(kind, "" if header == name else header, form, seen=_seen(values) if kind == "string" else ())))
    return own


def _headers(entity: str, standard: Mapping[str, Field], name: str) -> tuple[str, ...]:
    f = standard.get(name.partition(".")[0])
    return headers_of(entity, f) if f is not None else ()


def _unique(source: ExportFile, header: str) -> bool:
    values = source.values(header)
    return len(values) == len(source.rows) == len(set(values))


def _seen(values: list[str]) -> tuple[str, ...]:
    """Few values that repeat, for a comment; none of a person's."""
    counts = Counter(values)
    few = 1 < len(counts) <= FEW and len(counts) * 2 <= len(values)
    plain = few and not any(PRIVATE.search(x) or "\n" in x or len(x) > 40 for x in counts) and not all(map(_is_number, counts))
    return tuple(sorted(counts)) if plain else ()


def _field_name(header: str) -> str:
    """A header as the name of a field, without accents: `Jährlicher Umsatz` is `jaehrlicher_umsatz`. Empty where no Latin letter is in it."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", header).translate(GERMAN))
    return normal("".join(c for c in plain if not unicodedata.combining(c)))


def _kind(values: list[str]) -> tuple[str, str]:
    """Type and format of a field of its own, as all its values are written; text where that is not certain."""
    if all(map(_is_number, values)):
        return "number", ""
    form = _format(values)
    if form:
        return ("datetime" if "%M" in form else "date"), form
    if all(_ISO.fullmatch(x) for x in values):
        return ("date" if all(len(x) == 10 for x in values) else "datetime"), ""
    decimal = {max(".,", key=x.rfind) for x in values if "." in x and "," in x}
    written = ("1.234,5" if "," in decimal else "1,234.5") if len(decimal) == 1 else _numbers(values)
    form = written if all(_GROUPED.fullmatch(x) for x in values) else ""
    return ("number", form) if form else ("string", "")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d+)?", text, re.ASCII) is not None


def _read(known: Understood) -> list[Diagnostic]:
    """Read the export by the fields that are drafted so far."""
    with tempfile.TemporaryDirectory() as scratch:
        text = "\n".join(["roe: 1", "name: draft", *known.header()])
        Path(scratch, "policy.yaml").write_text(text + "\n", "utf-8")
        policy, problems = build(Path(scratch))
        if policy is None:
            return problems
        tables, problems = read_tables(policy, known.export.folder)
        if not tables:
            return problems
        known.world = Evaluator(policy).bind(tables, as_of="2026-01-01").world
    return []


def _mend(known: Understood) -> bool:
    """Change each field that a record is rejected for; whether any was changed."""
    assert known.world is not None
    wrong = Counter((r.entity, r.field) for r in known.world.rejects if r.field not in ("id", ""))
    changed = False
    for entity, name in wrong:
        specs, header = known.fields[entity], known.columns[entity].get(name)
        spec = specs.setdefault(name, Spec())
        kind = known.world.policy.model.entities[entity][name].type.name if name in known.world.policy.model.entities[entity] else ""
        if kind == "string":
            continue
        values = [x for x in known.export.sources[entity].values(header or spec.column or name) if x.lower() not in MISSING]
        note = _respecify(spec, kind, values)
        if note:
            known.notes.append(f"{entity} column `{header or name}`{note}")
        changed = True
    return changed


def _respecify(spec: Spec, kind: str, values: list[str]) -> str:
    """Declare a field so that all its values can be read; what a person should check about that, if anything."""
    form = "" if spec.format else (_format(values) or "") if kind.startswith("date") else _numbers(values) if kind == "number" else ""
    if form:
        spec.format = form
        if kind != "number":
            return ""
        example = next(x for x in values if "." in x or "," in x)
        whole = example.replace(",", "").replace(".", "")
        return f": `{example}` is taken for {whole}; if not, change its `format:`"
    if kind == "number" and (reads := _reads(values)):
        spec.type = reads
        return ""
    spec.type, spec.format = "string", ""
    what = "does not settle which number is the day, and" if kind.startswith("date") else f"is not always a {kind}, and"
    return f" {what} is read as text"


def _numbers(values: list[str]) -> str:
    """The format of numbers whose marks all stand before three digits, which is how thousands are written; empty where they do not settle that."""
    marks = {mark for x in values for mark in ".," if mark in x}
    groups = all(re.search(r"^\D*\d{1,3}([.,]\d{3})*\D*$", x) for x in values if marks & set(x))
    return {",": "1,234.5", ".": "1.234,5"}[marks.pop()] if len(marks) == 1 and groups else ""


def _reads(values: list[str]) -> str:
    """How cells are written that are not plain numbers, if all of them are written so: `201-500`, `12 %`, `$1.2M`."""
    for name, parse in (("percent", parse_percent), ("band", parse_band), ("money", parse_money)):
        try:
            for value in values:
                parse(value, "")
        except ValueError:
            continue
        return name if values else ""
    return ""


def _format(values: list[str]) -> str | None:
    """The one format in which every value is a date; None where none is, or where day and month could be swapped."""
    fits = []
    for form in FORMATS:
        try:
            for value in values:
                datetime.strptime(value, form)
        except ValueError:
            continue
        fits.append(form)
    return fits[0] if len(fits) == 1 else None


def _typos(known: Understood) -> None:
    """Aliases for values that look like a slip."""
    for entity, source in known.export.sources.items():
        headers = {name: h for name, h in known.columns[entity].items() if name in WORDED}
        own = {n: s.column or n for n, s in known.fields[entity].items() if s.type == "string" and s.seen and n not in headers}
        for name, header in {**headers, **own}.items():
            values = Counter(x for x in source.values(header) if x.lower() not in MISSING)
            aliases = slips(values, name)
            if aliases:
                known.fields[entity].setdefault(name, Spec()).aliases = aliases
                spec = known.fields[entity][name]
                spec.seen = tuple(x for x in spec.seen if x not in aliases)
