"""How the cells of a field are read: which texts mean no value, and what any other is taken for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time, timedelta, tzinfo

from roe.data.habits import Habits
from roe.data.makers import clean, maker
from roe.dynamic import Cell
from roe.grammar import values as v
from roe.policy.model import DataSource, Field

MISSING = frozenset({"", "null", "none", "n/a", "n.a.", "na", "nan", "nil", "#n/a", "-", "--", "–", "—", "(none)", "(blank)"})


NO_TEXT = frozenset({"", "NULL"})  # in a field of texts, `None`, `NA` and `-` may be names


SCALARS = (str, bool, int, float, date, time, timedelta, v.Months)


INFINITE = (float("inf"), float("-inf"))


@dataclass(slots=True)
class Cells:
    """How the cells of one field are read: the texts that mean no value, and a function from any other to a value."""

    field: Field
    words: frozenset[str]  # in small letters
    exact: frozenset[str]
    named: frozenset[str]  # what the policy has a meaning for is never missing
    make: Callable[[Cell], Cell]

    def is_missing(self, text: str) -> bool:
        return (text in self.exact or text.lower() in self.words) and text not in self.named

    def is_unread(self, text: str) -> bool:
        """Whether a cell that has no value in this field has none at all: an owner's column has people for one field and queues for another."""
        f = self.field
        return f.normalize != "queue" and not (f.type.name == "owners" and f.keys is not None and f.keys.is_queue(text))

    def read(self, value: Cell) -> tuple[Cell, str, str | None]:
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


def cells_of(f: Field, zone: tzinfo, source: DataSource, habits: Habits | None, entity: str) -> Cells:
    """How to read the cells of a field, in a column with some habits."""
    textual = f.type.name in ("string", "list")
    words = {w.lower() for w in source.missing} | (set() if textual else MISSING)
    exact = NO_TEXT
    if f.missing is not None:
        words, exact = {w.lower() for w in f.missing}, frozenset({""})
    named = frozenset((*f.type.values, *f.aliases))
    return Cells(f, frozenset(words), exact, named, maker(f, zone, source, habits, entity))


def shown(value: object) -> str:
    """A raw value in a report."""
    return "" if value is None else (clean(value) if isinstance(value, str) else str(value))[:200]


# --- identity -------------------------------------------------------------------------------------------------------
def corrected(f: Field, text: Cell) -> Cell:
    """What a cell is taken for: an alias for what it stands for, of several companies the first. Each correction is counted."""
    if not isinstance(text, str):
        return text
    return f.aliases[text] if text in f.aliases else f.keys.corrected(text) if f.keys is not None else text
