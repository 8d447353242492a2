"""Raw records to typed ones: the only place where a record can be rejected.

Each field has one *column* in the data, found once per table: its declared name, the profile's, or its own name in any
case and with spaces or underscores. A value that is not of its field's type rejects the record, with the reason; nothing
is guessed and nothing dropped. What a column settles for all its cells is in `habits`, what was read of it in `reading`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from roe.crm.ids import fold
from roe.crm.profile import label
from roe.data import dates, numbers
from roe.data.habits import Habits, declared, is_open
from roe.data.reading import Reading, Reject
from roe.data.scan import Origin
from roe.diagnostics import suggest
from roe.grammar import values as v
from roe.grammar.clock import hours_of
from roe.grammar.functions import sales as own
from roe.policy.model import DataSource, Field, headers_of

MISSING = frozenset({"", "null", "none", "n/a", "n.a.", "na", "nan", "nil", "#n/a", "-", "--", "–", "—", "(none)", "(blank)"})
NO_TEXT = frozenset({"", "NULL"})  # in a field of texts, `None`, `NA` and `-` may be names
SCALARS = (str, bool, int, float, date, time, timedelta, v.Months)
INFINITE = (float("inf"), float("-inf"))
# as databases, spreadsheets and CRMs write them in the languages of the profiles
_TRUE = frozenset(
    {"true", "yes", "y", "1", "t", "ja", "wahr", "oui", "vrai", "sí", "si", "verdadero", "sim", "verdadeiro", "sì", "vero", "はい"}
)
_FALSE = frozenset({"false", "no", "n", "0", "f", "nein", "falsch", "non", "faux", "falso", "não", "nao", "nee", "いいえ"})
NAMELESS = "the record has no id"
UNKNOWN_RECORD = "no id, name, e-mail or domain: the record cannot be told from others"


class Records(list[dict[str, Any]]):
    """Raw records, each with `$line`, and where they come from."""

    def __init__(self, rows: Iterable[dict[str, Any]] = (), origin: Origin | None = None) -> None:
        super().__init__(rows)
        self.origin = origin or Origin("")


@dataclass(slots=True)
class Typed:
    """The records of one entity after coercion, and what was said about them on the way."""

    reading: Reading
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    habits: dict[str, Habits] = field(default_factory=dict)  # column -> what it settled

    @property
    def columns(self) -> dict[str, str]:
        """field -> the data's column."""
        return self.reading.columns

    @property
    def corrected(self) -> Counter[tuple[str, str, str]]:
        """(field, written, meant) -> records."""
        return self.reading.corrected


WRITTEN = "$id"  # the id as the data has it, where that is the longer form of the one it is folded to
REPEATED = "id"  # the field that a record is rejected for when another has its id
ENTITY_NAMES = {"rep": ("rep", "user"), "opportunity": ("opportunity", "deal", "potential")}


def normal(name: str) -> str:
    """A column name for comparing: `Owner (AE)`, `owner.ae` and `owner_ae` are one."""
    return re.sub(r"[^0-9a-z]+", "_", str(name).lower()).strip("_")


def field_of(fields: Mapping[str, Field], name: str) -> Field:
    """The field of a column: `owner_since.ae` is one of its own, `owner.ae` a part of `owner`."""
    return fields.get(name) or fields[name.partition(".")[0]]


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
    named = {name: _declared(entity, f, keys, by_label) for name, f in fields.items() if not f.via and f.normalize != "queue"}
    taken = {column for column in named.values() if column}  # a header that the profile knows is not another field by its name: `Closed`
    for name, f in fields.items():
        if f.via or f.normalize == "queue":
            continue
        declared = named[name]
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
        if not declared and f.profile and column in taken:
            column = None
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


