"""History as records with an outcome: raw tables joined by their keys, typed by what their columns hold; or a policy's own records."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from roe.api import parse_checked, scope_of
from roe.diagnostics import Diagnostic, PolicyError, suggest, user_error
from roe.dynamic import Saved, Value
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.grammar.scopes import IMPLICIT
from roe.scoring.tables import Joined, Tables, failure, is_key, join_tables, main_tables, name_of, read_tables, typed
from roe.source import Inline, Text
from roe.words import some

MOST = 40  # columns that a message names
_KEY = re.compile(r"(^|_)(id|key|number|no|nr|num|index|row)$")


@dataclass(slots=True)
class ScoredHistory:
    """Records with what is known of each; `outcome` is won or not, `time` and `group` what they are held out by (or None).

    `aside` are columns that cannot be features, such as dates, but may tell of leakage. `tables` names the joined table of a column,
    `matched` says for which records such a table has a row. `raw` are the cells of features as the data has them, `keys` the columns that
    tell all records apart.
    """

    ids: list[str]
    features: dict[str, list[Value]]
    outcome: list[bool]
    time: list[Value] | None = None
    group: list[str] | None = None
    scores: dict[str, list[float]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)  # feature -> why it is left out
    notes: list[str] = field(default_factory=list)
    aside: dict[str, list[Value]] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    matched: dict[str, list[bool]] = field(default_factory=dict)
    raw: dict[str, list[Value]] = field(default_factory=dict)
    keys: dict[str, list[Value]] = field(default_factory=dict)

    def take(self, rows: Sequence[int]) -> ScoredHistory:
        def of(values: list[Value]) -> list[Value]:
            return [values[i] for i in rows]

        return ScoredHistory(
            of(self.ids), {k: of(x) for k, x in self.features.items()}, of(self.outcome), of(self.time) if self.time is not None else None,
            of(self.group) if self.group is not None else None, {k: of(x) for k, x in self.scores.items()}, self.dropped, self.notes,
            {k: of(x) for k, x in self.aside.items()}, self.tables, {k: of(x) for k, x in self.matched.items()}, {k: of(x) for k, x in self.raw.items()},
            {k: of(x) for k, x in self.keys.items()},
        )  # fmt: skip


def read_history(folder: Path, outcome: str, time: str = "", group: str = "", records: str = "") -> ScoredHistory:
    """The records of the main table of a folder, with those of others that one key joins to them.

    The main table is the one that the others refer to, the largest of them, or the first that has what the outcome names and both
    outcomes, unless `records` names it. A table with one row for each key adds its columns; one with several adds their number
    and the list. Records whose outcome is not known are left out. Raises PolicyError.
    """
    tables = read_tables(folder)
    first: PolicyError | None = None
    for main in main_tables(tables, records):
        try:
            history = _history(tables, main, outcome, time, group)
        except PolicyError as e:
            first = e if first is None or (isinstance(e, OneOutcomeError) and not isinstance(first, OneOutcomeError)) else first
            continue
        history.notes += tables.notes
        return history
    assert first is not None
    raise first


class OneOutcomeError(PolicyError):
    """All records of a table are won, or none is."""


def _history(tables: Tables, main: str, outcome: str, time: str, group: str) -> ScoredHistory:
    """The records of one table as the main one."""
    joined = join_tables(tables, main)
    raw = {name: [row.get(name) for row in joined.rows] for name in dict.fromkeys(k for row in joined.rows for k in row)}
    columns = _columns(joined, raw)
    headers = {header: name for header, name in tables.headers.items() if name in columns and header not in columns}
    tree = _parse(outcome, [*columns, *headers])
    won, how = _won(tree, columns, raw, headers, len(joined.rows))
    used = {headers.get(name, name) for name in s.names_and_fields(tree)}
    _check_columns(columns, time, group)
    history = ScoredHistory(_ids(joined, columns), {}, won, notes=joined.notes + ([how] if how else []))
    history.time = columns[name_of(time)] if time else None
    history.group = [str(x) for x in columns[name_of(group)]] if group else None
    history.tables, history.matched = joined.source, joined.matched  # the main table is not in `matched`
    skip = {name_of(time) if time else "", name_of(group) if group else "", *joined.lists}
    history.dropped |= {name_of(x): f"{option} names it" for x, option in ((time, "--time"), (group, "--group")) if x}
    _choose(history, {name: values for name, values in columns.items() if name not in skip}, used)
    history.keys = {name: values for name, values in raw.items() if is_key(values)}
    history.raw = {name: raw.get(name, columns[name]) for name in history.features}
    history = _without_unknown(history, tree, [raw[name] for name in used if name in raw], joined, used)
    if len(set(history.outcome)) < 2:
        raise _one_outcome(history, outcome, tree, {**raw, **{header: raw[name] for header, name in headers.items() if name in raw}})
    return history


def _one_outcome(history: ScoredHistory, outcome: str, tree: s.Node, cells: Mapping[str, list[Value]]) -> OneOutcomeError:
    """What to say where all records are won or none is: perhaps a text is written otherwise in the data."""
    help = "give more records, or another outcome"
    for node in s.walk(tree):
        if isinstance(node, s.Compare) and isinstance(node.left, s.Name) and isinstance(node.right, s.Literal):
            text, values = node.right.value, {x for x in cells.get(node.left.id, ()) if isinstance(x, str)}
            if isinstance(text, str) and values and text not in values:
                help = suggest(text, values, f"`{node.left.id}` has {some([f'`{x}`' for x in sorted(values)], 12)}")
    message = f"there is nothing to compare: the outcome is true for {sum(history.outcome):,} of {len(history.ids):,} records"
    return OneOutcomeError(user_error("R606", message, "--outcome", help, outcome).diagnostics)


def _ids(joined: Joined, columns: Mapping[str, list[Value]]) -> list[str]:
    """What tells the records apart: a column of ids, else their numbers from 1."""
    ids = next((columns[c] for c in columns if c not in joined.lists and c.endswith("id") and is_key(columns[c])), None)
    return [str(i + 1) for i in range(len(joined.rows))] if ids is None else [str(x) for x in ids]


def _columns(joined: Joined, raw: Mapping[str, list[Value]]) -> dict[str, list[Value]]:
    """The typed columns: those of the rows, the number of rows in each list, and the lists last."""
    columns = {name: typed(values) for name, values in raw.items() if name not in joined.lists}
    lists: dict[str, list[Value]] = {}
    for name, rows_of in joined.lists.items():
        columns[f"count_{name}"] = [len(x) for x in rows_of]
        names = dict.fromkeys(k for rows in rows_of for row in rows for k in row)
        flat = {k: iter(typed([row.get(k) for rows in rows_of for row in rows])) for k in names}
        lists[name] = [[{k: next(flat[k]) for k in names} for _ in rows] for rows in rows_of]
    return columns | lists


def _check_columns(columns: Saved, time: str, group: str) -> None:
    for name, option in ((time, "--time"), (group, "--group")):
        if name and name_of(name) not in columns:
            raise failure(f"there is no column `{name}`", suggest(name, columns, f"there are {some([*columns], MOST)}"), option)


def _without_unknown(
    history: ScoredHistory, tree: s.Node, cells: Sequence[Sequence[Value]], joined: Joined, used: set[str]
) -> ScoredHistory:
    """The records whose outcome is known: neither blank where others have both outcomes, nor in a row that is stored wrong."""
    n = len(history.ids)
    null = any(isinstance(x, s.Literal) and x.value is None for x in s.walk(tree))
    blank = [bool(cells) and not null and all(column[i] is None for column in cells) for i in range(n)]
    if len({won for won, empty in zip(history.outcome, blank, strict=True) if not empty}) < 2:
        blank = [False] * n  # the column marks one outcome, and a blank is the other
    read = {joined.source.get(name, name.removeprefix("count_")) for name in used}
    broken = [any(joined.damaged[t][i] for t in read & joined.damaged.keys()) and not history.outcome[i] for i in range(n)]
    for rows, why in ((blank, "have no outcome"), (broken, "may have an outcome in a row that is stored wrong")):
        if any(rows):
            history.notes.append(f"{sum(rows):,} records {why}: they are left out, and do not count as lost")
    stays = [i for i in range(n) if not blank[i] and not broken[i]]
    return history if len(stays) == n else history.take(stays)


def _won(
    tree: s.Node, columns: dict[str, list[Value]], raw: dict[str, list[Value]], headers: dict[str, str], n: int
) -> tuple[list[bool], str]:
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
    won_each: list[bool] = []
    for reading, how in readings:
        by_name = {**reading, **{header: reading[name] for header, name in headers.items()}}
        won = []
        for i in range(n):
            record = {name: values[i] for name, values in by_name.items()}
            won.append(code({**base, **record, IMPLICIT: record}) is True)
        won_each = won_each or won
        if any(won):
            return won, how
    return won_each, ""


def _parse(outcome: str, known: list[str]) -> s.Node:
    """The outcome as an expression about the columns."""
    text = Text(outcome, Inline("--outcome"))
    tree, problems = parse_checked(text)
    if tree is None:
        raise PolicyError(problems)
    bound = s.bound_names(tree) | {"item", "today", "now", "?"}
    inner = {id(x) for n in s.walk(tree) if isinstance(n, s.Filter) for x in s.walk(n.condition)}
    inner |= {id(x) for n in s.walk(tree) if isinstance(n, s.Pick) for x in s.walk(n.by)}
    unknown = [n for n in s.walk(tree) if isinstance(n, s.Name) and n.id not in known and n.id not in bound and id(n) not in inner]
    if unknown:
        raise PolicyError([
            Diagnostic("R201", f"there is no column `{n.id}`", text.span(*n.at), suggest(n.id, known, f"there are {some(known, MOST)}")) for n in unknown
        ])  # fmt: skip
    return tree


# --- features -------------------------------------------------------------------------------------------------------


def _choose(history: ScoredHistory, features: Mapping[str, list[Value]], used: set[str]) -> None:
    """Keep what may be learnt from: nothing that the outcome is made of, no keys, no dates, no lists."""
    for name, values in features.items():
        present = [x for x in values if x is not None]
        if name in used:
            history.dropped[name] = "the outcome is made of it"
        elif not present or (len({str(x) for x in present}) < 2 and len(present) == len(values)):
            history.dropped[name] = "it is the same everywhere"
        elif _numbered(name, values):
            history.dropped[name] = "it is a number of the record"
        elif isinstance(present[0], (date, list, dict)):
            history.dropped[name] = "dates and lists are not features"
            history.aside[name] = values
        elif isinstance(present[0], str) and len(set(present)) > 0.9 * len(present) and len(present) > 20:
            history.dropped[name] = "it is another value nearly everywhere"
            history.aside[name] = values
        else:
            history.features[name] = values


def _numbered(name: str, values: list[Value]) -> bool:
    """Whether whole numbers are but names of the records: all different, and called so or hardly with gaps."""
    whole = all(isinstance(x, (int, float)) and not isinstance(x, bool) and float(x).is_integer() for x in values)
    if len(values) < 20 or not whole or not is_key(values):
        return False
    return bool(_KEY.search(name)) or max(values) - min(values) < 10 * len(values)


def hold_out(history: ScoredHistory, share: float = 0.3) -> tuple[list[int], list[int], str]:
    """(earlier rows, held-out rows, how): the last by time, without the groups that the earlier ones have.

    Where that would leave out most of them, the groups that came last are held out whole; without a time, groups by a hash.
    """
    n = len(history.ids)
    groups = history.group or history.ids
    if history.time is None:
        held = [int(hashlib.sha256(g.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF < share for g in groups]
        return [i for i in range(n) if not held[i]], [i for i in range(n) if held[i]], "by chance, since no --time is given"
    moments = history.time
    texts = len({type(x) for x in moments if x is not None}) > 1
    order = sorted(
        (i for i in range(n) if moments[i] is not None), key=lambda i: (str(moments[i]) if texts else moments[i], history.ids[i])
    )
    cut = len(order) - int(len(order) * share)
    early, late = order[:cut], order[cut:]
    seen = {groups[i] for i in early}
    held_out = [i for i in late if groups[i] not in seen]
    if len(held_out) * 2 >= len(late):
        gone = len(late) - len(held_out)
        return early, held_out, f"the last {share:.0%} by time" + (f", without {gone} whose group is among the earlier" if gone else "")
    first: dict[str, int] = {}
    for place, i in enumerate(order):
        first.setdefault(groups[i], place)
    by_group = sorted(order, key=lambda i: first[groups[i]])
    cut_at = first[groups[by_group[min(cut, len(by_group) - 1)]]]
    early, late = ([i for i in by_group if (first[groups[i]] < cut_at) is before] for before in (True, False))
    return early, late, "the groups that came last, whole: most of the latest records are of groups that are among the earlier"
