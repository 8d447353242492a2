"""Raw records to typed ones: the only place where a record can be rejected.

Each field has one *column* in the data, found once per table: its declared name, the profile's, or its own name in any
case and with spaces or underscores. A value that is not of its field's type rejects the record, with the reason; nothing
is guessed and nothing dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from roe.crm.ids import fold
from roe.crm.profile import label
from roe.diagnostics import suggest
from roe.grammar import field_functions as own
from roe.grammar import values as v
from roe.grammar.clock import hours_of
from roe.policy.model import DataSource, Field, headers_of

MISSING = frozenset({"", "null", "none", "n/a", "na", "nan", "#n/a", "-"})
SCALARS = (str, bool, int, float, date, time, timedelta, v.Months)
INFINITE = (float("inf"), float("-inf"))
_TRUE, _FALSE = frozenset({"true", "yes", "y", "1", "t"}), frozenset({"false", "no", "n", "0", "f"})
_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%d %b, %Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d")
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M %p", " %H:%M:%S.%f", "T%H:%M:%S.%f%z", "T%H:%M:%S%z")


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be used, and why."""

    entity: str
    record: str
    line: int
    field: str
    value: str
    reason: str


@dataclass(slots=True)
class Typed:
    """The records of one entity after coercion, and what was said about them on the way."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    corrected: dict[tuple[str, str, str], int] = field(default_factory=dict)  # (field, written, meant) -> records
    columns: dict[str, str] = field(default_factory=dict)


WRITTEN = "$id"  # the id as the data has it, where that is the longer form of the one it is folded to
REPEATED = "id"  # the field that a record is rejected for when another has its id
ENTITY_NAMES = {"rep": ("rep", "user"), "opportunity": ("opportunity", "deal", "potential")}


def normal(name: str) -> str:
    """A column name for comparing: `Owner (AE)`, `owner.ae` and `owner_ae` are one."""
    return re.sub(r"[^0-9a-z]+", "_", str(name).lower()).strip("_")


def columns_of(entity: str, fields: Mapping[str, Field], keys: Iterable[str], roles: list[str]) -> dict[str, str]:
    """field -> column; owners have one per role, as `owner.ae`.

    Exports put the entity before its own fields: `ACCOUNTID`, `Account Name` and `Account Owner` are an account's.
    """
    keys = list(keys)
    by_normal: dict[str, str] = {}
    for key in keys:
        by_normal.setdefault(normal(key), key)
    for part in ("id", "name", "owner"):
        for spelt in ENTITY_NAMES.get(entity, (entity,)):
            column = by_normal.get(f"{spelt}_{part}") or by_normal.get(f"{spelt}{part}")
            if column:
                by_normal.setdefault(part, column)
    by_label: dict[str, str] = {}
    for key in keys:
        by_label.setdefault(label(key), key)
    found: dict[str, str] = {}
    for name, f in fields.items():
        if f.via or f.normalize == "queue":
            continue
        declared = _declared(entity, f, keys, by_label)
        if f.type.name == "owners":
            first = declared or (by_normal.get("owner") if not f.columns else None) or by_normal.get("owner_id")
            if first:
                found[f"owner.{roles[0]}"] = first
            for i, role in enumerate(roles):
                if 0 < i < len(f.columns) and f.columns[i] in keys:  # one column per role, in the order of the roles
                    found[f"owner.{role}"] = f.columns[i]
                    continue
                column = by_normal.get(f"owner_{normal(role)}") or by_normal.get(f"{normal(role)}_owner")
                if column:
                    found[f"owner.{role}"] = column
            continue
        column = declared or (by_normal.get(normal(name)) if not f.columns or f.standard else None)
        if column is None and f.type.name == "record":
            column = by_normal.get(f"{normal(name)}_id")
        if column:
            found[name] = column
    queues = [name for name, f in fields.items() if f.normalize == "queue" and f.keys is not None]
    owner = found.get(f"owner.{roles[0]}")
    return found | (dict.fromkeys(queues, owner) if owner else {})


def _declared(entity: str, f: Field, keys: list[str], by_label: Mapping[str, str]) -> str | None:
    """The column that the policy or the profile names; a profile's headers are compared without case and punctuation."""
    if not f.profile:
        names = f.columns[:1] if f.type.name == "owners" else f.columns
        return next((c for c in names if c in keys), None)
    first, *others = headers_of(entity, f)
    if first in keys or f.name in keys:
        return first if first in keys else f.name
    return next((by_label[label(header)] for header in (first, *others) if label(header) in by_label), None)