@dataclass(slots=True)
class Cells:
    """How the cells of one field are read: the texts that mean no value, and a function from any other to a value."""

    field: Field
    words: frozenset[str]  # in small letters
    exact: frozenset[str]
    named: frozenset[str]  # what the policy has a meaning for is never missing
    make: Callable[[Any], Any]

    def is_missing(self, text: str) -> bool:
        return (text in self.exact or text.lower() in self.words) and text not in self.named

    def is_unread(self, text: str) -> bool:
        """Whether a cell that has no value in this field has none at all: an owner's column has people for one field and queues for another."""
        f = self.field
        return f.normalize != "queue" and not (f.type.name == "owners" and f.keys is not None and f.keys.is_queue(text))

    def read(self, value: Any) -> tuple[Any, str, str | None]:
        """(what a raw value means, why it cannot be read, the text that is taken for another)."""
        if not isinstance(value, SCALARS) or value in INFINITE:
            return None, f"a {type(value).__name__} is not a {self.field.type}", None
        text = clean(value) if isinstance(value, str) else value
        meant = corrected(self.field, text)
        written = text if isinstance(text, str) and meant != text and self.field.normalize != "queue" else None  # its owner field says so
        try:
            return self.make(meant), "", written
        except ValueError as e:
            return None, str(e), written


def clean(text: str) -> str:
    """A cell without spaces around it, in one form of Unicode: a name that is composed otherwise is the same name."""
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text).strip("\u200b\ufeff").strip()


def cells_of(f: Field, zone: tzinfo, source: DataSource, habits: Habits | None, entity: str) -> Cells:
    """How to read the cells of a field, in a column with some habits."""
    textual = f.type.name in ("string", "list")
    words = {w.lower() for w in source.missing} | (set() if textual else MISSING)
    exact = NO_TEXT
    if f.missing is not None:
        words, exact = {w.lower() for w in f.missing}, frozenset({""})
    named = frozenset((*f.type.values, *f.aliases))
    return Cells(f, frozenset(words), exact, named, maker(f, zone, source, habits, entity))


def coerce_table(
    entity: str,
    fields: Mapping[str, Field],
    raw: Iterable[Mapping[str, Any]],
    roles: list[str],
    zone: tzinfo,
    source: DataSource,
    decided: bool = False,
    earlier: Typed | None = None,
) -> Typed:
    """Typed records: references still as text, under the field's name; `$line` and unknown columns are kept.

    A record that the policy decides goes back to where it came from, so its id is never made up. `earlier` are records of the same table:
    what its columns settled holds for these too.
    """
    origin = raw.origin if isinstance(raw, Records) else Origin("")
    raw = list(raw)
    keys = dict.fromkeys((*origin.header, *(k for row in raw for k in row if k != "$line")))
    out = Typed(started(entity, fields, keys, roles, origin, len(raw), decided))
    reading = out.reading
    out.rejects += [Reject(entity, "", line, "", text, reason) for line, text, reason in origin.rejects]
    columns = out.columns
    readers: dict[str, Cells] = {}
    for name, column in columns.items():
        f = field_of(fields, name)
        if is_open(f):
            out.habits[column] = _habits(f, raw, column, reading, earlier)
        readers[name] = cells_of(f, zone, source, out.habits.get(column), entity)
    defaults = {name: maker(f, zone, source)(f.default) for name, f in fields.items() if f.default is not None}
    extra = reading.unknown
    required = [f for f in fields.values() if f.required]
    local = [(name, f) for name, f in fields.items() if name in columns and is_local(f)]
    held: list[tuple[dict[str, Any], Mapping[str, Any], int, tuple[str, Any, str] | None]] = []
    for number, row in enumerate(raw, 1):
        marked = row.get("$line")
        line = marked if type(marked) is int and marked > 0 else number
        typed, problem = _cells_of_row(row, columns, readers, reading)
        for name, f in local:
            problem = _local(name, f, typed, problem, reading)
        reading.filled.update(typed.keys())
        for name, default in defaults.items():
            if typed.get(name) is None:
                typed[name] = default
        for f in required:
            if f.type.name != "owners" and typed.get(f.name) is None:
                problem = problem or (f.name, "", f"`{f.name}` is required and missing")
        held.append((typed, row, line, problem))
    for name in listed(columns, fields):
        reading.list_values(name, {x for typed, *_ in held if (x := typed.get(name)) is not None})
    with_ids = "id" in columns
    for typed, row, line, problem in held:
        identity = str(typed["id"]) if typed.get("id") else "" if with_ids else _identity(entity, typed, line, decided)
        if not identity:
            problem = problem or ("id", "", NAMELESS if with_ids else UNKNOWN_RECORD)
        if problem:
            name, value, reason = problem
            out.rejects.append(Reject(entity, identity, line, name, shown(value), reason))
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
    out.rejects.sort(key=lambda r: r.line)
    _only_one_each(entity, out)
    finished(reading, out.rejects)
    return out


