"""Search, which is also the first page: what a search finds, and what the run looks like while nobody has typed anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response

from roe.dynamic import JsonObject
from roe.web.app.outcomes import RecordOutcome, moment
from roe.web.app.search import Hit
from roe.web.app.site import Ask, part
from roe.web.app.snapshot import Snapshot

MOST = 40
SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class ResultLine:
    """A line of the results: where it leads, what it is, and who owns it in each role."""

    kind: str
    label: str
    id: str
    path: str
    owners: tuple[tuple[str, str], ...] = ()


def home(ask: Ask) -> Response:
    text = ask.text("q")
    results, near = results_for(ask.snapshot, text)
    return ask.render("find.html", q=text, results=results, near=near, overview=overview(ask.snapshot) if not text else None)


def results_for(snapshot: Snapshot, text: str) -> tuple[list[ResultLine], list[ResultLine]]:
    """(what answers to a text, what is most like it if nothing does)."""
    if not text:
        return [], []
    hits = snapshot.index.search(text, MOST)
    near = snapshot.index.near(text) if not hits else []
    return [line(snapshot, hit) for hit in hits], [line(snapshot, hit) for hit in near]


def line(snapshot: Snapshot, hit: Hit) -> ResultLine:
    owners = tuple((o.role, o.owner_name or "nobody") for o in snapshot.outcomes.of(hit.kind, hit.id))
    return ResultLine(hit.kind, hit.label, hit.id, address(hit), owners)


def address(hit: Hit) -> str:
    """Where a hit leads."""
    place = {"rep": "/rep/", "pool": "/pool/", "territory": "/territory/"}.get(hit.kind, f"/record/{part(hit.kind)}/")
    return place + part(hit.id)


def overview(snapshot: Snapshot) -> JsonObject:
    """The run in a few figures: for each entity and role how many records are owned, open or to be decided, and what ends soon."""
    return snapshot.once("overview of the run", lambda: _overview(snapshot))


def _overview(snapshot: Snapshot) -> JsonObject:
    roles: dict[tuple[str, str], Counter[str]] = {}
    for o in snapshot.outcomes.all:
        count = roles.setdefault((o.entity, o.role), Counter())
        count["records"] += 1
        count["owned"] += o.owner is not None
        count["moved"] += o.moved
        count["refer"] += o.action == "refer"
    return {
        "roles": [(entity, role, count) for (entity, role), count in roles.items()],
        "soon": ending_soon(snapshot)[:8],
        "refer": snapshot.outcomes.referred[:8],
    }


def ending_soon(snapshot: Snapshot) -> list[RecordOutcome]:
    """What ends within a fortnight, the first first."""
    now: datetime = snapshot.clock.now
    ends = [(moment(o.until, now), o) for o in snapshot.outcomes.all if o.until is not None and o.owner is not None]
    return [o for at, o in sorted(ends, key=lambda x: (x[0], x[1].id)) if now <= at <= now + SOON]
