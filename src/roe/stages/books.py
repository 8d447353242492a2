"""`books:` dynamic books: what returns from a rep's book, what rests, and what is distributed, cycle by cycle. It lowers to a `Solve`.

A book `core` of accounts has the fields `core` (the rep), `core_since`, `core_rest`, `core_reason` and `core_runner_up`, which an
applied plan leaves in the state. The stage adds `core_now` and `core_begun` (whose book it is in, since when), `core_able`, `core_value`,
`core_touches`, `core_contacts`, `core_return` (why it stays or returns) and, with a mix, `core_mix`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from roe.grammar import types as t
from roe.grammar.names import Names
from roe.grammar.printer import show
from roe.plan.operators import Choose, Derive, Expr, MixShare, Rule, Solve
from roe.policy.context import Context, written
from roe.policy.model import Field
from roe.policy.section import Duration, Expression, Form, Heading, Identifier, Name, Percent, PositiveDuration, Section, key, section
from roe.source import Text

KEPT = (("", t.record("rep")), ("_since", t.DATE), ("_rest", t.DATE), ("_reason", t.STRING), ("_runner_up", t.record("rep")))
ADDED = (
    ("_now", t.record("rep")), ("_begun", t.DATE), ("_able", t.BOOLEAN), ("_value", t.NUMBER), ("_touches", t.NUMBER), ("_contacts", t.NUMBER),
    ("_return", t.STRING), ("_mix", t.STRING),
)  # fmt: skip


Amount = float | Expression


@section
class AffinitySection(Section):
    """extra value if a rep suits an account"""

    name: Name
    when: Expression
    worth: float


@section
class MixSection(Section):
    """a class of accounts, and its share of a rep's capacity in percent"""

    name: Name
    when: Expression
    least: Percent = 0
    most: Percent = 100


@section
class FixedSection(Section):
    """a fixed number of accounts per cycle"""

    fixed: Amount = key("the most accounts that a rep gets per cycle")


@section
class WorkSection(Section):
    """when an account is worked to completion"""

    counts: Expression | None = key("which activities are work", default=None)
    touches: Annotated[int, Form(minimum=1)] | None = None
    contacts: Annotated[int, Form(minimum=1)] | None = None
    within: PositiveDuration | None = None
    reply: Expression | None = key("which activities are a reply", default=None)


@section
class NeverSection(Section):
    """a rule that keeps an account in its book"""

    name: Name
    when: Expression


@section
class BookSection(Section):
    """the accounts of each rep, cycle by cycle"""

    role: Text | None = None
    description: Text | None = None
    accounts: Expression | None = key("which accounts can be in a book", default=None)
    reps: Expression = key("who has a book")
    capacity: Amount = key("how many places a book has, as an expression about `rep`")
    total: Amount | None = key("how many places a rep has in all books with a `total`, as an expression about `rep`", default=None)
    eligible: Expression | None = key("which rep can have which account", default=None)
    value: Expression = key("the value of an account")
    worth: Expression | None = key("extra value of an account with a rep, as an expression about `account` and `rep`", default=None)
    places: Amount | None = key(
        "how many places of a book an account takes, as an expression about `account` and `rep`; 1 if it is left out", default=None
    )
    affinity: tuple[AffinitySection, ...] = key("extra value if a rep suits an account", default=())
    continuity: Annotated[float, Form(minimum=0)] = key(
        "extra value if an account stays with its rep; leave it out to forbid moves", default=0
    )
    fairness: Annotated[float, Form(minimum=0)] = key("penalty per unit of value spread between books", default=0)
    mix: tuple[MixSection, ...] = key("shares of a rep's capacity, in percent, by class; the first class that matches counts", default=())
    distribute: Literal["top_off"] | FixedSection | None = None
    cadence: PositiveDuration | None = key("how long a cycle is", default=None)
    rest: Duration | None = key("how long a returned account rests", default=None)
    settles: Duration | None = key("how long an account stays after it is assigned; default 14 days", default=None)
    work: WorkSection | None = key("when an account is worked to completion", default=None)
    neglected: PositiveDuration | None = key("how long an account can have no activity", default=None)
    given_back: tuple[Text, ...] = key("valid reasons for a rep to return an account (handbacks.csv)", default=())
    hold: Expression | None = key("a manual hold", default=None)
    never: tuple[NeverSection, ...] = key("other rules that keep an account in its book", default=())


