"""What every entry of a ledger has, and where the ledger keeps the fields of an entry.

A *subject* (a record, a rep, a claim) and everything that is `private` can be erased; the rest is the skeleton that stays. A `word` is a
value that many entries share, such as the name of a rule; it is kept once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import datetime
from typing import ClassVar, TypeVar

from roe.ledger.moment import At
from roe.node import node

FORGOTTEN = "(forgotten)"  # what stands where a value was erased
T = TypeVar("T")


def word(default: T) -> T:
    """A value that many entries share."""
    return field(default=default, metadata={"kept": "word"})


def fact(default: T) -> T:
    """A value of this entry alone that says nothing about a person."""
    return field(default=default, metadata={"kept": "fact"})


def facts() -> Mapping[str, T]:
    """Such values by name, of which there need be none."""
    return field(default_factory=dict, metadata={"kept": "fact"})


def private(default: T) -> T:
    """A value that `forget` erases."""
    return field(default=default, metadata={"kept": "private"})


def privates() -> Mapping[str, T]:
    """Such values by name, of which there need be none."""
    return field(default_factory=dict, metadata={"kept": "private"})


@node(kw_only=True)
class Entry:
    """`at` is when it holds in the world."""

    KIND: ClassVar[str] = ""
    TARGET: ClassVar[str] = "rep"  # the field with the entry's other subject, and the entity of that subject
    TARGET_ENTITY: ClassVar[str] = "rep"
    FORMER: ClassVar[str] = "former"
    FORMER_ENTITY: ClassVar[str] = "rep"
    NAME: ClassVar[str] = "role"  # the field that with the subject makes the key: a role, a field, an event, a pool

    at: At


@node(kw_only=True)
class About(Entry):
    """An entry about a record."""

    entity: str
    record: str


@node
class Stored:
    """An entry as the ledger has it. `recorded` is when it was written; `run` the number of the `run` entry it belongs to."""

    number: int
    run: int
    recorded: datetime
    entry: Entry
    erased: bool = False  # whether values of it were erased

    @property
    def kind(self) -> str:
        return self.entry.KIND


_AT = frozenset({"at", "until", "read_at"})


def fields_of(kind: type[Entry]) -> dict[str, str]:
    """field -> where it is kept: key, at, word, fact or private."""
    return {f.name: f.metadata.get("kept") or ("at" if f.name in _AT else "key") for f in fields(kind)}
