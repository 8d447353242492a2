"""The five operators, and the plan that a policy becomes.

An operator computes one *step*: a named value of every record of one entity. Steps are used like fields, and are
computed when first asked for. Stages lower to operators; back ends see operators and nothing of stages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from typing import Any

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar.values import Duration
from roe.node import node
from roe.source import Inline, Text

TEMPLATE = re.compile(r"\{([^{}]*)\}")  # an expression inside the sentence of a `because`


@node
class Expr:
    """An expression with the text that it was parsed from."""

    tree: s.Node
    text: Text


@node
class Rule:
    """One rule: it fires when every condition is true. `value` is what it gives: a name, points, outputs, an action.

    `overrides` names rules that must not take this rule's records with another outcome. It decides nothing; `roe check` proves it.
    """

    name: Text
    conditions: tuple[Expr, ...]
    value: Value
    because: Text | None = None
    overrides: tuple[Text, ...] = ()

    @property
    def is_built_in(self) -> bool:
        """Whether a stage wrote the rule, which then stands in no file."""
        return isinstance(getattr(self.name, "origin", None), Inline)


@node
class Derive:
    """row -> value: an expression, or a group of other steps that is read as one record of owners.

    Of a group, `vacant` says who owns what nobody else does, and with `cover` whoever covers stands in for a rep on leave. A `frozen`
    value is the one that the record had when the period began: the first day of one, and how many months each lasts. With `among`
    it is the place of the value among those of all records with the same `<name>_within`, and its tier: names with shares in percent.
    """

    entity: str
    name: str
    stage: str
    expr: Expr | None
    group: Mapping[str, str] | None = None  # role -> step
    vacant: Mapping[str, str] = field(default_factory=dict)  # role -> rep
    cover: bool = False
    frozen: tuple[date, int] | None = None
    among: tuple[tuple[str, float], ...] | None = None
    strict: bool = False  # of an `among`: no two records share a rank


@node
class Choose:
    """row -> the rules that hold, by hit policy.

    `hit` is first, unique, any, priority, collect, or `collect sum|min|max|count`; `priority` ranks the rules' values,
    best first. `default` is the value where no rule holds. The value is the rule's for a single hit, else a list or total.
    """

    entity: str
    name: str
    stage: str
    hit: str
    rules: Sequence[Rule]
    default: Value = None
    priority: tuple[Value, ...] = ()


@node
class Method:
    """One way to find related rows: `match` over both rows, and what rules a candidate out.

    With `similar`, the company names of both rows, candidates have a score, of which `least` is asked; with `group` it is the one of a
    corporate group.
    """

    name: Text
    match: Expr
    unless: Expr | None
    similar: tuple[Expr, Expr] | None = None
    least: float = 0.0
    group: bool = False


@node
class Relate:
    """row -> related row: methods in order, the first that finds candidates; tiebreakers choose among them."""

    entity: str
    name: str
    stage: str
    target: str
    methods: tuple[Method, ...]
    tie_break: tuple[tuple[str, Expr], ...]  # ('most' | 'least', value)


@node
class Walk:
    """row -> the rows that a reference leads to one after the other, the nearest first; a circle ends where it closes.

    With `last` only the last of them, which is the row itself where it leads nowhere.
    """

    entity: str
    name: str
    stage: str
    along: str
    last: bool = False


@node
class Fill:
    """row -> what another step gives, where the data has no value of the field."""

    entity: str
    name: str
    stage: str
    source: str


@node
class Settle:
    """row -> what became of the claims: of a claim the part `gives` of its outcome, of a record the claim that is live."""

    entity: str
    name: str
    stage: str
    gives: str = ""


@node
class DatedValue:
    """A value that holds from one day on, up to and not on another; None is open."""

    value: Text
    start: date | None = None
    until: date | None = None

    def holds(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.until is None or day < self.until)


@node
class Sla:
    """How soon a rep must work what a pool assigned, and what happens otherwise: the next rep, `times` times, then `escalate`."""

    within: Duration
    worked_by: Expr | None = None
    times: int = 1
    escalate: Text | None = None
    grace: Duration | None = None  # how long after it the record stays, since proof of work may come late


@node
class Allocate:
    """ordered rows + pool state -> rep. The expressions about members see `rep` and the record that is routed.

    `sticky` gives the rep a record stays with, `together` what records of one company have in common; `debt` is how many
    skipped turns are made up for at most, `hours` whether working hours are heeded.
    """

    name: str
    strategy: str
    members: Expr | tuple[DatedValue, ...]
    weight: Expr | None
    caps: Mapping[str, Expr]
    fallback: Text | None
    text: Text
    score: Expr | None = None
    sticky: Expr | None = None
    together: Expr | None = None
    debt: int = 3
    hours: bool = False
    sla: Sla | None = None
    together_within: Duration | None = None  # how long after a record came the others of its company follow it
    credit_back: tuple[Rule, ...] = ()  # conditions on a record and the `rep` who took its turn, for which the turn is given back


@node
class Claims:
    """ordered claims -> who holds a record of `entity`: first come, first served, within caps; nobody holds one for ever unworked.

    `lasts` counts from the last activity that counts (`worked_by`), `work_within` from the claim; `wait` is for the rep who
    had it, `rest` for everybody; `blocked_by` are conditions on the record, with `rep` and `claim`.
    """

    entity: str
    role: str
    text: Text
    lasts: Duration | None
    work_within: Duration | None
    worked_by: Expr | None
    wait: Duration | None
    rest: Duration | None
    caps: Mapping[str, Expr]
    blocked_by: tuple[Rule, ...]


@node
class Share:
    """A part of a mix: at least and at most so many percent of a rep's capacity are accounts of this class."""

    name: str
    least: float
    most: float