BOOKS = Heading(
    "books", Mapping[Identifier, BookSection], "dynamic books: accounts that return, rest and are distributed again in each cycle"
)


def declare(books: Mapping[Text, BookSection], cx: Context) -> None:
    fields = cx.model.entities["account"]
    for name in books:
        taken = [n for suffix, _ in (*KEPT, *ADDED) if (n := f"{name}{suffix}") in fields or ("account", n) in cx.model.steps]
        if taken:
            cx.say("R306", name, f"the field `account.{taken[0]}` already exists", "choose another name for the book")
            continue
        for suffix, kind in KEPT:
            fields[f"{name}{suffix}"] = Field(f"{name}{suffix}", kind)
        for suffix, kind in ADDED:
            cx.model.steps["account", f"{name}{suffix}"] = kind


def lower(books: Mapping[Text, BookSection], cx: Context) -> dict[str, Solve]:
    lowered = {}
    for name, book in books.items():
        role = cx.role(book.role)
        if role in cx.model.roles() and ("account", f"{name}_now") in cx.model.steps:
            lowered[str(name)] = _Book(name, book, role, cx).lower()
    return lowered


class _Book:
    """One book while it is lowered. What the stage writes itself are texts, with what the policy says in parentheses."""

    def __init__(self, name: Text, book: BookSection, role: str, cx: Context) -> None:
        self.name, self.book, self.role, self.cx = name, book, role, cx
        self.names = cx.names("account")
        self.since = f"date <= today and (account.{name}_begun = null or date >= account.{name}_begun)"

    def expr(self, text: str, place: Text | None = None) -> Expr:
        """An expression of the stage's own; BOOK stands for the book's name."""
        parsed = self.cx.parse(text.replace("BOOK", str(self.name)))
        assert parsed is not None
        return written(parsed.tree, place or self.name)

    def derive(self, suffix: str, text: str, place: Text | None = None) -> None:
        step = f"{self.name}{suffix}"
        self.cx.steps["account", step] = Derive("account", step, "book", self.expr(text, place))

    def said(self, text: Text | None, names: Names) -> str:
        """A condition of the policy, as text that can stand inside of another; `true` where there is none."""
        expr = self.cx.condition(text, names)
        return f"({show(expr.tree)})" if expr else "true"

    def lower(self) -> Solve:
        book, cx = self.book, self.cx
        owner = f"account.owner.{self.role}"
        self.derive("_now", f"if account.BOOK != null then account.BOOK else if account.BOOK_reason != null then null else {owner}")
        self.derive("_begun", "if account.BOOK_since != null then account.BOOK_since else account.owner_since")
        self._work()
        self.derive("_able", f"(account.BOOK_rest = null or account.BOOK_rest <= today) and {self.said(book.accounts, self.names)}")
        value = cx.value(book.value, self.names, "number")
        text = show(value.tree) if value else "0"
        self.derive("_value", f"if ({text}) = null then 0 else ({text})", book.value)
        returns, mix = self._returning(), self._mix()
        about_rep, about_pair = cx.names("rep"), self.names.binding(rep=t.record("rep"))
        reps = cx.condition(book.reps, about_rep)
        eligible = cx.condition(book.eligible, about_pair)
        cx.unique_names([affinity.name for affinity in book.affinity], "affinities")
        affinities = [(str(x.name), when, x.worth) for x in book.affinity if (when := cx.condition(x.when, about_pair))]
        fixed = self._number(book.distribute.fixed, about_rep) if isinstance(book.distribute, FixedSection) else None
        none = self.expr("false")
        return Solve(
            str(self.name), self.role, reps or none, self._number(book.capacity, about_rep) or none, eligible, tuple(affinities), mix,
            book.continuity, book.fairness, fixed, cx.days(book.rest), cx.days(book.cadence), returns,
            cx.value(book.worth, about_pair, "number"),
            self._number(book.places, about_pair) if book.places is not None else None,
            self._number(book.total, about_rep) if book.total is not None else None,
        )  # fmt: skip

    def _number(self, given: Amount, names: Names) -> Expr | None:
        return self.cx.value(given if isinstance(given, Text) else Text(str(given), self.name.origin), names, "number")

    def _work(self) -> None:
        """How often, and with how many people, the account was worked since it came into the book."""
        work = self.book.work
        limited = work is not None and work.within and self.cx.days(work.within) is not None
        within = f" and date > today - {work.within}" if work and limited else ""
        counts = self.said(work.counts if work else None, self.cx.names("activity", implicit=True))
        touches = f"account.activities[{counts} and {self.since}{within}]"
        self.derive("_touches", f"count({touches})")
        self.derive("_contacts", f"count(distinct_values({touches}[contact != null].contact))")

    def _returning(self) -> tuple[str, ...]:
        """The rules that say why an account stays, first, and why it returns; the names of the latter."""
        book, cx = self.book, self.cx
        rules: list[Rule] = []

        def add(name: str, text: str) -> None:
            rules.append(Rule(Text(name, self.name.origin), (self.expr(text),), name))

        add("in-no-book", "account.BOOK_now = null")
        add("open-opportunity", "count(account.open_opportunities) > 0")
        add("future-meeting", 'some a in account.activities satisfies lower_case(a.type) = "meeting" and a.date > today')
        if book.hold:
            add("on-hold", self.said(book.hold, self.names))
        settles = book.settles or Text("14 days", self.name.origin)
        if cx.days(settles) is not None:
            add("recently-assigned", f"today < account.BOOK_begun + {settles}")
        for window in cx.windows:
            if window.entity == "account" and window.role == self.role:
                add(f"window-{window.name}", f'account.{window.state} in ("protected", "grace")')
        cx.unique_names([reason.name for reason in book.never], "reasons to stay")
        rules += [Rule(x.name, (when,), str(x.name)) for x in book.never if (when := cx.condition(x.when, self.names))]
        staying = len(rules)
        add("rep-left", "account.BOOK_now.active = false or account.BOOK_now.ends <= today")
        if book.given_back:
            valid = json.dumps([str(x) for x in book.given_back], ensure_ascii=False)
            since = "(account.BOOK_begun = null or h.date >= account.BOOK_begun)"
            back = f"h.rep = account.BOOK_now and {since} and h.date <= today and h.reason in {valid}"
            add("given-back", f"some h in account.handbacks satisfies {back}")
        self._completed(add)
        if book.neglected and cx.days(book.neglected) is not None:
            last = "max(append(account.activities[date <= today].date, account.BOOK_begun))"
            add("neglected", f"account.BOOK_begun != null and {last} + {book.neglected} <= today")
        step = f"{self.name}_return"
        cx.steps["account", step] = Choose("account", step, "book", "first", tuple(rules), "stays")
        return tuple(str(r.name) for r in rules[staying:])

    def _completed(self, add: Callable[[str, str], None]) -> None:
        work = self.book.work
        if work is None or not work.touches:
            return
        done = f"account.BOOK_touches >= {work.touches}"
        if work.contacts:
            done += f" and account.BOOK_contacts >= {work.contacts}"
        if work.reply:
            reply = self.said(work.reply, self.cx.names("activity", implicit=True))
            done += f" and count(account.activities[{reply} and {self.since}]) = 0"
        add("worked-to-completion", done)

    def _mix(self) -> tuple[MixShare, ...]:
        book, cx, step = self.book, self.cx, f"{self.name}_mix"
        shares, rules = [], []
        cx.unique_names([group.name for group in book.mix], "parts of a mix")
        for group in book.mix:
            when = cx.condition(group.when, self.names)
            least, most = group.least, group.most
            if least > most:
                cx.say("R304", group.key("least"), f"at least {least:g} % and at most {most:g} % contradict each other", "swap the two")
            if when:
                rules.append(Rule(group.name, (when,), str(group.name)))
                shares.append(MixShare(str(group.name), least, most))
        if sum(share.least for share in shares) > 100:
            cx.say("R304", book.key("mix"), "the minimum shares add up to more than 100 %", "lower one of them")
        cx.steps["account", step] = Choose("account", step, "book", "first", tuple(rules))
        return tuple(shares)
