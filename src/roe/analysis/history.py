"""History as records with an outcome: raw tables joined by their keys, typed by what their columns hold; or a policy's own records."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from roe.api import parse_checked, scope_of
from roe.data.coerce import MISSING, NO_TEXT, clean
from roe.data.read import SUFFIXES, read_file
from roe.data.reading import general, in_order
from roe.diagnostics import Diagnostic, PolicyError, errors, suggest
from roe.evaluator.expressions import IMPLICIT, compile_expression
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.source import Inline, Span, Text

ENOUGH = 20  # records with a value, before it can be too good to be true
TOO_GOOD = 0.995  # the area under the curve of one feature
LEAST_LEAK = 5  # records with a value, before its being there with one outcome only is more than chance
_NAME = re.compile(r"\W+")
_KEY = re.compile(r"(^|_)(id|key|number|no|nr|num|index|row)$")
_DATE = re.compile(r"(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?")


@dataclass(slots=True)
class History:
    """Records with what is known of each; `outcome` is won or not, `time` and `group` what they are held out by (or None)."""

    ids: list[str]
    features: dict[str, list[Any]]
    outcome: list[bool]
    time: list[Any] | None = None
    group: list[str] | None = None
    scores: dict[str, list[float]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)  # feature -> why it is left out
    notes: list[str] = field(default_factory=list)

    def take(self, rows: Sequence[int]) -> History:
        def of(values: list[Any]) -> list[Any]:
            return [values[i] for i in rows]

        return History(
            of(self.ids), {k: of(x) for k, x in self.features.items()}, of(self.outcome), of(self.time) if self.time is not None else None,
            of(self.group) if self.group is not None else None, {k: of(x) for k, x in self.scores.items()}, self.dropped, self.notes,
        )  # fmt: skip


def name_of(header: str) -> str:
    """A column's header as a name of the language."""
    found = _NAME.sub("_", header.strip()).strip("_").lower()
    return f"_{found}" if not found or found[0].isdigit() else found


def _fail(message: str, help: str, at: str, code: str = "R503") -> PolicyError:
    return PolicyError([Diagnostic(code, message, Span(at, 1, 1, 2), help)])


# --- raw tables -----------------------------------------------------------------------------------------------------


def read_history(folder: Path, outcome: str, time: str = "", group: str = "", records: str = "") -> History:
    """The records of the main table of a folder, with those of others that one key joins to them.

    The main table is the one that the others refer to, the largest of them, or the first that has what the outcome names and both
    outcomes, unless `records` names it. A table with one row for each key adds its columns; one with several adds their number
    and the list. Raises PolicyError.
    """
    tables, spellings, said = _tables(folder)
    first: History | PolicyError | None = None
    for main in _mains(tables, records):
        try:
            found = _history(tables, spellings, main, outcome, time, group)
        except PolicyError as e:
            first = first or e
            continue
        found.notes += said
        if any(found.outcome) and not all(found.outcome):
            return found
        first = found if not isinstance(first, History) else first
    if isinstance(first, PolicyError):
        raise first
    assert first is not None
    return first


def _history(tables: dict[str, list[dict[str, Any]]], spellings: dict[str, str], main: str, outcome: str, time: str, group: str) -> History:
    """The records of one table as the main one."""
    rows, relations, notes = _joined(tables, main)
    raw = {name: [row.get(name) for row in rows] for name in dict.fromkeys(k for row in rows for k in row)}
    columns = {name: _typed(values) for name, values in raw.items()}
    for name, lists in relations.items():
        columns[f"count_{name}"] = [len(x) for x in lists]
        names = dict.fromkeys(k for rows in lists for row in rows for k in row)
        flat = {k: iter(_typed([row.get(k) for found in lists for row in found])) for k in names}
        columns[name] = [[{k: next(flat[k]) for k in names} for _ in found] for found in lists]
    columns = {name: columns[name] for name in columns if name not in relations} | {n: columns[n] for n in relations}
    known = list(columns)
    spelt = {header: name for header, name in spellings.items() if name in columns and header not in columns}
    tree = _parse(outcome, [*known, *spelt])
    won, how = _won(tree, columns, raw, spelt, len(rows))
    notes += [how] if how else []
    named = {n.id for n in s.walk(tree) if isinstance(n, s.Name)} | {n.field for n in s.walk(tree) if isinstance(n, s.Path)}
    used = {spelt.get(name, name) for name in named}
    for name in (time, group):
        if name and name_of(name) not in columns:
            raise _fail(
                f"there is no column `{name}`",
                suggest(name, known, f"there are {', '.join(known[:12])}"),
                "--time" if name == time else "--group",
            )
    ids = next((columns[n] for n in columns if n not in relations and n.endswith("id") and _is_key(columns[n])), None)
    ids = [str(x) for x in ids] if ids is not None else [str(i + 1) for i in range(len(rows))]
    found = History(ids, {}, won, notes=notes)
    found.time = columns[name_of(time)] if time else None
    found.group = [str(x) for x in columns[name_of(group)]] if group else None
    skip = {name_of(time) if time else "", name_of(group) if group else "", *relations}
    features = {name: values for name, values in columns.items() if name not in skip}
    _choose(found, features, used)
    return found


