"""What was read of an entity's records, and what was not: counts that rows and columns fill alike, and portions add up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from typing import TypeVar

from roe.dynamic import Cell, Json, Saved
from roe.node import node

Key = TypeVar("Key", str, tuple[str, ...])
FEW = 30  # a field of texts with so many values is a list of values
COMMON = 5  # how many texts of a field the report names


Problem = tuple[str, Cell, str]  # what is wrong with a record: field, raw value, reason


@node
class Reject:
    """A record that could not be used, and why. `modified_at` is when the CRM last changed the row, as text."""

    entity: str
    record: str
    line: int
    field: str
    value: str
    reason: str
    modified_at: str = ""


@node(frozen=False)
class Reading:
    """The reading report of one entity. `rows` are the lines that hold something; a cell is in `unread` by field and text if it holds a text
    that means: no value, or that its field does not understand; in `corrected` by field, text and what it was taken for.
    """

    entity: str
    file: str = ""
    rows: int = 0
    blank: int = 0
    notes: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)  # field -> column
    unknown: list[str] = field(default_factory=list)  # columns that nothing knows
    filled: Counter[str] = field(default_factory=Counter)  # field -> records with a value
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)
    corrected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)  # (field, reason without the value) -> records
    values: dict[str, list[str] | None] = field(default_factory=dict)  # field of few texts -> all that occur; None: they are many

    def count(self, rejects: Iterable[Reject]) -> None:
        self.reasons.update((r.field, general(r.reason)) for r in rejects)

    def merge(self, other: Reading) -> None:
        """Add another portion of the same table. A portion without records does not know its file."""
        self.file = self.file or other.file
        self.rows += other.rows
        self.blank += other.blank
        self.notes += [n for n in other.notes if n not in self.notes]
        self.columns |= other.columns
        self.unknown += [c for c in other.unknown if c not in self.unknown]
        self.filled.update(other.filled)
        self.unread.update(other.unread)
        self.corrected.update(other.corrected)
        self.reasons.update(other.reasons)
        for name, values in other.values.items():
            if values is None:
                self.values[name] = None
            else:
                self.list_values(name, values)

    def list_values(self, name: str, values: Iterable[str]) -> None:
        """Note the texts of a field; more than a few are none."""
        known = self.values.get(name, [])
        if known is not None:
            every = set(known)
            for value in values:
                every.add(value)
                if len(every) > FEW:
                    break
            self.values[name] = sorted(every) if len(every) <= FEW else None

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())

    def as_json(self) -> Json:
        """The report as it is kept, printed and compared with the last one."""
        fields = {}
        for name, column in self.columns.items():
            odd = in_order((text, n) for (f, text), n in self.unread.items() if f == name)
            mended = in_order(((a, b), n) for (f, a, b), n in self.corrected.items() if f == name)
            fields[name] = {
                "column": column,
                "filled": self.filled[name],
                "unread": sum(n for _, n in odd),
                "unread_texts": dict(odd[:COMMON]),
                "corrected": sum(n for _, n in mended),
                "values": self.values.get(name) or [],
                "corrections": [{"written": a, "meant": b, "records": n} for (a, b), n in mended[:COMMON]],
            }
        return {
            "file": self.file,
            "rows": self.rows,
            "blank": self.blank,
            "rejected": self.rejected,
            "reasons": [{"field": f, "reason": reason, "records": n} for (f, reason), n in in_order(self.reasons.items())],
            "fields": fields,
            "not_understood": self.unknown,
            "notes": self.notes,
        }

    def kept(self) -> Json:
        """All counts, for another process to add up."""
        return {
            "entity": self.entity, "file": self.file, "rows": self.rows, "blank": self.blank, "notes": self.notes, "columns": self.columns,
            "unknown": self.unknown, "filled": dict(self.filled), "unread": [[*k, n] for k, n in self.unread.items()],
            "corrected": [[*k, n] for k, n in self.corrected.items()], "reasons": [[*k, n] for k, n in self.reasons.items()],
            "values": self.values,
        }  # fmt: skip

    @classmethod
    def of(cls, saved: Saved) -> Reading:
        counts = {k: Counter({tuple(x[:-1]): x[-1] for x in saved[k]}) for k in ("unread", "corrected", "reasons")}
        return cls(**{**saved, **counts, "filled": Counter(saved["filled"])})


def in_order(counts: Iterable[tuple[Key, int]]) -> list[tuple[Key, int]]:
    """The most frequent first, equals by name."""
    return sorted(counts, key=lambda item: (-item[1], item[0]))


def general(reason: str) -> str:
    """A reason without the value that it is about, and without what to do."""
    text = re.sub(r"^`[^`]*`", "a value", reason.partition(";")[0])
    text = re.sub(r"(in line|lines) [\d, ]+", "of another line " if text.startswith("a repetition") else "several lines ", text)
    return text.strip()
