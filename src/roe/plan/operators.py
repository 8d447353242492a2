"""The five operators, and what they are made of.

An operator computes one *step*: a named value of every record of one entity. Steps are used like fields, and are
computed when first asked for. Stages lower to operators; back ends see operators and nothing of stages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date

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
    conditions: Sequence[Expr]
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
    similar: tuple[Expr, Expr] | None
    least: float
    group: bool


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
    worked_by: Expr | None
    times: int
    escalate: Text | None
    grace: Duration | None  # how long after it the record stays, since proof of work may come late


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
    score: Expr | None
    sticky: Expr | None
    together: Expr | None
    debt: int
    hours: bool
    sla: Sla | None
    together_within: Duration | None  # how long after a record came the others of its company follow it
    credit_back: tuple[Rule, ...]  # conditions on a record and the `rep` who took its turn, for which the turn is given back


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
class MixShare:
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
    mix: tuple[MixShare, ...]
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