def _cells_of_row(
    row: Mapping[str, Any], columns: Mapping[str, str], readers: Mapping[str, Cells], reading: Reading
) -> tuple[dict[str, Any], tuple[str, Any, str] | None]:
    """(field -> value of the cells that have one; field, raw value and reason of the first that cannot be read)."""
    typed: dict[str, Any] = {}
    problem: tuple[str, Any, str] | None = None
    for name, column in columns.items():
        value = row.get(column)
        if value is None or value != value:
            continue  # NaN, which Parquet has for missing numbers, is not equal to itself
        cells = readers[name]
        if isinstance(value, str) and cells.is_missing(text := clean(value)):
            if text:
                reading.unread[name, text] += 1
            continue
        meant, wrong, alias = cells.read(value)
        if alias is not None:
            reading.corrected[name, alias, corrected(cells.field, alias)] += 1
        if wrong:
            problem = problem or (name, value, wrong)
        elif meant is None:
            if cells.is_unread(shown(value)):
                reading.unread[name, shown(value)] += 1
        else:
            typed[name] = meant
    return typed, problem


def started(
    entity: str, fields: Mapping[str, Field], keys: Iterable[str], roles: list[str], origin: Origin, rows: int, decided: bool
) -> Reading:
    """A reading report before the first cell is read."""
    keys = list(keys)
    columns = _known_columns(entity, fields, tuple(keys), roles)
    used = set(columns.values())
    unknown = [k for k in keys if k not in used]
    notes = list(origin.notes)
    if decided and rows and "id" not in columns:
        instead = [f"`{columns[k]}`" for k in ("email", "name", "domain") if k in columns]
        notes.append(f"it has no id column: {' or else '.join(instead) or 'nothing'} is what tells its records apart")
    return Reading(entity, origin.shown, rows + len(origin.rejects), origin.blank, notes, columns, unknown)


_COLUMNS: dict[tuple[int, str, tuple[str, ...], tuple[str, ...]], tuple[Mapping[str, Field], dict[str, str]]] = {}
MOST_HEADERS = 1000


def _known_columns(entity: str, fields: Mapping[str, Field], keys: tuple[str, ...], roles: list[str]) -> dict[str, str]:
    """`columns_of`, remembered: a service reads one record after another with the same few headers."""
    key = id(fields), entity, keys, tuple(roles)
    known = _COLUMNS.get(key)
    if known is None or known[0] is not fields:
        if len(_COLUMNS) >= MOST_HEADERS:
            _COLUMNS.clear()
        known = _COLUMNS[key] = fields, columns_of(entity, fields, keys, roles)
    return dict(known[1])


def listed(columns: Mapping[str, str], fields: Mapping[str, Field]) -> list[str]:
    """The fields of texts that may be lists of values."""
    return [
        n
        for n in columns
        if n in fields and fields[n].type.name == "string" and n not in ("id", "name", "email", "phone") and fields[n].default is None
    ]


def finished(reading: Reading, rejects: Sequence[Reject]) -> None:
    """Count the rejects; every field that has a column is counted, if with none."""
    for name in reading.columns:
        reading.filled.setdefault(name, 0)
    reading.count(rejects)


def _habits(f: Field, raw: Sequence[Mapping[str, Any]], column: str, reading: Reading, earlier: Typed | None) -> Habits:
    habits = Habits()
    habits.add(f, {x for row in raw if isinstance(x := row.get(column), str)})
    if earlier is not None and column in earlier.habits:
        habits.merge(earlier.habits[column])
    settle(habits, column, reading)
    return habits


def settle(habits: Habits, column: str, reading: Reading) -> None:
    """Say what a column settled."""
    said = habits.note()
    if said:
        reading.notes.append(f"{column}: {said}")


def shown(value: Any) -> str:
    """A raw value in a report."""
    return "" if value is None else (clean(value) if isinstance(value, str) else str(value))[:200]


# --- what depends on the record's country ---------------------------------------------------------------------------


def is_local(f: Field) -> bool:
    """Whether a field's texts are read by the record's country."""
    return f.normalize in ("state", "postal_code") or (f.name == "postal_code" and f.type.name == "string" and not f.normalize)