def _won(tree: s.Node, columns: dict[str, list[Any]], raw: dict[str, list[Any]], spelt: dict[str, str], n: int) -> tuple[list[bool], str]:
    """Which records are won, and how the columns had to be read for there to be any: as typed, as texts, or 1 and 0 as true and false."""
    code = compile_expression(tree)
    base = scope_of({})
    flags = {
        name: [None if x is None else x == 1 for x in values]
        for name, values in columns.items()
        if name in raw and set(values) <= {0, 1, None}
    }
    readings = (
        (columns, ""),
        ({**columns, **raw}, "the outcome reads columns as texts"),
        ({**columns, **flags}, "the outcome reads 1 and 0 as true and false"),
    )
    found: list[bool] = []
    for reading, how in readings:
        by_name = {**reading, **{header: reading[name] for header, name in spelt.items()}}
        won = []
        for i in range(n):
            record = {name: values[i] for name, values in by_name.items()}
            won.append(code({**base, **record, IMPLICIT: record}) is True)
        found = found or won
        if any(won):
            return won, how
    return found, ""


def _tables(folder: Path) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str], list[str]]:
    """(the rows of each table, under names of the language; the name of each header that is one itself; what was not read as it stands)."""
    given = [folder] if folder.is_file() else sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [p for p in given if p.suffix in SUFFIXES and p.is_file()]
    if not paths:
        raise _fail(f"there are no tables in `{folder}`", "name a folder with CSV files", "--data", "R606")
    found: dict[str, list[dict[str, Any]]] = {}
    spellings: dict[str, str] = {}
    said: list[str] = []
    for path in paths:
        rows, problems = read_file(path)
        if errors(problems):
            raise PolicyError(problems)
        reasons = Counter(general(reason) for _, _, reason in rows.origin.rejects)
        if reasons:
            listed = "; ".join(f"{n:,}: {reason}" for reason, n in in_order(reasons.items())[:3])
            said.append(f"`{path.name}`: {len(rows.origin.rejects):,} rows are left out ({listed})")
        said += [f"`{path.name}`: {note}" for note in rows.origin.notes]
        renamed: dict[str, str] = {}
        for row in rows[:1] + rows[-1:]:
            renamed |= {k: name_of(k) for k in row if k != "$line"}
        spellings |= {k: name for k, name in renamed.items() if k.isidentifier()}
        found[name_of(path.stem)] = [{renamed.get(k) or name_of(k): _text(x) for k, x in row.items() if k != "$line"} for row in rows]
    return found, spellings, said


def _text(value: Any) -> Any:
    """A cell: nothing, where it is empty or a database's `NULL`. What else may mean nothing depends on its column."""
    if isinstance(value, float) and value != value:
        return None
    if not isinstance(value, str):
        return value
    text = clean(value)
    return None if text in NO_TEXT else text


def _is_missing(value: Any) -> bool:
    """Whether a cell has no value in a column of numbers, dates, yes and no, or keys: in a column of texts `None` and `NA` may be names."""
    return value is None or (isinstance(value, str) and value.lower() in MISSING)


def _is_key(values: Iterable[Any]) -> bool:
    values = list(values)
    return not any(map(_is_missing, values)) and len({str(x) for x in values}) == len(values) and len(values) > 0


def _keys(rows: list[dict[str, Any]]) -> set[str]:
    return {name for name in (rows[0] if rows else ()) if _is_key(row.get(name) for row in rows)}


def _mains(tables: dict[str, list[dict[str, Any]]], asked: str) -> list[str]:
    """The tables whose rows may be the records, the likeliest first."""
    if asked:
        if name_of(asked) not in tables:
            raise _fail(f"there is no table `{asked}`", suggest(asked, tables, f"there are {', '.join(tables)}"), "--records")
        return [name_of(asked)]
    keys = {name: _keys(rows) for name, rows in tables.items()}

    def children(name: str) -> int:
        return sum(any(k in (rows[0] if rows else ()) for k in keys[name]) for other, rows in tables.items() if other != name)

    return sorted(tables, key=lambda name: (children(name), len(tables[name]), name), reverse=True)


