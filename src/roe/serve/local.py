"""The service without a server: one process that takes the ledger's lock for what it does, beside servers that may be running."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from roe.ledger.store import open_store
from roe.serve.desk import Desk
from roe.serve.policies import Ready
from roe.serve.times import SystemTime, Time
from roe.serve.writer import Act, Job, Reply, Writer

TOGETHER = 2_000  # records that a sync commits together
Json = dict[str, Any]


class Local:
    """A writer that is asked directly. It sees everything that servers have committed, and they see what it commits."""

    def __init__(self, state: str | Path, policy: Ready, time: Time | None = None, activate: bool = False) -> None:
        self.writer = Writer(lambda: open_store(state), policy, time or SystemTime(), activate=activate)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def do(self, *acts: Act) -> list[tuple[int, Json]]:
        """Do some things in one commit; returns the answers. Raises PolicyError if the ledger cannot be written."""
        return [(status, body) for status, body, _ in self.writer.group([Job(act) for act in acts])]

    def route(self, entity: str, values: Mapping[str, Any], version: str = "") -> tuple[int, Json]:
        def act(desk: Desk, at: datetime) -> Reply:
            name = desk.entity(entity)
            id, was_known, stale = desk.route(name, values, version, at)
            return 200 if was_known else 201, lambda: {**desk.answer(name, id), "known": was_known, "stale": stale}

        return self.do(act)[0]

    def sync(self, tables: Mapping[str, Iterable[Mapping[str, Any]]], complete: Iterable[str] = ()) -> tuple[dict[str, int], list[Json]]:
        """Bring the mirror to what an export has; returns how many records of each entity were taken, and the problems of the others.

        Of the entities in `complete` records that the export lacks are deleted.
        """
        taken: dict[str, int] = {}
        problems: list[Json] = []
        seen: dict[str, set[str]] = {}
        for entity, rows in tables.items():
            plain = ({k: x for k, x in row.items() if not k.startswith("$")} for row in rows)
            for some in _portions(plain):
                ids: list[str] = []
                for status, body in self.do(*(_put(entity, values, ids) for values in some)):
                    if status >= 400:
                        problems.append(body)
                taken[entity] = taken.get(entity, 0) + len(ids)
                seen.setdefault(entity, set()).update(ids)
        for entity in complete:
            self.do(_drop_others(entity, seen.get(entity, set())))
        return taken, problems


def _portions(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    rest = iter(rows)
    while some := list(islice(rest, TOGETHER)):
        yield some


def _put(entity: str, values: Mapping[str, Any], ids: list[str]) -> Act:
    def act(desk: Desk, at: datetime) -> Reply:
        id, stale = desk.put(entity, values, "", at)
        ids.append(id)
        return 200, lambda: {"id": id, "stale": stale}

    return act


def _drop_others(entity: str, ids: set[str]) -> Act:
    def act(desk: Desk, at: datetime) -> Reply:
        gone = [id for id in desk.records.ids(entity) if id not in ids]
        for id in gone:
            desk.delete(entity, id, "", at)
        return 200, lambda: {"deleted": len(gone)}

    return act
