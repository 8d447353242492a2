"""The summary of a run: counts over the portions of every engine, and what was read of the data.

What a portion adds is plain JSON, so that it can come from another machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple

from roe.crm.ids import spelt
from roe.data.reading import Reading, Reject
from roe.data.scan import TableOrigin
from roe.dynamic import Json, Value
from roe.evaluator.leavers import about_leavers, leavers
from roe.evaluator.world import World
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.policy.model import Policy
from roe.policy.reads import followed
from roe.policy.store import rule_names
from roe.run import lists
from roe.run.result import Batch, Portion


def read_of(world: World, records: Mapping[str, int], rejects: Mapping[str, list[tuple[bool, Reject]]]) -> Json:
    """What the data said. `records` counts an entity's records; a reject comes with whether it repeats another record."""
    reps = list(world.rows["rep"])
    spelling = world.spelling() if world.conflicts else {}
    return {
        "capacity": [[rep.written, rep["capacity"]] for rep in reps if rep["capacity"] is not None],
        "listed": [rep.written for rep in reps if not world.is_stranger(rep)],
        "entities": {
            entity: {
                "records": records.get(entity, 0),
                "rejects": [[repeats, *astuple(r)] for repeats, r in rejects.get(entity, ())],
                "corrected": [[*key, n] for key, n in reading.corrected.items()],
                "reading": reading.kept(),
                "dangling": [[name, value, n] for (e, name, value), n in world.dangling.items() if e == entity],
            }
            for entity, reading in world.readings.items()
        },
        "conflicts": [[*key, spelt(ids, spelling)] for key, ids in world.conflicts.items()],
    }


def counts_of(batch: Batch) -> Json:
    """What a batch adds to a summary, as plain JSON values."""
    territories: dict[str, dict[str, int]] = {}
    owned: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    pools: Counter[str] = Counter()
    first = dict(reversed(list(batch.bound.plan.engagement)))  # entity -> its first role
    for p in batch.portions:
        owned.update(lists.counted(p.lines["owner"]))
        actions.update(lists.counted(p.lines["action"]))
        pools.update(lists.counted(p.lines["pool"]))
        if p.role == first[p.entity]:
            placed = lists.counted(p.lines["territory"])
            territories[p.entity] = {"": p.n - sum(placed.values()), **placed}
    return {
        "moved": sum(lists.counted(p.lines["$moved"])[True] for p in batch.portions),
        "rules": {f"{p.entity}.{p.role}": _rules(p) for p in batch.portions},
        "unknown": {f"{p.entity}.{p.role}: {rule}": n for p in batch.portions for rule, n in p.unknown.items() if n},
        "actions": dict(actions),
        "pools": dict(pools),
        "territories": territories,
        "reps": dict(owned),
        "undone": len(batch.bound.undone),
        "leavers": _leavers(batch),
        **batch.read,
    }


def _rules(p: Portion) -> dict[str, int]:
    """rule -> how many records it decided."""
    by_rule = lists.counted(p.lines["rule"])
    return {**by_rule, "(no rule)": p.n - sum(by_rule.values())}


HELD = ("previous_owner", "entity", "role", "owner", "owner_name", "action", "rule")


def _leavers(batch: Batch) -> Json:
    """What became of the records that reps held who have left, and where the policy still names them."""
    world = batch.bound.world
    gone = list(leavers(world))
    held: Counter[tuple[Value, ...]] = Counter()
    for p in batch.portions if gone else ():
        held.update(lists.counted_where(p.lines, "previous_owner", gone, HELD))
    return about_leavers(world, [(*key, n) for key, n in held.items()], batch.bound.state.get("books", {})) if gone else {}


