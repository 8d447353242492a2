"""How the cells of a field are read: which texts mean no value, and what any other is taken for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import field as slot
from datetime import date, time, timedelta, tzinfo

from roe.crm.ids import LONG, fold
from roe.data.habits import Habits
from roe.data.makers import clean, maker
from roe.dynamic import Cell
from roe.files import NOT_AVAILABLE, SHEET_ERROR
from roe.grammar import values as v
from roe.grammar.functions.sales import plain_hosts
from roe.node import node
from roe.policy.model import DataSource, Field

MISSING = frozenset(
    {"", "null", "none", "n/a", "n.a.", "na", "nan", "nil", "-", "--", "–", "—", "(none)", "(blank)", *(x.lower() for x in NOT_AVAILABLE)}
)
NO_TEXT = frozenset({"", "NULL", *NOT_AVAILABLE})  # in a field of texts, `None`, `NA` and `-` may be names
SCALARS = (str, bool, int, float, date, time, timedelta, v.Months)
INFINITE = (float("inf"), float("-inf"))
_PROTECTED = re.compile(r'="([^"]*)"')
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+", re.ASCII)
MOST_REPEATED = 2_000  # texts of a column whose meaning is kept: more are names or ids, which do not repeat

MANY = 16  # cells of a column from which on those that are equal are looked for
ALIKE = {str, int, bool}  # types of which values that are equal are the same, as 0.0 and -0.0 are not

# What a raw value means, why it cannot be read, the text that is taken for another, and the text that has no value
Outcome = tuple[Cell, str, str | None, str]
NOTHING: Outcome = (None, "", None, "")


@node(frozen=False)
class Cells:
    """How the cells of one field are read: the texts that mean no value, and a function from any other to a value."""

    field: Field
    words: frozenset[str]  # in small letters
    exact: frozenset[str]
    named: frozenset[str]  # what the policy has a meaning for is never missing
    make: Callable[[Cell], Cell]
    plain: bool = False  # texts are taken as they are, but for spaces around them, forms of Unicode and long ids
    names: bool = False  # texts are ids, or other records
    repeated: dict[str, Outcome] = slot(default_factory=dict)

    def read(self, value: object) -> Outcome:
        """The outcome of a raw value; of texts that repeat, it is kept."""
        if type(value) is str:
            if self.plain and len(value) != LONG and value.isascii() and value not in self.exact and value == value.strip():
                if value[0] not in "#=" and not (self.names and "E+" in value):  # which a spreadsheet may have put there
                    return value, "", None, ""
            outcome = self.repeated.get(value)
            if outcome is None:
                outcome = self._of_text(value)
                if len(self.repeated) < MOST_REPEATED and not isinstance(outcome[0], list):  # a list belongs to its record
                    self.repeated[value] = outcome
            return outcome
        if value is None or value != value:
            return NOTHING  # NaN, which Parquet has for missing numbers, is not equal to itself
        if isinstance(value, str):
            return self._of_text(value)
        if not isinstance(value, SCALARS) or value in INFINITE:
            return None, f"a {type(value).__name__} is not a {self.field.type}", None, ""
        return self._made(value, None)

    def taken_as_they_are(self, values: Collection[Cell]) -> list[str]:
        """Those of many values that are texts known to be taken as they are: what `read` finds of one, at a third of the cost."""
        f, texts = self.field, [x for x in values if type(x) is str]
        if self.plain:
            exact, names = self.exact, self.names
            plain = [
                x for x in texts if x.isascii() and x == x.strip() and x not in exact and x[0] not in "#=" and not (names and "E+" in x)
            ]
            return [x for x in plain if len(x) != LONG or fold(x) == x]
        if f.normalize == "domain" and f.type.name == "string" and f.keys is None and not (f.type.values or f.words or f.aliases):
            return [x for x in plain_hosts(texts) if x not in self.words]
        return []

    def _of_text(self, value: str) -> Outcome:
        text = clean(value)
        if (text in self.exact or (self.words and text.lower() in self.words)) and text not in self.named:
            return None, "", None, text
        if text[:1] == "#" and SHEET_ERROR.fullmatch(text) and text not in self.named:
            return None, f"`{text}` is an error of a spreadsheet, not a value", None, ""
        if self.names and _ROUNDED.fullmatch(text):
            return None, f"`{text}` is a number that a spreadsheet has rounded, not an id: export the column as text", None, ""
        if not self.field.aliases and self.field.keys is None and text[:2] != '="':
            return self._made(text, None)
        meant = corrected(self.field, text)
        own_field = self.field.normalize == "queue"  # which the owner's field says
        return self._made(meant, text if meant != text and not own_field else None)

    def _made(self, meant: object, written: str | None) -> Outcome:
        try:
            value = self.make(meant)
        except ValueError as e:
            return None, str(e), written, ""
        if value is not None:
            return value, "", written, ""
        text = shown(written if written is not None else meant)
        return None, "", written, text if self._is_unread(text) else ""

    def _is_unread(self, text: str) -> bool:
        """Whether a cell that has no value in this field has none at all: an owner's column has people for one field and queues for another."""
        f = self.field
        return f.normalize != "queue" and not (f.type.name == "owners" and f.keys is not None and f.keys.is_queue(text))


