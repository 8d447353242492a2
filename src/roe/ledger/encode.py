"""Entries as rows, and rows as entries.

A row has the key and the times in columns, what many entries share as one *word*, and what is its own as JSON. What can be erased
stands apart, with a salt of its own; the row has only its salted digest.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter

from roe.dynamic import Saved, Value, Values
from roe.ledger.entries import KINDS, Evidence
from roe.ledger.entry import FORGOTTEN, Entry, fields_of
from roe.ledger.moment import At

DIGEST = 16  # bytes of SHA-256 that stand for an erasable value: enough that no second value fits
SALT = 16
FORMAT = 1  # of the canonical bytes that are hashed; those of older entries are written as they were then

Subject = tuple[str, str]  # (entity, record)


@dataclass(slots=True)
class Draft:
    """An entry taken apart. `value` is canonical JSON of what can be erased, or None if there is nothing; `kept` is the same as the ledger keeps
    it (see `small`), if somebody has packed it already.
    """

    kind: str
    subject: Subject | None
    name: str
    at: int
    grain: str
    until: int | None
    target: Subject | None
    former: Subject | None
    word: str
    fact: str | None
    value: bytes | None
    kept: bytes | None = None


Drafted = tuple[Entry, Draft]


@dataclass(frozen=True, slots=True)
class _Part:
    """The fields of an entry that are kept in one place. Most entries say little: values that are all as by default are not looked at one by one."""

    names: tuple[str, ...]
    defaults: tuple[Value, ...]
    get: Callable[[Entry], tuple[Value, ...]]

    def of(self, e: Entry) -> Values:
        """Those of an entry that say something, by name."""
        return self.said(self.get(e))

    def said(self, values: tuple[Value, ...]) -> Values:
        """The same from the values of all."""
        if values == self.defaults:
            return {}
        pairs = zip(self.names, values, self.defaults, strict=True)
        return {name: x for name, x, default in pairs if x != default and x != {} and x != ()}


@dataclass(frozen=True, slots=True)
class _Shape:
    make: type[Entry]
    about: bool
    words: _Part
    facts: _Part
    privates: _Part
    until: bool
    read_at: bool
    target: str  # the field, or empty
    former: str
    name: str
    defaults: Values


@cache
def shape(kind: str) -> _Shape:
    make = KINDS[kind]
    kept = fields_of(make)
    defaults = {n: f.default for n, f in make.__dataclass_fields__.items()}

    def of(where: str) -> _Part:
        names = tuple(n for n, place in kept.items() if place == where)
        return _Part(names, tuple(defaults[n] for n in names), _getter(names))

    return _Shape(
        make, "record" in kept, of("word"), of("fact"), of("private"), "until" in kept, "read_at" in kept,
        make.TARGET if make.TARGET in kept else "", make.FORMER if make.FORMER in kept else "", make.NAME if make.NAME in kept else "",
        defaults,
    )  # fmt: skip


def _getter(names: tuple[str, ...]) -> Callable[[Entry], tuple[Value, ...]]:
    """What reads some fields of an entry at once, as a tuple however few they are."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda e: tuple(getattr(e, name) for name in names)


# JSON in one spelling: sorted keys, no blanks, no escapes but those that JSON needs
canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def draft(e: Entry) -> Draft:
    """Take an entry apart. Raises ValueError for values that no JSON can have."""
    s = shape(e.KIND)
    at: At = e.at
    until: At | None = getattr(e, "until") if s.until else None  # noqa: B009
    facts, privates = s.facts.of(e), s.privates.of(e)
    if s.read_at and (read := getattr(e, "read_at")) is not None:  # noqa: B009
        facts["read_at"] = [read.instant, read.day]
    grain = ("d" if at.day else "m") + ("" if until is None else "d" if until.day else "m") + " " + at.zone
    return Draft(
        e.KIND,
        (e.entity, e.record) if s.about else None,  # type: ignore[attr-defined]
        getattr(e, s.name) if s.name else "",
        at.instant,
        grain,
        None if until is None else until.instant,
        _other(e, s.target, s.make.TARGET_ENTITY),
        _other(e, s.former, s.make.FORMER_ENTITY),
        _words_text(e.KIND, s.words.get(e)),
        canonical(facts) if facts else None,
        canonical(privates).encode() if privates else None,
    )


def _other(e: Entry, name: str, entity: str) -> Subject | None:
    record = getattr(e, name) if name else None
    if record is None:
        return None
    return (entity or getattr(e, "entity", ""), record)


@cache
def _words_text(kind: str, values: tuple[Value, ...]) -> str:
    """The words of an entry as text; asked for again and again with the same ones."""
    words = shape(kind).words.said(values)
    return canonical(words) if words else ""


