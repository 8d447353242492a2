"""Territories and reps of an export: the one field that predicts today's owners best, and for each of its values who owns most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roe.cli.draft.fields import GERMAN, Understood
from roe.crm.profile import label

if TYPE_CHECKING:
    from roe.evaluator.row import Row


FIELDS = ("country", "state", "segment", "industry", "postal_code", "city")  # in the order in which they are preferred
MOST_UNOWNED = 40  # territories of an export that says nothing of owners


@dataclass(slots=True)
class Carved:
    """Who owns what today, and what the draft makes of it."""

    entity: str  # whose owners the territories are of
    by: str = ""  # the field, or nothing
    territories: dict[str, str] = field(default_factory=dict)  # value -> the key of its rep, empty if nobody owns any
    agree: int = 0  # owned records whose owner is their territory's rep
    owned: int = 0
    reps: dict[str, str] = field(default_factory=dict)  # key -> name of everybody who may be assigned something
    strangers: list[str] = field(default_factory=list)  # owners whom the file of reps does not list
    left: list[str] = field(default_factory=list)  # reps who are not active, and own something
    twice: list[tuple[str, str]] = field(default_factory=list)  # an owner by e-mail address, and one by name who seems to be the same
    by_deals: bool = False  # nobody owns an account, and who has its opportunities stands for its owner
    has_file: bool = False  # whether the export lists the reps


def carve(known: Understood) -> Carved:
    """Territories by one field, each with the active rep who owns most of it."""
    entity = "account" if "account" in known.export.sources else "lead"
    carved = Carved(entity, has_file="rep" in known.export.sources)
    _name_reps(known, carved)
    role, rows = known.roles[0], known.rows(entity)
    carved.owned = sum((rep := row["owner"].get(role)) is not None and rep["active"] is not False for row in rows)
    evidence = [(row, _owners(row, role)) for row in rows]
    carved.by_deals = not carved.owned and any(counts for _, counts in evidence)
    for name in FIELDS:
        groups = _groups(evidence, name, carved.reps)
        if 1 < len(groups) <= max(2, len(rows) // 2):
            _prefer(carved, name, groups, rows)
    return carved


def _prefer(carved: Carved, name: str, groups: Mapping[str, Counter[str]], rows: list[Row]) -> None:
    """Take a field for the territories if it predicts the owners better than the one before; where nobody owns any, the first that most have."""
    rep_of = {v: min(c.items(), key=lambda item: (-item[1], item[0]))[0] if c else "" for v, c in sorted(groups.items())}
    if carved.owned or carved.by_deals:
        rep_of = {value: rep for value, rep in rep_of.items() if rep}
        agree = sum(groups[value][rep] for value, rep in rep_of.items())
        if len(rep_of) > 1 and agree > carved.agree:
            carved.agree, carved.by, carved.territories = agree, name, rep_of
    elif not carved.reps and not carved.by and len(groups) <= MOST_UNOWNED and sum(1 for row in rows if row[name]) * 2 >= len(rows):
        carved.by, carved.territories = name, rep_of


def _name_reps(known: Understood, carved: Carved) -> None:
    """Note who may be assigned something, which owners no file lists, and who has left and owns something still."""
    owned: Counter[str] = Counter()
    owners: dict[str, Row] = {}
    for entity in ("account", "lead", "opportunity"):
        for row in known.rows(entity):
            for rep in row["owner"].values():
                if rep is not None:
                    owners[rep["id"]] = rep
                    owned[rep["id"]] += entity != "opportunity"
    listed = {row["id"]: row for row in known.rows("rep")}
    carved.reps = {row.written: row.label for row in (listed or owners).values() if row["active"] is not False}
    carved.strangers = sorted(rep.label for key, rep in owners.items() if listed and key not in listed)
    carved.twice = [] if listed else _twice([rep.label for rep in owners.values()])
    carved.left = sorted(rep.label for key, rep in listed.items() if rep["active"] is False and owned[key])


def _twice(owners: list[str]) -> list[tuple[str, str]]:
    """The owners who stand by e-mail address here and by name there, as the address spells the name."""
    names = {letters: owner for owner in owners if "@" not in owner for letters in (_letters(owner), _letters(owner.translate(GERMAN)))}
    mails = {mail: _letters(mail.partition("@")[0]) for mail in sorted(owners) if "@" in mail}
    return [(mail, names[letters]) for mail, letters in mails.items() if letters in names]


def _letters(name: str) -> str:
    """A name's letters without accents."""
    return label(name).replace(" ", "")


def _groups(evidence: list[tuple[Row, Counter[str]]], name: str, reps: Mapping[str, str]) -> dict[str, Counter[str]]:
    """A field's value -> how many of its records each usable rep owns."""
    groups: dict[str, Counter[str]] = {}
    for row, owners in evidence:
        value = row[name]
        if isinstance(value, str) and value:
            groups.setdefault(value, Counter()).update({rep: n for rep, n in owners.items() if rep in reps})
    return groups


def _owners(row: Row, role: str) -> Counter[str]:
    """Who owns a record; of an account that nobody owns, who has its opportunities."""
    owner = row["owner"].get(role)
    if owner is not None:
        return Counter([owner.written])
    deals = row["opportunities"] or () if row.entity == "account" else ()
    return Counter(rep.written for deal in deals for rep in deal["owner"].values() if rep is not None)