@node(frozen=False)
class LoneCells:
    """How the cells of a field are read where each text stands alone: by what it says itself, whatever other records have in its column."""

    field: Field
    made: Callable[[Habits], Cells]
    by_habits: dict[tuple[str, str, tuple[str, ...]], Cells] = slot(default_factory=dict)

    def read(self, value: Cell) -> Outcome:
        habits = Habits()
        habits.add(self.field, (value,))
        key = habits.sign, habits.order, tuple(sorted(habits.money))
        cells = self.by_habits.get(key)
        if cells is None:
            cells = self.by_habits[key] = self.made(habits)
        return cells.read(value)


def read_column(cells: Cells | LoneCells, values: Sequence[Cell]) -> tuple[list[Cell], list[tuple[int, Outcome]]]:
    """(what the cells of a column mean, None for nothing; by number the outcomes of those that say more than that)."""
    if len(values) >= MANY and cells.field.type.name != "list":  # a list belongs to its record
        kinds = set(map(type, values)) - {type(None)}
        if len(kinds) == 1 and kinds <= ALIKE:
            return _read_alike(cells, values)
    outcomes = [NOTHING if value is None else cells.read(value) for value in values]
    return [x[0] for x in outcomes], [(n, x) for n, x in enumerate(outcomes) if says_more(x)]


def _read_alike(cells: Cells | LoneCells, values: Sequence[Cell]) -> tuple[list[Cell], list[tuple[int, Outcome]]]:
    """The same of values of one type. Of those that are equal one is read, and most texts are known to be taken as they are."""
    distinct = set(values)
    distinct.discard(None)
    as_they_are = cells.taken_as_they_are(distinct) if isinstance(cells, Cells) else []
    if len(as_they_are) == len(distinct):
        return list(values), []
    meant: dict[Cell, Cell] = {None: None, **dict(zip(as_they_are, as_they_are, strict=True))}
    odd: dict[Cell, Outcome] = {}
    for value in distinct - meant.keys():
        outcome = cells.read(value)
        meant[value] = outcome[0]
        if says_more(outcome):
            odd[value] = outcome
    return [meant[x] for x in values], [(n, odd[x]) for n, x in enumerate(values) if x in odd] if odd else []


def says_more(outcome: Outcome) -> bool:
    """Whether an outcome says more than its value."""
    return bool(outcome[1] or outcome[2] is not None or outcome[3])


def cells_of(f: Field, zone: tzinfo, source: DataSource, habits: Habits | None, entity: str) -> Cells:
    """How to read the cells of a field, in a column with some habits."""
    textual = f.type.name in ("string", "list")
    words = {w.lower() for w in source.missing} | (set() if textual else MISSING)
    exact = NO_TEXT
    if f.missing is not None:
        words, exact = {w.lower() for w in f.missing}, frozenset({""})
    named = frozenset((*f.type.values, *f.aliases))
    plain = (
        f.type.name == "string"
        and not (f.type.values or f.normalize or f.words or f.aliases or words)
        and f.keys is None
        and f.missing is None
    )
    names = f.name == "id" or f.type.name in ("record", "owners")
    return Cells(f, frozenset(words), exact, named, plain=plain, names=names, make=maker(f, zone, source, habits, entity))


def shown(value: object) -> str:
    """A raw value in a report."""
    return "" if value is None else (clean(value) if isinstance(value, str) else str(value))[:200]


def corrected(f: Field, text: object) -> Cell:
    """What a cell is taken for: an alias for what it stands for, of several companies the first, `="02139"` for the text that it protects
    from a spreadsheet. Each correction is counted.
    """
    if not isinstance(text, str):
        return text
    protected = _PROTECTED.fullmatch(text)
    text = protected[1].strip() if protected and text not in f.aliases else text
    return f.aliases[text] if text in f.aliases else f.keys.corrected(text) if f.keys is not None else text