def localized(f: Field, text: str, country: str | None) -> tuple[str, bool, bool]:
    """(what a text means in a country, whether that is a correction, whether it could be read)."""
    if f.normalize == "state":
        found = own.state(text, country)
        return (found, False, True) if found else (text, False, False)
    mended = postal_code(text, country)
    return mended, mended != text, True


# Countries whose postal codes are digits of one length and may begin with a zero, which spreadsheets drop.
ZEROS = dict.fromkeys(
    [
        "US",
        "PR",
        "VI",
        "GU",
        "AS",
        "MP",
        "DE",
        "FR",
        "GP",
        "MQ",
        "GF",
        "RE",
        "YT",
        "IT",
        "ES",
        "MX",
        "FI",
        "TR",
        "UA",
        "KR",
        "MY",
        "LT",
        "KE",
        "DZ",
        "MA",
        "PE",
        "GT",
        "DO",
        "CU",
        "LK",
        "MM",
        "NP",
    ],
    5,
)
ZEROS |= (
    dict.fromkeys(["AU", "NO", "DK", "ZA", "NZ", "PH", "BG", "GL", "SJ"], 4)
    | dict.fromkeys(["CN", "RO", "KZ", "SG", "EC", "KG", "TM"], 6)
    | {"JP": 7, "BR": 8}
)
POSTAL = re.compile(r"(\d{2,7})(-\d{4})?(\.0+)?", re.ASCII)


def postal_code(text: str, country: str | None) -> str:
    """A code with the zeros that a spreadsheet dropped; as it is where the country's codes do not begin with zeros."""
    width = ZEROS.get(country or "")
    m = POSTAL.fullmatch(text) if width else None
    if m is None or not width:
        return text
    lost = width - len(m[1])
    most = 2 if width == 5 and country in ("US", "PR", "VI", "AS") else 1
    return m[1].zfill(width) + (m[2] or "") if 0 <= lost <= most and (lost or m[3]) else text


def _local(
    name: str, f: Field, typed: dict[str, Any], problem: tuple[str, Any, str] | None, reading: Reading
) -> tuple[str, Any, str] | None:
    text = typed.get(name)
    if text is None:
        return problem
    meant, mended, known = localized(f, text, typed.get("country"))
    typed[name] = meant
    if mended:
        reading.corrected[name, text, meant] += 1
    if not known:
        if not f.standard:
            return problem or (name, text, f"`{text}` is not a state")
        reading.unread[name, text] += 1
    return problem


# --- identity -------------------------------------------------------------------------------------------------------
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


def _identity(entity: str, typed: dict[str, Any], line: int, decided: bool) -> str:
    for name in telling(entity, decided):
        if typed.get(name):
            return str(typed[name])
    return "" if decided else f"{entity}-{line}"


def telling(entity: str, decided: bool) -> tuple[str, ...]:
    """The fields that tell records without an id apart. Deals and activities share their names, and nobody refers to them by those."""
    return () if entity in ("opportunity", "activity") and not decided else ("email", "name", "domain")


def _name(typed: dict[str, Any]) -> str | None:
    parts = [typed.get("first_name"), typed.get("last_name")]
    joined = " ".join(str(p) for p in parts if p)
    return joined or typed.get("company") or typed.get("email") or typed.get("domain")


# --- one value ------------------------------------------------------------------------------------------------------


def maker(f: Field, zone: tzinfo, source: DataSource, habits: Habits | None = None, entity: str = "") -> Callable[[Any], Any]:
    """A function from raw to typed that raises ValueError with the reason for a reject; None for what a standard field cannot read."""
    if f.type.name in ("record", "owners") or f.normalize == "queue":
        return _key(f)
    if f.words:
        return lambda value: _worded(value, f.words)
    sign, order = declared(f, source)
    if habits is not None:
        sign, order = sign or habits.sign, order or habits.order
    if f.type.name in ("number", "range"):
        return _numeric(f, sign, entity, habits)
    if f.type.name in ("date", "date and time"):
        formats = tuple(x for x in (f.format, source.format) if "%" in x)
        return _day(zone, formats, order, entity) if f.type.name == "date" else _moment(zone, formats, order, entity)
    if f.type.name == "list":
        one = _text(f)
        return lambda value: (
            [x for part in map(clean, re.split(r"[;\n|]", str(value))) if part and (x := one(f.aliases.get(part, part))) is not None]
            or None
        )
    return _text(f) if f.type.name == "string" else _MAKERS[f.type.name]