def coerce_table(
    entity: str, fields: Mapping[str, Field], raw: Iterable[Mapping[str, Any]], roles: list[str], zone: tzinfo, source: DataSource
) -> Typed:
    """Typed records: references still as text, under the field's name; `$line` and unknown columns are kept."""
    raw = list(raw)
    keys = dict.fromkeys(k for row in raw for k in row if k != "$line")
    out = Typed(columns=columns_of(entity, fields, keys, roles))
    makers = {name: maker(fields[name.partition(".")[0]], zone, source) for name in out.columns}
    defaults = {name: maker(f, zone, source)(f.default) for name, f in fields.items() if f.default is not None}
    missing = MISSING | {m.lower() for m in source.missing}
    used = set(out.columns.values())
    extra = [k for k in keys if k not in used]
    required = [f for f in fields.values() if f.required]
    for number, row in enumerate(raw, 1):
        marked = row.get("$line")
        line = marked if type(marked) is int and marked > 0 else number
        typed: dict[str, Any] = {}
        problem: tuple[str, Any, str] | None = None
        for name, column in out.columns.items():
            value = row.get(column)
            if value is None or value != value or (isinstance(value, str) and value.strip().lower() in missing):
                continue  # NaN, which Parquet has for missing numbers, is not equal to itself
            if not isinstance(value, SCALARS) or value in INFINITE:
                problem = problem or (name, value, f"a {type(value).__name__} is no {fields[name.partition('.')[0]].type}")
                continue
            f = fields[name.partition(".")[0]]
            text: Any = value.strip() if isinstance(value, str) else value
            meant = corrected(f, text)
            if meant != text:
                out.corrected[name, text, meant] = out.corrected.get((name, text, meant), 0) + 1
                text = meant
            try:
                typed[name] = makers[name](text)
            except ValueError as e:
                problem = problem or (name, value, str(e))
        for name, default in defaults.items():
            if typed.get(name) is None:
                typed[name] = default
        for f in required:
            if f.type.name != "owners" and typed.get(f.name) is None:
                problem = problem or (f.name, "", f"`{f.name}` is required and missing")
        identity = _identity(entity, typed, row, line)
        if problem:
            name, value, reason = problem
            out.rejects.append(Reject(entity, identity, line, name, "" if value is None else str(value)[:200], reason))
            continue
        written = typed.get("id") and str(row.get(out.columns["id"])).strip()
        if written and written != identity and fold(written) == identity:
            typed[WRITTEN] = written
        typed["id"] = identity
        if extra:
            typed["$extra"] = {k: row[k] for k in extra if row.get(k) not in (None, "")}
        typed["$line"] = line
        if typed.get("name") is None:
            typed["name"] = _name(typed)
        out.rows.append(typed)
    _only_one_each(entity, out)
    return out


def corrected(f: Field, text: Any) -> Any:
    """What a cell is taken for: an alias for what it stands for, of several companies the first. Each correction is counted."""
    if not isinstance(text, str):
        return text
    return f.aliases[text] if text in f.aliases else f.keys.corrected(text) if f.keys is not None else text


def _only_one_each(entity: str, out: Typed) -> None:
    """Of records with one id that are equal the first stays; where they differ none does, since the order decides nothing."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in out.rows:
        by_id.setdefault(row["id"], []).append(row)
    if len(by_id) == len(out.rows):
        return
    out.rows = []
    found: list[Reject] = []
    for identity, rows in by_id.items():
        lines = ", ".join(str(r["$line"]) for r in rows)
        apart = {"$line": 0, WRITTEN: ""}  # what may differ in records that are the same
        same = all({**r, **apart} == {**rows[0], **apart} for r in rows)
        out.rows += rows[:1] if same else []
        reason = f"a repetition of the record in line {rows[0]['$line']}" if same else f"lines {lines} have this id and differ"
        found += [Reject(entity, identity, r["$line"], REPEATED, identity, reason) for r in rows[same:]]
    out.rejects += sorted(found, key=lambda r: r.line)


def _identity(entity: str, typed: dict[str, Any], row: Mapping[str, Any], line: int) -> str:
    for name in ("id", "email", "name", "domain"):
        if typed.get(name):
            return str(typed[name])
    return f"{entity}-{line}"


def _name(typed: dict[str, Any]) -> str | None:
    parts = [typed.get("first_name"), typed.get("last_name")]
    joined = " ".join(str(p) for p in parts if p)
    return joined or typed.get("company") or typed.get("email") or typed.get("domain")


# --- one value ------------------------------------------------------------------------------------------------------


def maker(f: Field, zone: tzinfo, source: DataSource) -> Callable[[Any], Any]:
    """A function from raw to typed that raises ValueError with the reason for a reject."""
    if f.type.name in ("record", "owners") or f.normalize == "queue":
        return _key(f)
    if f.words:
        return lambda value: _worded(value, f.words)
    make = _MAKERS[f.type.name]
    formats = tuple(x for x in (f.format, source.format) if x)
    if f.type.name != "string":
        return lambda value: make(value, zone, formats)
    tidy = NORMALIZERS.get(f.normalize, fold)
    allowed = f.type.values

    def text(value: Any) -> str | None:
        raw = v.show_number(value) if v.is_number(value) else str(value)
        found = tidy(raw)
        if found is None and f.normalize in ("country", "domain", "phone", "state", "hours"):
            if f.standard and f.normalize != "hours":
                return None
            raise ValueError(f"`{raw}` is no {f.normalize}")
        if allowed and found not in allowed:
            help = suggest(str(found), allowed, "it is one of " + ", ".join(f"`{a}`" for a in allowed[:6]))
            raise ValueError(f"`{found}` is not among the declared values; {help}")
        return found

    return text


def _key(f: Field) -> Callable[[Any], str | None]:
    """What a cell names: an id, a name or an e-mail address; of owners a queue is nobody, and `owner_queue` has it.

    The id of a rep stays as it is written: a rep whom no file lists is known by nothing else.
    """
    rep = f.type.name == "owners" or f.type.entity == "rep"

    def key(value: Any) -> str | None:
        text = v.show_number(value) if v.is_number(value) else str(value).strip()
        if f.normalize == "queue":
            return fold(text) if f.keys is not None and f.keys.is_queue(text) else None
        named = f.keys.read(text) if f.keys is not None else text
        return (named if rep else fold(named)) or None

    return key


def _worded(value: Any, words: tuple[str, ...]) -> bool:
    """Yes or no, or a text such as a deal's stage that means yes if it is one of the words: `Closed won (Sales Pipeline)`."""
    try:
        return _boolean(value, UTC, ())
    except ValueError:
        text = str(value).strip().casefold()
        return text in words or re.sub(r"\s*\([^()]*\)$", "", text) in words