def _joined(
    tables: dict[str, list[dict[str, Any]]], main: str
) -> tuple[list[dict[str, Any]], dict[str, list[list[dict[str, Any]]]], list[str]]:
    """The rows of the main table with the columns of those that have one row each; lists of rows of the others, by table."""
    rows = [dict(row) for row in tables[main]]
    notes, relations = [f"records: the {len(rows)} rows of `{main}`"], {}
    keys = _keys(rows)
    for name, others in tables.items():
        if name == main:
            continue
        shared = [k for k in (others[0] if others else ()) if k in keys] or [k for k in _keys(others) if rows and k in rows[0]]
        if not shared:
            notes.append(f"`{name}` has no key in common with `{main}` and is left out")
            continue
        key = shared[0]
        by_key: dict[Any, list[dict[str, Any]]] = {}
        keyless = 0
        for row in others:
            if _is_missing(row.get(key)):
                keyless += 1
            else:
                by_key.setdefault(row[key], []).append(row)
        if keyless:
            notes.append(f"`{name}`: {keyless:,} rows without `{key}` belong to no record")
        if max(map(len, by_key.values()), default=1) == 1:
            names = {k: k if k not in rows[0] else f"{name}_{k}" for k in others[0] if k != key}
            for row in rows:
                own = by_key.get(row.get(key), [{}])[0]
                row.update({mine: own.get(k) for k, mine in names.items()})
            notes.append(f"`{name}` adds its columns, one row by `{key}`")
        else:
            relations[name] = [[{k: x for k, x in r.items() if k != key} for r in by_key.get(row.get(key), ())] for row in rows]
            notes.append(f"`{name}` is a list of each record, by `{key}`")
    return rows, relations, notes


def _typed(values: list[Any]) -> list[Any]:
    """The values of a column as what all of them are: numbers, booleans, dates, or texts."""
    if not all(x is None or isinstance(x, str) for x in values):
        return values
    known = [None if _is_missing(x) else x for x in values]
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
    dates = _dates(known)
    return dates if dates is not None else values


def _coded(text: str) -> bool:
    """Whether digits are a code, such as 01234, or no number at all, such as nan."""
    digits = text.lstrip("-")
    return (digits[:1] == "0" and digits[1:2].isdigit()) or text in ("nan", "inf", "-inf", "infinity", "-infinity")


def _dates(values: list[Any]) -> list[Any] | None:
    """Dates and date-times, years first, or days first where one of them cannot be a month; None if they are none."""
    matches = [None if x is None else _DATE.fullmatch(x) for x in values]
    if any(m is None and x is not None for m, x in zip(matches, values, strict=True)):
        return None
    parts = [(int(m[1]), int(m[2]), int(m[3])) for m in matches if m]
    year_first = all(a > 31 for a, _, _ in parts)
    month_first = not year_first and any(b > 12 for _, b, _ in parts)
    out: list[Any] = []
    for m in matches:
        if m is None:
            out.append(None)
            continue
        a, b, c = int(m[1]), int(m[2]), int(m[3])
        year, month, day = (a, b, c) if year_first else (c, a, b) if month_first else (c, b, a)
        try:
            moment = datetime(year, month, day, int(m[4] or 0), int(m[5] or 0), int(m[6] or 0))
        except ValueError:
            return None
        out.append(moment if m[4] else moment.date())
    if any(isinstance(x, datetime) for x in out):
        out = [datetime.combine(x, datetime.min.time()) if isinstance(x, date) and not isinstance(x, datetime) else x for x in out]
    return out


def _parse(outcome: str, known: list[str]) -> s.Node:
    """The outcome as an expression about the columns."""
    text = Text(outcome, Inline("--outcome"))
    tree, problems = parse_checked(text)
    if tree is None:
        raise PolicyError(problems)
    bound = {b.name for n in s.walk(tree) if isinstance(n, (s.Quantified, s.For)) for b in n.bindings} | {"item", "today", "now", "?"}
    inner = {id(x) for n in s.walk(tree) if isinstance(n, s.Filter) for x in s.walk(n.condition)}
    inner |= {id(x) for n in s.walk(tree) if isinstance(n, s.Pick) for x in s.walk(n.by)}
    found = [n for n in s.walk(tree) if isinstance(n, s.Name) and n.id not in known and n.id not in bound and id(n) not in inner]
    if found:
        raise PolicyError([
            Diagnostic("R201", f"there is no column `{n.id}`", text.span(*n.at), suggest(n.id, known, f"there are {', '.join(known[:12])}")) for n in found
        ])  # fmt: skip
    return tree


# --- features -------------------------------------------------------------------------------------------------------