def _text(f: Field) -> Callable[[Any], str | None]:
    tidy = NORMALIZERS.get(f.normalize, fold)
    allowed = f.type.values

    def text(value: Any) -> str | None:
        raw = v.show_number(value) if v.is_number(value) else str(value)
        found = tidy(raw)
        if found is None and f.normalize in ("country", "domain", "phone", "hours"):
            if f.standard and f.normalize != "hours":
                return None
            raise ValueError(f"`{raw}` is not a {_CALLED.get(f.normalize, f.normalize)}")
        if allowed and found not in allowed:
            help = suggest(str(found), allowed, "it is one of " + ", ".join(f"`{a}`" for a in allowed[:6]))
            raise ValueError(f"`{found}` is not among the declared values; {help}")
        return found

    return text


_CALLED = {"hours": "time of opening hours such as 09:00-17:30", "phone": "phone number"}


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
        return _boolean(value)
    except ValueError:
        text = str(value).strip().casefold()
        return text in words or re.sub(r"\s*\([^()]*\)$", "", text) in words


NORMALIZERS: dict[str, Callable[[str], str | None]] = {
    "country": own.country,
    "domain": own.domain,
    "phone": lambda text: own.normalize_phone(text) or own.normalize_phone(text, "US"),
    "company": own.company,
    "hours": lambda text: text.strip() if hours_of(text) else None,
    "lower": str.lower,
    "upper": str.upper,
    "trim": lambda text: " ".join(text.split()),
}


def _numeric(f: Field, sign: str, entity: str, habits: Habits | None) -> Callable[[Any], Any]:
    parse: Callable[[str, str, str], Any] = {
        "percent": numbers.parse_percent, "money": numbers.parse_money, "band": numbers.parse_band
    }.get(f.reads, numbers.parse_number)  # fmt: skip
    several = sorted(habits.money) if habits is not None and len(habits.money) > 1 and not f.currency else []

    def number(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"`{value}` is not a number")
        if v.is_number(value):
            found = v.number(value)
            if found is None:
                raise ValueError(f"`{value}` is not a number")
            return v.Range(found, found) if f.type.name == "range" else found
        text = str(value)
        if several or f.currency:
            _one_currency(text, f, several)
        return parse(text, sign, entity)

    return number


def _one_currency(text: str, f: Field, several: list[str]) -> None:
    for piece in numbers.figures(text, f.reads or "number"):
        found = numbers.amount(piece)
        if found is not None and found.money and (several or found.money != f.currency):
            if several:
                raise ValueError(
                    f"`{text}` is one of several currencies in its column ({', '.join(several[:4])}); say which the field has: `currency: {several[0]}`"
                )
            raise ValueError(f"`{text}` is not in {f.currency}, the field's currency")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = v.show_number(value) if v.is_number(value) else str(value).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"`{value}` is neither yes nor no")


def _moment(zone: tzinfo, formats: tuple[str, ...], order: str, entity: str) -> Callable[[Any], datetime]:
    def moment(value: Any) -> datetime:
        if isinstance(value, datetime):
            return dates.settled(value, zone)
        if isinstance(value, date):
            return datetime.combine(value, time(), zone)
        return dates.parse_datetime(str(value), zone, formats, order, entity)

    return moment


def _day(zone: tzinfo, formats: tuple[str, ...], order: str, entity: str) -> Callable[[Any], date]:
    moment = _moment(zone, formats, order, entity)

    def day(value: Any) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and (found := v.parse_date(value)) is not None:
            return found
        return moment(value).date()

    return day


def _time(value: Any) -> time:
    found = value if isinstance(value, time) else v.parse_time(str(value)) or v.parse_time(f"{value}:00")
    if found is None:
        raise ValueError(f"`{value}` is not a time of day")
    return found


def _duration(value: Any) -> Any:
    found = value if isinstance(value, (timedelta, v.Months)) else v.parse_duration(str(value))
    if found is None:
        raise ValueError(f"`{value}` is not a duration")
    return found


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "boolean": _boolean,
    "time": _time,
    "days and time duration": _duration,
    "years and months duration": _duration,
}
