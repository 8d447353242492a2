"""What earlier runs left: the shape in which the ledger hands its memory to an evaluator (`roe.ledger.state` reads it).

Keys are `entity|record|role`, `entity|record|field` and so on. A section that has nothing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

from roe.dynamic import Json, Saved
from roe.ledger.holders import OwnerState


class PastState(TypedDict):
    """Who had each record in a role, as [rep, start, stop, by, rule], and which values tracked fields have had, as [day, value]."""

    owners: Mapping[str, list[list[str | None]]]
    seen: Mapping[str, list[list[object]]]


class Remembered(TypedDict, total=False):
    """The memory of a ledger; empty before the first run."""

    version: int
    as_of: str
    owners: Mapping[str, OwnerState]  # entity|record|role -> who has it, since when and by what
    assigned: Mapping[str, Json]  # entity|record|role -> the turn of a pool that gave it
    pools: Mapping[str, Saved]  # pool -> turns, and counts and credits by rep
    days: Mapping[str, Mapping[str, int]]  # rep -> day -> how many records were given that caps count
    returned: Mapping[str, Saved]  # entity|record|role -> when a rep gave it back, and who
    referred: Mapping[str, Saved]  # entity|record|role -> since when a person is asked
    frozen: Mapping[str, Saved]  # entity|record|field -> the value as the period began
    claims: Mapping[str, str]  # claim -> why it was refused; empty if it was granted
    books: Mapping[str, Saved]  # book -> its cycle, what each rep was given in it, and the accounts' places
    events: Mapping[str, str]  # entity|record|event -> the day on which it was raised
    ends: Mapping[str, str]  # entity|record|role -> the ends of rules for a time, as lines
    granted: Mapping[str, Saved]  # entity|record|role -> the exception that somebody has granted
    records: Mapping[str, list[Json]]  # entity -> records that people have entered beside the data
    seen: Mapping[str, object]  # entity|record|field -> the last value of a tracked field
    gone: Mapping[str, Saved]  # entity|record -> whether it was deleted or is missing, or merged into which other, and when the CRM said so
    held: Mapping[str, Saved]  # entity|record|role -> what an undone run holds back
    crm_since: Mapping[str, str]  # entity|record|role -> since when the CRM had an owner from whom a run moved it on at once
    crm_by: Mapping[str, str]  # entity|record|role -> the integration that changed the owner in the CRM
    past: PastState
    newest: Mapping[str, str]  # of a run in tasks: entity -> the last change in its data, of which a task has only a part


def as_remembered(sections: Saved) -> Remembered:
    """A memory whose sections were put together by name."""
    return cast(Remembered, dict(sections))