class Summary:
    """A summary put together from what batches add. `split` are the entities whose records they share out, None for all of them;
    `origins` what the reading of those said, where no batch has it.
    """

    def __init__(self, split: set[str] | None = None, origins: Mapping[str, TableOrigin] | None = None) -> None:
        self.split, self.origins = split, origins or {}
        self.parts: list[Json] = []

    def add(self, counts: Json) -> None:
        self.parts.append(counts)

    def _each(self, entity: str) -> list[Json]:
        """What was read of an entity: by each batch, or by one where all have the same records."""
        whole = [p["entities"][entity] for p in self.parts if entity in p["entities"]]
        return whole if self.split is None or entity in self.split else whole[:1]

    def _total(self, key: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for counts in self.parts:
            total.update(counts[key])
        return total

    def rejects(self, entities: Iterable[str]) -> list[Reject]:
        """As if all records had been read at once: an entity's in the order of its file, repetitions after the others."""
        every: list[Reject] = []
        for entity in entities:
            each = self._each(entity)
            rows = [r for read in each for r in read["rejects"]]
            if entity in self.origins:
                rows += [[False, entity, "", line, "", text, reason] for line, text, reason in self.origins[entity].rejects]
            together = len(each) > 1 or entity in self.origins
            every += [Reject(*r[1:]) for r in (sorted(rows, key=lambda r: (r[0], r[3])) if together else rows)]
        return every

    def readings(self) -> dict[str, Reading]:
        """entity -> what was read of it."""
        readings: dict[str, Reading] = {}
        for entity in dict.fromkeys([*(entity for counts in self.parts for entity in counts["entities"]), *self.origins]):
            for read in [*self._of_file(entity), *(Reading.of(read["reading"]) for read in self._each(entity))]:
                if entity in readings:
                    readings[entity].merge(read)
                else:
                    readings[entity] = read
        return readings

    def _of_file(self, entity: str) -> Iterator[Reading]:
        """What the reading of a file said that batches share out: it comes before what they say of its columns."""
        if entity in self.origins:
            origin = self.origins[entity]
            rejects = [Reject(entity, "", line, "", text, reason) for line, text, reason in origin.rejects]
            read = Reading(entity, origin.shown, len(rejects), origin.blank, list(origin.notes))
            read.count(rejects)
            yield read

    def as_json(self, policy: Policy, clock: Clock) -> Json:
        """summary.json: counts per rule, rep, pool and territory, unknowns, rejects and corrections."""
        entities = list(policy.model.entities)
        rules, reps = self._rules(policy), self._total("reps")
        listed = set(self.parts[0]["listed"])
        gone, undone = self._leavers(), sum(counts.get("undone", 0) for counts in self.parts)
        records = {e: sum(read["records"] for read in self._each(e)) for e in entities}
        return {
            "policy": policy.name,
            "as_of": v.literal(clock.now),
            "records": {e: n for e, n in records.items() if n},
            "rejected": dict(sorted(Counter(r.entity for r in self.rejects(entities)).items())),
            "allocations": sum(sum(c.values()) for c in rules.values()),
            "moved": sum(counts["moved"] for counts in self.parts),
            **({"undone": undone} if undone else {}),
            **({"leavers": gone} if gone else {}),
            "actions": dict(sorted(self._total("actions").items())),
            "rules": {k: c for k, c in sorted(rules.items()) if c},
            "reps": dict(sorted(reps.items())),
            "pools": dict(sorted(self._total("pools").items())),
            "territories": self._territories(policy),
            "unknown": dict(sorted(self._total("unknown").items())),
            "capacity": {rep: {"owned": reps.get(rep, 0), "capacity": most} for rep, most in self.parts[0]["capacity"]},
            **self._about_data(policy),
            "conflicts": self._conflicts(),
            "unlisted_reps": sorted(rep for rep in reps if rep not in listed),
        }

    def _about_data(self, policy: Policy) -> Json:
        """What was corrected in the data, and which references find nothing where the policy follows them."""
        corrected: Counter[tuple[str, str, str, str]] = Counter()
        dangling: Counter[tuple[str, str, str]] = Counter()
        for entity in policy.model.entities:
            for read in self._each(entity):
                corrected.update({(entity, f, a, b): n for f, a, b, n in read["corrected"]})
                dangling.update({(entity, f, x): n for f, x, n in read["dangling"]})
        follows = followed(policy)
        return {
            "corrected": [
                {"entity": e, "field": f, "written": a, "meant": b, "records": n} for (e, f, a, b), n in sorted(corrected.items())
            ],
            "dangling": [
                {"entity": e, "field": f, "value": x, "records": n} for (e, f, x), n in sorted(dangling.items()) if (e, f) in follows
            ],
        }

    def _territories(self, policy: Policy) -> Json:
        placed: Counter[tuple[str, str]] = Counter()
        for counts in self.parts:
            placed.update({(entity, name): n for entity, names in counts["territories"].items() for name, n in names.items()})
        return rolled_up(policy.plan.levels, placed)

    def _conflicts(self) -> list[Json]:
        """The tables of which several rows hold where one may, with the records."""
        conflicts: dict[tuple[str, str, str], set[str]] = {}
        for counts in self.parts:
            for e, name, which, ids in counts["conflicts"]:
                conflicts.setdefault((e, name, which), set()).update(ids)
        return [{"entity": e, "step": name, "rules": which, "records": sorted(ids)} for (e, name, which), ids in sorted(conflicts.items())]

    def _leavers(self) -> list[Json]:
        """A row for each rep who has left, and held records, is still named, or has accounts in a book."""
        total: dict[str, Counter[tuple[Value, ...]]] = {}
        about: dict[str, Json] = {}
        books: dict[str, Counter[str]] = {}
        for i, counts in enumerate(self.parts):
            for rep, leaver in counts["leavers"].items():
                about[rep] = leaver
                if i == 0 or self.split is None or "account" in self.split:  # otherwise every part has all accounts
                    books.setdefault(rep, Counter()).update(leaver["books"])
                total.setdefault(rep, Counter()).update({tuple(key): n for *key, n in leaver["records"]})
        keys = HELD[1:]
        return [
            {
                "rep": rep,
                "name": about[rep]["name"],
                "why": about[rep]["why"],
                "records": [
                    {**dict(zip(keys, key, strict=True)), "records": n}
                    for key, n in sorted(held.items(), key=lambda item: [str(x or "") for x in item[0]])
                ],
                "named": [{"by": what, "place": place} for what, place in about[rep]["named"]],
                **({"books": dict(books[rep])} if books.get(rep) else {}),
            }
            for rep, held in sorted(total.items())
        ]

    def _rules(self, policy: Policy) -> dict[str, dict[str, int]]:
        """`entity.role` -> rule -> records, the greatest first; of equals the one that comes first in the policy."""
        rules = {}
        for (entity, role), step in policy.plan.engagement.items():
            key = f"{entity}.{role}"
            total: Counter[str] = Counter()
            for counts in self.parts:
                total.update(counts["rules"].get(key, {}))
            names = [*rule_names(step.rules), "(no rule)", "exception"]
            rules[key] = dict(sorted(((name, total[name]) for name in names if total[name]), key=lambda item: -item[1]))
        return rules


def rolled_up(levels: Mapping[str, Mapping[str, tuple[str, ...]]], placed: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Records per territory and everything that it is part of, as paths: `EMEA`, `EMEA > DACH`, `EMEA > DACH > berlin`."""
    rolled: dict[str, dict[str, int]] = {}
    for entity, parts in levels.items():
        total: Counter[str] = Counter()
        for (of, territory), n in placed.items():
            if of == entity and n:
                path = (*parts.get(territory, ()), territory or "(none)")
                total.update({" > ".join(path[: i + 1]): n for i in range(len(path))})
        rolled[entity] = dict(sorted(total.items()))
    return rolled
