"""Domain stages: one file each, which says how a section of the policy lowers to operators.

`STAGES` is the one list of them. `declare` tells the model which fields a stage adds and of what type, `lower` builds steps, and `part` gives what
the stage says besides steps, under its name in `Plan.parts`. All stages declare before any lowers, so that sections may refer to
each other in any order; all lower before any gives its part. A new stage is a file here and a line in this list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from roe.policy.context import Context
from roe.policy.loader import Map
from roe.policy.section import Heading
from roe.stages import (
    books,
    claims,
    credits,
    crm,
    data,
    definitions,
    do_not_route,
    engagement,
    events,
    exceptions,
    fields,
    freezes,
    history,
    holdovers,
    invariants,
    kpis,
    lists,
    matching,
    pools,
    relations,
    reports,
    scores,
    sources,
    territories,
    windows,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A section of the policy. With `names_first` it declares before the sections in which people choose names, so that a name that is
    taken is reported where it was chosen.

    `sections` are the keys of the policy that it reads: its functions take what stands under each, and the context.
    `fields_in` are sections whose keys are fields, written `entity.name`, or lists of such fields; the keys of `names_in` are names of fields of the entity that the
    item has under `for`. An editor finds declarations by them.
    """

    name: str
    sections: tuple[Heading, ...] = ()
    declare: Callable[..., None] | None = None
    lower: Callable[..., None] | None = None
    part: Callable[..., object] | None = None
    part_name: str = ""
    names_first: bool = False
    fields_in: tuple[str, ...] = ()
    names_in: tuple[str, ...] = ()


STAGES = (
    Stage("fields", (fields.FIELDS,), fields.declare, names_first=True),
    Stage("lists", (lists.LISTS,), lists.declare, names_first=True),
    Stage("data", (data.DATA,), None, None, data.lower),
    Stage("relations", (fields.FIELDS,), relations.declare, relations.lower, names_first=True),
    Stage("track", (history.TRACK,), history.declare, fields_in=("track",)),
    Stage("define", (definitions.DEFINE,), definitions.declare, definitions.lower, fields_in=("define",)),
    Stage("crm", (crm.CRM,), crm.declare, crm.lower_open, crm.lower),
    Stage("freezes", (freezes.FREEZES,), freezes.declare, freezes.lower, fields_in=("freezes",)),
    Stage("sources", (sources.SOURCES,), sources.declare, sources.lower),
    Stage("matching", (matching.MATCHING,), matching.declare, matching.lower),
    Stage("scores", (scores.SCORES, scores.TABLES), scores.declare, scores.lower, names_in=("scores", "tables")),
    Stage(
        "territories",
        (territories.TERRITORIES, territories.OVERLAYS),
        territories.declare,
        territories.lower,
        territories.levels,
        "levels",
        names_in=("overlays",),
    ),
    Stage("claims", (claims.CLAIMS,), claims.declare, None, claims.lower, names_first=True),
    Stage("windows", (windows.WINDOWS,), windows.declare, None, windows.lower),
    Stage("pools", (pools.POOLS,), None, None, pools.lower),
    Stage("do_not_route", (do_not_route.DO_NOT_ROUTE,), None, None, do_not_route.lower, "untouched"),
    Stage("engagement", (engagement.ENGAGEMENT, engagement.CHANGED_BY_HAND, do_not_route.DO_NOT_ROUTE), None, None, engagement.lower),
    Stage("by_hand", (engagement.CHANGED_BY_HAND,), None, None, engagement.declared_by_hand),
    Stage("exceptions", (exceptions.EXCEPTIONS,), None, None, exceptions.lower),
    Stage("reports", (reports.REPORTS,), None, None, reports.lower),
    Stage("holdovers", (holdovers.HOLDOVERS,), holdovers.declare, None, holdovers.lower, names_first=True),
    Stage("credits", (credits.CREDITS,), credits.declare, None, credits.lower, names_first=True),
    Stage("books", (books.BOOKS,), books.declare, None, books.lower, names_first=True),
    Stage("events", (events.EVENTS,), events.declare, None, events.lower, fields_in=("events",)),
    Stage("kpis", (kpis.KPIS,), None, None, kpis.lower),
    Stage("invariants", (invariants.INVARIANTS,), invariants.declare, None, invariants.lower),
    Stage("retain", (history.RETAIN,), None, None, history.retained),
    Stage("past", (history.TRACK,), None, None, history.lower),  # last: by then every expression is read
)


def lowered(policy: Map, cx: Context) -> dict[str, Any]:
    """Run every stage; the parts by name. Steps and fields are in the context then."""
    read = {stage.name: [heading.read(policy) for heading in stage.sections] for stage in STAGES}
    for stage in sorted(STAGES, key=lambda stage: not stage.names_first):
        if stage.declare is not None:
            stage.declare(*read[stage.name], cx)
    for stage in STAGES:
        if stage.lower is not None:
            stage.lower(*read[stage.name], cx)
    return {stage.part_name or stage.name: stage.part(*read[stage.name], cx) for stage in STAGES if stage.part is not None}
