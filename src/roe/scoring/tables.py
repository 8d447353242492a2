"""The raw tables of a history: read, joined by the keys they share, and typed by what their columns hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from roe.data.cells import MISSING, NO_TEXT
from roe.data.coerce import RawRecords
from roe.data.makers import clean
from roe.data.numbers import WrittenNumber, amount, currencies, parse_number
from roe.data.read import SUFFIXES, read_file
from roe.data.reading import general, in_order
from roe.diagnostics import PolicyError, errors, suggest, user_error
from roe.dynamic import Cell, Value, Values
from roe.grammar import values as v

_NAME = re.compile(r"\W+")
_DATE = re.compile(r"(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?")

Row = dict[str, Cell]


@dataclass(slots=True)
class Tables:
    """The tables of a folder: `rows` under names of the language, `headers` that are such names themselves, and `broken` rows as texts."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # header -> its name
    broken: dict[str, list[str]] = field(default_factory=dict)
    cut: dict[str, list[bool]] = field(default_factory=dict)  # rows before a broken one: their last cell may go on there
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Joined:
    """The rows of the main table with what the others add to them.

    `lists` are the rows of tables with several for one key; `source` is the table of a column that another table adds; `matched` says,
    for such a table, which rows it has something for; `damaged`, which rows' keys stand in its broken rows, or in one before them.
    """

    rows: list[Row]
    lists: dict[str, list[list[Row]]] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)
    matched: dict[str, list[bool]] = field(default_factory=dict)
    damaged: dict[str, list[bool]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def name_of(header: str) -> str:
    """A column's header as a name of the language."""
    name = _NAME.sub("_", header.strip()).strip("_").lower()
    return f"_{name}" if not name or name[0].isdigit() else name


def failure(message: str, help: str, at: str, code: str = "R801") -> PolicyError:
    return user_error(code, message, at, help)


def read_tables(folder: Path) -> Tables:
    """Every table of a folder, or the one of a file. Raises PolicyError."""
    given = [folder] if folder.is_file() else sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [p for p in given if p.suffix in SUFFIXES and p.is_file()]
    if not paths:
        raise failure(f"there are no tables in `{folder}`", "name a folder with CSV files", "--data", "R606")
    tables = Tables()
    for path in paths:
        rows, problems = read_file(path)
        if errors(problems):
            raise PolicyError(problems)
        _add(tables, path, rows)
    return tables


def _add(tables: Tables, path: Path, rows: RawRecords) -> None:
    """Add a file's rows, under the names that expressions can write, and say what was left out of them."""
    left_out = rows.origin.rejects
    if left_out:
        reasons = Counter(general(reason) for _, _, reason in left_out)
        listed = "; ".join(f"{n:,}: {reason}" for reason, n in in_order(reasons.items())[:3])
        tables.notes.append(f"`{path.name}`: {len(left_out):,} rows are left out ({listed})")
    tables.notes += [f"`{path.name}`: {note}" for note in rows.origin.notes]
    renamed: dict[str, str] = {}
    for row in rows[:1] + rows[-1:]:
        renamed |= {k: name_of(k) for k in row if k != "$line"}
    tables.headers |= {k: name for k, name in renamed.items() if k.isidentifier()}
    name = name_of(path.stem)
    tables.rows[name] = [{renamed.get(k) or name_of(k): _text(x) for k, x in row.items() if k != "$line"} for row in rows]
    tables.broken[name] = [text for _, text, _ in left_out]
    broken = {line for line, _, _ in left_out}
    tables.cut[name] = [row.get("$line", -1) + 1 in broken for row in rows]


def _text(value: Value) -> Value:
    """A cell: nothing, where it is empty or a database's `NULL`. What else may mean nothing depends on its column."""
    if isinstance(value, float) and value != value:
        return None
    if not isinstance(value, str):
        return value
    text = clean(value)
    return None if text in NO_TEXT else text


def is_missing(value: Value) -> bool:
    """Whether a cell has no value in a column of numbers, dates, yes and no, or keys: in a column of texts `None` and `NA` may be names."""
    return value is None or (isinstance(value, str) and value.lower() in MISSING)


def is_key(values: Iterable[Value]) -> bool:
    values = list(values)
    return not any(map(is_missing, values)) and len({str(x) for x in values}) == len(values) and len(values) > 0


def _keys(rows: list[Values]) -> set[str]:
    return {name for name in (rows[0] if rows else ()) if is_key(row.get(name) for row in rows)}


def main_tables(tables: Tables, asked: str) -> list[str]:
    """The tables whose rows may be the records, the likeliest first. Raises PolicyError."""
    rows = tables.rows
    if asked:
        if name_of(asked) not in rows:
            raise failure(f"there is no table `{asked}`", suggest(asked, rows, f"there are {', '.join(rows)}"), "--records")
        return [name_of(asked)]
    keys = {name: _keys(table) for name, table in rows.items()}

    def children(name: str) -> int:
        return sum(any(k in (table[0] if table else ()) for k in keys[name]) for other, table in rows.items() if other != name)

    return sorted(rows, key=lambda name: (children(name), len(rows[name]), name), reverse=True)


def join_tables(tables: Tables, main: str) -> Joined:
    """The rows of the main table, with the columns of tables that have one row for each, and lists of the rows of others."""
    joined = Joined([dict(row) for row in tables.rows[main]])
    joined.notes.append(f"records: the {len(joined.rows)} rows of `{main}`")
    joined.damaged[main] = tables.cut[main]
    last = next(reversed(joined.rows[0]), "") if joined.rows else ""
    joined.source[last] = main
    keys = _keys(joined.rows)
    for name, others in tables.rows.items():
        if name == main:
            continue
        shared = [k for k in (others[0] if others else ()) if k in keys]
        shared = shared or [k for k in _keys(others) if joined.rows and k in joined.rows[0]]
        if shared:
            _join(joined, name, others, shared[0], _damaged_cells(tables, name, shared[0]))
        else:
            joined.notes.append(f"`{name}` has no key in common with `{main}` and is left out")
    return joined


def _damaged_cells(tables: Tables, name: str, key: str) -> set[str]:
    """What stands in the broken rows of a table, and the keys of rows that may go on in one."""
    texts = {cell.strip().strip('"') for text in tables.broken[name] for cell in re.split(r"[,;\t|]", text)}
    return texts | {str(row.get(key)) for row, cut in zip(tables.rows[name], tables.cut[name], strict=True) if cut}


def _join(joined: Joined, name: str, others: list[Row], key: str, damaged: set[str]) -> None:
    """One other table, by a key: its columns if it has one row for each, else its rows as a list."""
    by_key: dict[Value, list[Row]] = {}
    keyless = 0
    for row in others:
        if is_missing(row.get(key)):
            keyless += 1
        else:
            by_key.setdefault(row[key], []).append(row)
    if keyless:
        joined.notes.append(f"`{name}`: {keyless:,} rows without `{key}` belong to no record")
    joined.damaged[name] = [str(row.get(key)) in damaged for row in joined.rows]
    if max(map(len, by_key.values()), default=1) == 1:
        names = {k: k if k not in joined.rows[0] else f"{name}_{k}" for k in others[0] if k != key}
        joined.matched[name] = [row.get(key) in by_key for row in joined.rows]
        for row in joined.rows:
            own = by_key.get(row.get(key), [{}])[0]
            row.update({mine: own.get(k) for k, mine in names.items()})
        joined.source |= dict.fromkeys(names.values(), name)
        joined.notes.append(f"`{name}` adds its columns, one row by `{key}`")
    else:
        joined.lists[name] = [[{k: x for k, x in r.items() if k != key} for r in by_key.get(row.get(key), ())] for row in joined.rows]
        joined.notes.append(f"`{name}` is a list of each record, by `{key}`")


def typed(values: list[Value]) -> list[Value]:
    """The values of a column as what all of them are: numbers, booleans, dates, or texts."""
    if not all(x is None or isinstance(x, str) for x in values):
        return values
    known = [None if is_missing(x) else x for x in values]
    lowered = {x.lower() for x in known if x is not None}
    if not lowered:
        return known
    if lowered <= {"true", "false", "yes", "no"}:
        return [None if x is None else x.lower() in ("true", "yes") for x in known]
    if not any(map(_coded, lowered)):
        try:
            return [None if x is None else v.number(float(x)) for x in known]
        except ValueError:
            pass
        amounts = _amounts(known)
        if amounts is not None:
            return amounts
    dates = _dates(known)
    return dates if dates is not None else values


def _amounts(values: list[Value]) -> list[Value] | None:
    """Numbers as people write them, `1.200,50 €`, by the decimal sign of their column as in a run; None if they are none or it leaves them open."""
    written = _written(values)
    money = {number.money for number in written.values() if number.money}
    if len(money) > 1 and not frozenset.intersection(*map(currencies, money)):
        return None
    signs = {number.sign for number in written.values()} - {"", "?"}
    sign = next(iter(signs)) if len(signs) == 1 else ""
    try:
        numbers = {text: parse_number(text, sign) for text in written}
    except ValueError:
        return None
    return [numbers.get(x) if isinstance(x, str) else None for x in values] if numbers else None


def example_of_open_numbers(values: Iterable[Value]) -> str:
    """One of the texts of a column that are all numbers and can be read in two ways; empty if they are something else."""
    return next((text for text, number in _written(values).items() if number.sign == "?"), "")


def _written(values: Iterable[Value]) -> dict[str, WrittenNumber]:
    """The texts of a column and the numbers that they are; nothing if one of them is not a number."""
    written = {}
    for text in {x: None for x in values if isinstance(x, str)}:
        number = amount(text)
        if number is None:
            return {}
        written[text] = number
    return written


def _coded(text: str) -> bool:
    """Whether digits are a code, such as 01234, or no number at all, such as nan."""
    digits = text.lstrip("-")
    return (digits[:1] == "0" and digits[1:2].isdigit()) or text in ("nan", "inf", "-inf", "infinity", "-infinity")


def _dates(values: list[Value]) -> list[Value] | None:
    """Dates and date-times, years first, or days first where one of them cannot be a month; None if they are none."""
    matches = [None if x is None else _DATE.fullmatch(x) for x in values]
    if any(m is None and x is not None for m, x in zip(matches, values, strict=True)):
        return None
    order = _order_of([(int(m[1]), int(m[2]), int(m[3])) for m in matches if m])
    try:
        dates = [None if m is None else _moment(m, order) for m in matches]
    except ValueError:
        return None
    if not any(isinstance(x, datetime) for x in dates):
        return dates
    return [datetime.combine(x, datetime.min.time()) if isinstance(x, date) and not isinstance(x, datetime) else x for x in dates]


def _order_of(parts: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Which of three numbers are the year, the month and the day, by all dates of a column."""
    if all(first > 31 for first, _, _ in parts):
        return 1, 2, 3
    return (3, 1, 2) if any(second > 12 for _, second, _ in parts) else (3, 2, 1)


def _moment(m: re.Match[str], order: tuple[int, int, int]) -> date:
    """A date, or a moment where a time is written. Raises ValueError."""
    year, month, day = (int(m[place]) for place in order)
    moment = datetime(year, month, day, int(m[4] or 0), int(m[5] or 0), int(m[6] or 0))
    return moment if m[4] else moment.date()