@node
class Solve:
    """a set of accounts + reps -> who has which: the greatest total worth within capacities, eligibility and mixes.

    The steps `<name>_now`, `_able`, `_value`, `_return` and `_mix` are read from each account. Expressions about pairs see `account`
    and `rep`. The worth of a pair is the value, `worth`, every affinity that holds, and `continuity` with today's rep; `fairness` is what
    a unit of the books' spread costs. `fixed` is how many accounts a rep gets per cycle; without it books are topped off.
    `returns` are the values of `_return` that end an account's time in a book.
    """

    name: str
    role: str
    reps: Expr
    capacity: Expr
    eligible: Expr | None
    affinity: tuple[tuple[str, Expr, float], ...]
    mix: tuple[Share, ...]
    continuity: float
    fairness: float
    fixed: Expr | None
    rest: Duration | None
    cadence: Duration | None
    returns: tuple[str, ...]
    worth: Expr | None = None  # extra worth of a pair
    places: Expr | None = None  # of a book, that an account takes with a rep; 1 without it
    total: Expr | None = None  # places of a rep in all books together that have a total


@node
class Action:
    """What an engagement rule does with a record's ownership."""

    kind: str  # keep, assign, route, open, hold, return, refer
    # `to` is who must decide, in a sentence: a name, or an `{expression}`
    assign: Expr | None = None
    until: Expr | None = None  # until when the assignment holds
    pool: str = ""
    to: str = ""
    asks: Expr | None = None  # the rep whom `to` means, where it is an expression
    within: Duration | None = None  # how long a decision may take, or ownership is kept
    otherwise: Action | None = None

    def with_otherwise(self) -> Iterator[Action]:
        """The action, and those that it falls back on, in order."""
        action: Action | None = self
        while action is not None:
            yield action
            action = action.otherwise

    def refers(self) -> str:
        """Who must decide where the action, or what it falls back on, refers to a person; empty where none does."""
        return self.to or (self.otherwise.refers() if self.otherwise is not None else "")


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


@node
class Crm:
    """What the CRM calls nobody (`queues`, by entity and role), a rep (`owner`, a field) and the territories (their ids by name)."""

    queues: Mapping[tuple[str, str], str] = field(default_factory=dict)
    territories: Mapping[str, str] = field(default_factory=dict)
    owner: str = "id"
    load_within: int = 3  # days after which a decision that is not loaded is reported
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


Step = Derive | Choose | Relate


@node
class Plan:
    """All steps by (entity, name), the pools, per (entity, role) the step whose value is an `Action`, lists, and the parts of stages by name.

    A part is what a stage says besides steps, under the name that `roe.stages.STAGES` has for it. Those that other code reads have a typed
    name here; a part that nobody else reads needs none.
    """

    steps: Mapping[tuple[str, str], Step]
    pools: Mapping[str, Allocate]
    engagement: Mapping[tuple[str, str], Choose]
    lists: Mapping[str, list[Value]] = field(default_factory=dict)
    dated_lists: Mapping[str, list[DatedValue]] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)

    def with_part(self, name: str, part: object) -> Plan:
        """The same plan with another part of a stage."""
        return Plan(self.steps, self.pools, self.engagement, self.lists, self.dated_lists, {**self.parts, name: part})

    def takes_turns(self, entity: str = "") -> bool:
        """Whether a rule may hand records to a pool, of an entity or of any, so that the order of all of them counts."""
        rules = (rule for (of, _), chooser in self.engagement.items() if entity in ("", of) for rule in chooser.rules)
        return any(action.kind == "route" for rule in rules for action in rule.value.with_otherwise())

    @property
    def windows(self) -> tuple[Window, ...]:
        return self.parts.get("windows") or ()

    @property
    def exceptions(self) -> tuple[ExceptionRow, ...]:
        return self.parts.get("exceptions") or ()

    @property
    def untouched(self) -> tuple[Untouched, ...]:
        return self.parts.get("untouched") or ()

    @property
    def claims(self) -> Claims | None:
        return self.parts.get("claims")

    @property
    def reports(self) -> Mapping[str, Report]:
        return self.parts.get("reports") or {}

    @property
    def holdovers(self) -> tuple[Holdover, ...]:
        return self.parts.get("holdovers") or ()

    @property
    def levels(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """entity -> territory -> what it is part of."""
        return self.parts.get("levels") or {}

    @property
    def credits(self) -> tuple[Credit, ...]:
        return self.parts.get("credits") or ()

    @property
    def crm(self) -> Crm:
        return self.parts.get("crm") or _NO_CRM

    @property
    def books(self) -> Mapping[str, Solve]:
        return self.parts.get("books") or {}

    @property
    def events(self) -> tuple[Event, ...]:
        return self.parts.get("events") or ()

    @property
    def by_hand(self) -> Mapping[str, str]:
        """By `entity|role` what rules do about an owner whom somebody changed in the CRM, where the policy says it: keep, decide or refer."""
        return self.parts.get("by_hand") or {}

    @property
    def past(self) -> Past:
        return self.parts.get("past") or _NO_PAST

    @property
    def retain(self) -> Duration | None:
        """For how long the ledger keeps evidence; None for ever."""
        return self.parts.get("retain")

    @property
    def kpis(self) -> Kpis | None:
        return self.parts.get("kpis")

    @property
    def invariants(self) -> tuple[Invariant, ...]:
        return self.parts.get("invariants") or ()


_NO_CRM = Crm()
_NO_PAST = Past()