def _choose(found: History, features: Mapping[str, list[Any]], used: set[str]) -> None:
    """Keep what may be learnt from: nothing that the outcome is made of, no keys, no dates, no lists."""
    for name, values in features.items():
        present = [x for x in values if x is not None]
        if name in used:
            found.dropped[name] = "the outcome is made of it"
        elif not present or (len({str(x) for x in present}) < 2 and len(present) == len(values)):
            found.dropped[name] = "it is the same everywhere"
        elif _numbered(name, values):
            found.dropped[name] = "it is a number of the record"
        elif isinstance(present[0], (date, list, dict)) and not leaks(values, found.outcome):
            found.dropped[name] = "dates and lists are not features"
        elif (
            isinstance(present[0], str)
            and len(set(present)) > 0.9 * len(present)
            and len(present) > 20
            and not leaks(values, found.outcome)
        ):
            found.dropped[name] = "it is another value nearly everywhere"
        else:
            found.features[name] = values


def _numbered(name: str, values: list[Any]) -> bool:
    """Whether whole numbers are but names of the records: all different, and called so or hardly with gaps."""
    whole = all(isinstance(x, (int, float)) and not isinstance(x, bool) and float(x).is_integer() for x in values)
    if len(values) < 20 or not whole or not _is_key(values):
        return False
    return bool(_KEY.search(name)) or max(values) - min(values) < 10 * len(values)


def leaks(values: list[Any], outcome: list[bool]) -> bool:
    """Whether something is there with one outcome only, and missing with the other: it was written after the fact."""
    there = {won for x, won in zip(values, outcome, strict=True) if _there(x)}
    count = sum(map(_there, values))
    absent = {won for x, won in zip(values, outcome, strict=True) if not _there(x)}
    return (len(there) == 1 and count >= LEAST_LEAK and bool(absent - there)) or _tells_all(values, outcome)


def _tells_all(values: list[Any], outcome: list[bool]) -> bool:
    """Whether a value alone nearly says the outcome: numbers that are higher (or lower) with one of them, or pure categories."""
    known = [(x, won) for x, won in zip(values, outcome, strict=True) if x is not None and not isinstance(x, (date, list, dict))]
    won = sum(w for _, w in known)
    if len(known) < ENOUGH or not 0 < won < len(known):
        return False
    if all(isinstance(x, (int, float)) for x, _ in known):
        from sklearn.metrics import roc_auc_score

        area = roc_auc_score([w for _, w in known], [float(x) for x, _ in known])
        return bool(max(area, 1 - area) > TOO_GOOD)
    levels: dict[Any, set[bool]] = {}
    for x, w in known:
        levels.setdefault(x, set()).add(w)
    return len(levels) <= len(known) / ENOUGH and all(len(both) == 1 for both in levels.values())


def _there(value: Any) -> bool:
    return value is not None and value is not False and value != 0


def leave_out_leaks(found: History, keep: Sequence[str]) -> list[str]:
    """Leave out what leaks, unless it is kept by name; returns their names."""
    gone = [name for name, values in found.features.items() if leaks(values, found.outcome)]
    for name in gone:
        if name not in keep and name_of(name) not in keep:
            found.dropped[name] = "leakage: it is there with one outcome only, or says it alone"
            del found.features[name]
    return gone


def hold_out(found: History, share: float = 0.3) -> tuple[list[int], list[int], str]:
    """(earlier rows, held-out rows, how): the last by time, without the groups that the earlier ones have.

    Where that would leave out most of them, the groups that came last are held out whole; without a time, groups by a hash.
    """
    n = len(found.ids)
    groups = found.group or found.ids
    if found.time is None:
        held = [int(hashlib.sha256(g.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF < share for g in groups]
        return [i for i in range(n) if not held[i]], [i for i in range(n) if held[i]], "by chance, since no --time is given"
    moments = found.time
    texts = len({type(x) for x in moments if x is not None}) > 1
    order = sorted((i for i in range(n) if moments[i] is not None), key=lambda i: (str(moments[i]) if texts else moments[i], found.ids[i]))
    cut = len(order) - int(len(order) * share)
    early, late = order[:cut], order[cut:]
    seen = {groups[i] for i in early}
    kept = [i for i in late if groups[i] not in seen]
    if len(kept) * 2 >= len(late):
        gone = len(late) - len(kept)
        return early, kept, f"the last {share:.0%} by time" + (f", without {gone} whose group is among the earlier" if gone else "")
    first: dict[str, int] = {}
    for place, i in enumerate(order):
        first.setdefault(groups[i], place)
    by_group = sorted(order, key=lambda i: first[groups[i]])
    cut_at = first[groups[by_group[min(cut, len(by_group) - 1)]]]
    early, late = ([i for i in by_group if (first[groups[i]] < cut_at) is before] for before in (True, False))
    return early, late, "the groups that came last, whole: most of the latest records are of groups that are among the earlier"
