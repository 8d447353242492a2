"""The service without a server: one process that takes the ledger's lock for what it does, beside servers that may be running."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from roe.dynamic import Json, Record
from roe.ledger.store import open_store
from roe.serve.desk import Desk
from roe.serve.policies import Ready
from roe.serve.times import SystemTime, Time
from roe.serve.writer import Act, Job, Reply, Writer


class Local:
    """A writer that is asked directly. It sees everything that servers have committed, and they see what it commits."""

    def __init__(self, state: str | Path, policy: Ready, time: Time | None = None, activate: bool = False, create: bool = True) -> None:
        self.writer = Writer(lambda: open_store(state, create=create), policy, time or SystemTime(), activate=activate)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def do(self, *acts: Act) -> list[tuple[int, Json]]:
        """Do some things in one commit; returns the answers. Raises PolicyError if the ledger cannot be written."""
        return [(status, body) for status, body, _ in self.writer.group([Job(act) for act in acts])]

    def route(self, entity: str, values: Record, version: str = "") -> tuple[int, Json]:
        def act(desk: Desk, at: datetime) -> Reply:
            name = desk.entity(entity)
            id, was_known, stale = desk.route(name, values, version, at)
            return 200 if was_known else 201, lambda: {**desk.answer(name, id), "known": was_known, "stale": stale}

        status, body, _ = self.writer.group([Job(act, routes=[(entity, values)])])[0]
        return status, body
