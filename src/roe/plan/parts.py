"""What stages say besides steps: the parts of a plan, each under the name that `roe.stages.STAGES` has for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date

from roe.grammar.values import Duration
from roe.node import node
from roe.plan.operators import Expr
from roe.source import Text


@node
class Untouched:
    """A record that nothing touches, until a day if one is set."""

    entity: str
    record: Text  # its id
    reason: Text
    until: date | None


@node
class ExceptionRow:
    """An approved exception: this record, in this role, belongs to that rep until a day."""

    entity: str
    record: Text
    role: Text
    owner: Text
    approved_by: Text
    reason: Text
    start: date | None
    until: date | None
    shares: tuple[tuple[str, float], ...] = ()  # of the credit, in percent, where it is split


KPI_NAMES = (
    "accounts", "capacity", "capacity_use", "coverage", "worked", "completed", "touches", "meetings", "opportunities", "opportunities_per_worked",
    "leads", "speed_to_lead", "sla_attainment",
)  # fmt: skip


@node
class Kpis:
    """What is counted of reps' work: `counts`, `meeting` and `answer` are conditions on an activity; `within` is the time to answer
    a lead; `touches` and `contacts` make an account worked to completion. `targets` are (kpi, group or '', target, benchmark, source).
    """

    role: str
    lead_role: str
    counts: Expr | None
    meeting: Expr | None
    touches: int
    contacts: int
    within: Duration | None
    targets: tuple[tuple[str, str, float | None, float | None, str], ...]


RUN_FACTS = (
    "decided",
    "moved",
    "moved_share",
    "unowned",
    "customers_moved",
    "windows_cut",
    "over_capacity",
    "vanished",
    "changed_in_crm",
    "undone",
)


@node
class Invariant:
    """What must hold after a run: of every record (`step` is its field), of every rep (with `owned`, its accounts as `role`), or of the
    run as a whole (`entity` is `run`): of its figures `RUN_FACTS`. `severity` is error or warn.
    """

    name: Text
    entity: str
    holds: Expr
    severity: str
    role: str
    step: str


@node
class Event:
    """A condition, the step `name`, that raises an event once; it is armed again where `rearm` holds, or where it no longer holds."""

    entity: str
    name: str
    rearm: Expr | None
    because: Text | None


@node
class Credit:
    """Who is credited with a record: per rule of the step `name` reps with their percent. `refer` decides disputes, `within` a time."""

    name: str
    entity: str
    shares: Mapping[str, tuple[tuple[Expr, float], ...]]
    refer: str
    within: Duration | None


LOAD_WITHIN = 3  # days, unless the policy says it


@node
class Crm:
    """What the CRM calls nobody (`queues`, by entity and role), a rep (`owner`, a field) and the territories (their ids by name)."""

    queues: Mapping[tuple[str, str], str] = field(default_factory=dict)
    territories: Mapping[str, str] = field(default_factory=dict)
    owner: str = "id"
    load_within: int = LOAD_WITHIN  # days after which a decision that is not loaded is reported
    systems: Mapping[str, str] = field(default_factory=dict)  # a user of the CRM -> the integration that acts as this user
    cascades: Mapping[str, str] = field(default_factory=dict)  # an entity -> the field of the record whose owner the CRM passes on to it


@node
class Past:
    """What rules ask of earlier days: `looks_back` if any of them asks, and the (entity, field) whose values the ledger follows."""

    looks_back: bool = False
    tracked: tuple[tuple[str, str], ...] = ()


@node
class Holdover:
    """Credit that a former owner of accounts keeps: shares in percent, one after the other, each for so long."""

    name: str
    role: str
    each: Duration
    shares: tuple[float, ...]


@node
class Report:
    """records -> counts by group. `list` is a table whose rows the records are held against; measures are true or numbers."""

    name: str
    entity: str
    where: Expr | None
    by: Expr | None
    list: str | None
    measures: Mapping[str, Expr]


@node
class Window:
    """A protection window, by the names of its steps; `role` is whose ownership it protects. `grace_until` is '' if it has no grace."""

    name: str
    entity: str
    role: str
    state: str
    until: str
    grace_until: str = ""

    def end(self, state: str) -> str:
        """The step that says when a state which protects the owner ends."""
        return self.grace_until if state == "grace" else self.until