NORMALIZERS: dict[str, Callable[[str], str | None]] = {
    "country": own.country,
    "state": lambda text: own.state(text) or None,
    "domain": own.domain,
    "phone": lambda text: own.normalize_phone(text) or own.normalize_phone(text, "US"),
    "company": own.company,
    "hours": lambda text: text.strip() if hours_of(text) else None,
    "lower": str.lower,
    "upper": str.upper,
    "trim": lambda text: " ".join(text.split()),
}


def _number(value: Any, zone: tzinfo, formats: tuple[str, ...]) -> float:
    if isinstance(value, bool):
        raise ValueError(f"`{value}` is no number")
    if v.is_number(value):
        found = v.number(value)
        if found is None:
            raise ValueError(f"`{value}` is no number")
        return found
    text = re.sub(r"^[^\d.+-]{1,3}\s*", "", str(value).strip())
    text = re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", text.replace("\u00a0", ""))
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII):
        raise ValueError(f"`{value}` is no number")
    whole = re.fullmatch(r"[+-]?\d{1,300}", text)
    found = v.number(int(text) if whole else float(text))
    if found is None:
        raise ValueError(f"`{value}` is too large a number")
    return found


def _boolean(value: Any, zone: tzinfo, formats: tuple[str, ...]) -> bool:
    if isinstance(value, bool):
        return value
    text = v.show_number(value) if v.is_number(value) else str(value).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"`{value}` is neither yes nor no")


def _datetime(value: Any, zone: tzinfo, formats: tuple[str, ...]) -> datetime:
    """In the policy's zone; text without an offset is meant there."""
    if isinstance(value, datetime):
        return value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)
    if isinstance(value, date):
        return datetime.combine(value, time(), zone)
    text = str(value).strip()
    for shape in formats:
        try:
            return _datetime(datetime.strptime(text, shape), zone, ())
        except ValueError:
            continue
    try:
        return _datetime(datetime.fromisoformat(text), zone, ())
    except (ValueError, OverflowError):
        pass
    for shape in (d + c for d in _DATE_FORMATS for c in _CLOCKS):
        try:
            return _datetime(datetime.strptime(text, shape), zone, ())
        except ValueError:
            continue
    hint = "; say its `format:` in the policy" if re.match(r"\d{1,2}[-/.]\d{1,2}[-/.]\d", text) else ""
    raise ValueError(f"`{text}` is no date that can be read safely{hint}")


def _date(value: Any, zone: tzinfo, formats: tuple[str, ...]) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and (found := v.parse_date(value.strip())) is not None:
        return found
    return _datetime(value, zone, formats).date()


def _time(value: Any, zone: tzinfo, formats: tuple[str, ...]) -> time:
    found = value if isinstance(value, time) else v.parse_time(str(value)) or v.parse_time(f"{value}:00")
    if found is None:
        raise ValueError(f"`{value}` is no time of day")
    return found


def _duration(value: Any, zone: tzinfo, formats: tuple[str, ...]) -> Any:
    found = value if isinstance(value, (timedelta, v.Months)) else v.parse_duration(str(value))
    if found is None:
        raise ValueError(f"`{value}` is no duration")
    return found


_MAKERS: dict[str, Callable[[Any, tzinfo, tuple[str, ...]], Any]] = {
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "date and time": _datetime,
    "time": _time,
    "days and time duration": _duration,
    "years and months duration": _duration,
    "string": lambda value, zone, formats: str(value),
}
