"""The web pages of the service: the same as those of `roe ui`, about the records that the service has now.

A snapshot is made of what is committed, away from the writer, and again when something was committed since or its moment is old.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from roe.analysis.replay import stored
from roe.dynamic import Json
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Run
from roe.evaluator.world import World
from roe.serve.desk import Desk
from roe.serve.records import kept_owner
from roe.serve.server import Server
from roe.serve.writer import Job
from roe.web.app.access import Viewer
from roe.web.app.acting import LedgerActs
from roe.web.app.history import History
from roe.web.app.kept import beside
from roe.web.app.site import Options, Site
from roe.web.app.snapshot import RowSnapshot, Snapshot

FRESH = timedelta(seconds=60)  # how long a snapshot's moment is now
PATIENCE = 30  # seconds for the writer's answer
LOCAL_NAME = "somebody on the service's machine"  # who acts where nobody signs in


class Mirror:
    """The newest snapshot of a service."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lock = threading.Lock()
        self._kept: tuple[tuple[str, int], datetime, Snapshot] | None = None

    def current(self) -> Snapshot:
        """The snapshot of what is committed now. One is made at a time; others wait for it."""
        with self._lock:
            key = self._ask(lambda desk, at: {"key": (desk.policy.digest, desk.seq), "at": at})
            kept = self._kept
            if kept is not None and kept[0] == key["key"] and key["at"] - kept[1] < FRESH:
                return kept[2]
            copy = self._ask(_copied)
            evaluator = copy["evaluator"]
            world = World(evaluator.compiled, {}, evaluator.clock(copy["at"]))
            for entity, rows in copy["rows"].items():
                world.restore(entity, rows)
            bound = Bound(evaluator, world, copy["state"])
            snapshot = RowSnapshot(Run(bound, list(bound.decide_all())), f"the service at {copy['at']:%Y-%m-%d %H:%M} UTC")
            self._kept = (copy["key"], copy["at"], snapshot)
            return snapshot

    def _ask(self, ask: Callable[[Desk, datetime], Json]) -> Json:
        return self.server.queue.ask(ask).result(PATIENCE)


def _copied(desk: Desk, at: datetime) -> Json:
    """What a snapshot is made of, so that the desk can go on while it is made."""
    world, state = desk.records.live.world, desk.state
    rows = {entity: [stored(row) for row in found] for entity, found in world.rows.items()}
    remembered = {key: kept_owner(owner) for key, owner in state.all("owner").items() if owner["owner"]}
    kept = {
        "owners": remembered,
        **{
            name: dict(state.all(kind))
            for name, kind in (("assigned", "assigned"), ("pools", "pool"), ("days", "days"), ("granted", "granted"))
        },
    }
    return {"key": (desk.policy.digest, desk.seq), "at": at, "evaluator": desk.policy.evaluator, "rows": rows, "state": kept}


def site_of(server: Server, header: str = "") -> Site:
    """The pages about what the service has."""
    known = server.users
    hosts = ("127.0.0.1", "localhost", "::1") if not known else ()
    state = server.settings.state

    def followed() -> None:
        """Have the writer take over at once what a page has appended."""
        server.queue.submit(Job(lambda desk, at: (200, dict))).result(PATIENCE)

    options = Options(
        users=known, header=header, hosts=hosts, history=History(state), acts=LedgerActs(state, followed), kept=beside(state), state=state,
        local=Viewer(LOCAL_NAME, "revops"),
    )  # fmt: skip
    return Site(Mirror(server).current, options)