def entry(d: Draft, erased: bool = False, with_values: bool = True) -> Entry:
    """The entry of a draft. Of one whose subjects or values were erased the rest is there, and `FORGOTTEN` stands for them. Without its values,
    what can be erased of it is as by default.
    """
    s = shape(d.kind)
    zone = d.grain[d.grain.index(" ") + 1 :]
    values: Values = {"at": At(d.at, d.grain[0] == "d", zone)}
    if s.about and d.subject is not None:
        values["entity"], values["record"] = d.subject
    if s.name:
        values[s.name] = d.name
    if s.until and d.until is not None:
        values["until"] = At(d.until, d.grain[1] == "d", zone)
    if s.target and d.target is not None:
        values[s.target] = d.target[1]
    if s.former and d.former is not None:
        values[s.former] = d.former[1]
    values |= words_of(d.word)
    if d.fact:
        values |= json.loads(d.fact)
        if s.read_at and "read_at" in values:
            instant, day = values["read_at"]
            values["read_at"] = At(instant, day, zone)
    if d.value is not None and with_values:
        values |= json.loads(d.value)
    elif erased:
        values |= {n: FORGOTTEN for n in s.privates.names if isinstance(s.defaults[n], str)}
    for name in ("tried", "others"):  # JSON has no tuples
        if name in values:
            values[name] = tuple(values[name])
    return s.make(**values)


@cache
def words_of(text: str) -> Saved:
    """The words of an entry from their text."""
    if not text:
        return {}
    read: Saved = json.loads(text)
    return read


# --- digests and hashes -------------------------------------------------------------------------------------------------


def salted(salt: bytes, value: bytes) -> bytes:
    return hashlib.sha256(salt + value).digest()[:DIGEST]


def subject_bytes(subject: Subject) -> bytes:
    return f"{subject[0]}\0{subject[1]}".encode()


def chained(
    previous: bytes, number: int, run: int, recorded: int, d: Draft, subject: bytes | None, target: bytes | None, former: bytes | None,
    digest: bytes | None,
) -> bytes:  # fmt: skip
    """The hash of an entry: over the hash before it and its canonical bytes. Subjects and values are their salted digests."""
    text = (
        f"{FORMAT}\n{number}\n{run}\n{d.kind}\n{subject.hex() if subject else ''}\n{d.name}\n{d.at}\n{d.grain}\n{d.until}\n{recorded}\n"
        f"{target.hex() if target else ''}\n{former.hex() if former else ''}\n{d.word}\n{d.fact or ''}\n{digest.hex() if digest else ''}"
    )
    return hashlib.sha256(previous + text.encode()).digest()


def packed(value: bytes) -> bytes:
    """Evidence as it is kept: deflated."""
    return zlib.compress(value, 6)


def unpacked(value: bytes) -> bytes:
    return zlib.decompress(value)


AS_READ = "as_read"  # of the values of evidence: what tells those that it read from others. It sorts before the rest
_MARK = re.compile(rb'{"values":{"as_read":"([0-9a-f]*)"')
_MARK_ENDS = 64  # bytes that have it


def mark_of(kept: bytes) -> str:
    """`AS_READ` of a piece of evidence, without unpacking the rest; empty where it has none."""
    found = _MARK.match(zlib.decompressobj().decompress(kept, _MARK_ENDS))
    return found[1].decode() if found else ""


# What sentences often say, the commonest last. Values that were written with it can be read with nothing else, so it never changes.
COMMON = (
    b'no rule decides it; nobody has it; opened; the account is open; referred to ; exception by ; turn  of the pool `","tried":["","why":"'
    b'"counts":{"credits":{""shares":{""company":"{"reason":"the run is undone"{"by":"{"to":"{"value":","before":" records with 1000 employees'
    b" in territory  has until  to decide; kept until  by its owner; protected until  since ; changed in the CRM on : it stays as it is"
    b"; this undoes the change to  that was made in the CRM is next in turn in the pool ` keeps it, since the account is a customer"
    b' is assigned, since the account has  owns the account {"sentence":" is assigned by rule `'
)
_PACKED = b"\x01"  # what a packed value begins with; one that is not begins with `{`


def small(value: bytes) -> bytes:
    """An erasable value as it is kept: packed, where that is shorter."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -12, 5, zdict=COMMON)
    packed_ = _PACKED + packer.compress(value) + packer.flush()
    return packed_ if len(packed_) < len(value) else value


def whole(kept: bytes) -> bytes:
    """The value again. Raises zlib.error for what `small` did not make."""
    if kept[:1] != _PACKED:
        return kept
    reader = zlib.decompressobj(-15, zdict=COMMON)
    return reader.decompress(kept[1:]) + reader.flush()


def is_evidence(kind: str) -> bool:
    return kind == Evidence.KIND


Clock = Callable[[], int]  # microseconds since 1970 UTC
