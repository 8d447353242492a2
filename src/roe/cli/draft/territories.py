"""Territories and reps of an export: the one field that predicts today's owners best, and for each of its values who owns most."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roe.cli.draft.fields import Understood

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
    by_deals: bool = False  # nobody owns an account, and who has its opportunities stands for its owner
    has_file: bool = False  # whether the export lists the reps


def carve(known: Understood) -> Carved:
    """Territories by one field, each with the active rep who owns most of it."""
    world = known.world
    assert world is not None
    entity = "account" if "account" in known.export.sources else "lead"
    role = known.roles[0]
    found = Carved(entity, has_file="rep" in known.export.sources)
    owners: Counter[str] = Counter()
    everyone: dict[str, Row] = {}
    for of in ("account", "lead", "opportunity"):
        for row in known.rows(of):
            for rep in row["owner"].values():
                if rep is not None:
                    everyone[rep["id"]] = rep
                    owners[rep["id"]] += of != "opportunity"
    listed = {row["id"]: row for row in known.rows("rep")}
    usable = listed or everyone
    found.reps = {row.written: row.label for row in usable.values() if row["active"] is not False}
    found.strangers = sorted(rep.label for key, rep in everyone.items() if listed and key not in listed)
    found.left = sorted(rep.label for key, rep in listed.items() if rep["active"] is False and owners[key])
    rows = known.rows(entity)
    found.owned = sum(row["owner"].get(role) is not None for row in rows)
    evidence = [(row, _owners(row, role)) for row in rows]
    found.by_deals = not found.owned and any(counts for _, counts in evidence)
    best: tuple[int, str, dict[str, str]] = (0, "", {})
    for name in FIELDS:
        groups: dict[str, Counter[str]] = {}
        for row, seen in evidence:
            value = row[name] if isinstance(row[name], str) else None
            if value:
                counts = groups.setdefault(value, Counter())
                counts.update({rep: n for rep, n in seen.items() if rep in found.reps})
        if not 1 < len(groups) <= max(2, len(rows) // 2):
            continue
        kept = {v: min(c.items(), key=lambda item: (-item[1], item[0]))[0] if c else "" for v, c in sorted(groups.items())}
        hits = sum(groups[v][rep] for v, rep in kept.items() if rep)
        filled = sum(1 for row in rows if row[name])
        if found.owned or found.by_deals:
            kept = {v: rep for v, rep in kept.items() if rep}
            if len(kept) > 1 and hits > best[0]:
                best = (hits, name, kept)
        elif not found.reps and not best[1] and len(groups) <= MOST_UNOWNED and filled * 2 >= len(rows):
            best = (0, name, kept)
    found.agree, found.by, found.territories = best
    return found


def _owners(row: Row, role: str) -> Counter[str]:
    """Who owns a record; of an account that nobody owns, who has its opportunities."""
    owner = row["owner"].get(role)
    if owner is not None:
        return Counter([owner.written])
    deals = row["opportunities"] or () if row.entity == "account" else ()
    return Counter(rep.written for deal in deals for rep in deal["owner"].values() if rep is not None)
