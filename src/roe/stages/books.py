"""`books:` dynamic books: what returns from a rep's book, what rests, and what is distributed, cycle by cycle. It lowers to a `Solve`.

A book `core` of accounts has the fields `core` (the rep), `core_since`, `core_rest`, `core_reason` and `core_runner_up`, which an
applied plan leaves in the state. The stage adds `core_now` and `core_begun` (whose book it is in, since when), `core_able`, `core_value`,
`core_touches`, `core_contacts`, `core_return` (why it stays or returns) and, with a mix, `core_mix`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.grammar.names import Names
from roe.grammar.printer import show
from roe.plan.operators import Choose, Derive, Expr, Rule, Share, Solve
from roe.policy.context import Context, written
from roe.policy.model import Field
from roe.source import Text

KEPT = (("", t.record("rep")), ("_since", t.DATE), ("_rest", t.DATE), ("_reason", t.STRING), ("_runner_up", t.record("rep")))
ADDED = (
    ("_now", t.record("rep")), ("_begun", t.DATE), ("_able", t.BOOLEAN), ("_value", t.NUMBER), ("_touches", t.NUMBER), ("_contacts", t.NUMBER),
    ("_return", t.STRING), ("_mix", t.STRING),
)  # fmt: skip


def declare(policy: dict[str, Any], cx: Context) -> None:
    fields = cx.model.entities["account"]
    for name in policy.get("books") or {}:
        taken = [n for part, _ in (*KEPT, *ADDED) if (n := f"{name}{part}") in fields or ("account", n) in cx.model.steps]
        if taken:
            cx.say("R306", name, f"the field `account.{taken[0]}` already exists", "choose another name for the book")
            continue
        for part, kind in KEPT:
            fields[f"{name}{part}"] = Field(f"{name}{part}", kind)
        for part, kind in ADDED:
            cx.model.steps["account", f"{name}{part}"] = lambda kind=kind: kind  # type: ignore[misc]


def lower(policy: dict[str, Any], cx: Context) -> dict[str, Solve]:
    found = {}
    for name, raw in (policy.get("books") or {}).items():
        role = str(raw.get("role") or cx.model.roles()[0])
        if role not in cx.model.roles():
            cx.say("R502", raw["role"], f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
        elif ("account", f"{name}_now") in cx.model.steps:
            found[str(name)] = _Book(name, raw, role, cx).lower()
    return found


class _Book:
    """One book while it is lowered. What the stage writes itself are texts, with what the policy says in parentheses."""

    def __init__(self, name: Text, raw: Any, role: str, cx: Context) -> None:
        self.name, self.raw, self.role, self.cx = name, raw, role, cx
        self.names = cx.names("account")
        self.since = f"date <= today and (account.{name}_begun = null or date >= account.{name}_begun)"

    def expr(self, text: str, place: Text | None = None) -> Expr:
        """An expression of the stage's own; BOOK stands for the book's name."""
        found = self.cx.parse(text.replace("BOOK", str(self.name)))
        assert found is not None
        return written(found.tree, place or self.name)

    def derive(self, part: str, text: str, place: Text | None = None) -> None:
        step = f"{self.name}{part}"
        self.cx.steps["account", step] = Derive("account", step, "book", self.expr(text, place))

    def said(self, of: Any, key: str, names: Names, default: str = "true") -> str:
        """A condition of the policy, as text that can stand inside of another."""
        expr = self.cx.condition(of[key], names) if of.get(key) else None
        return f"({show(expr.tree)})" if expr else default

    def lower(self) -> Solve:
        raw, cx = self.raw, self.cx
        owner = f"account.owner.{self.role}"
        self.derive("_now", f"if account.BOOK != null then account.BOOK else if account.BOOK_reason != null then null else {owner}")
        self.derive("_begun", "if account.BOOK_since != null then account.BOOK_since else account.owner_since")
        self._work()
        self.derive("_able", f"(account.BOOK_rest = null or account.BOOK_rest <= today) and {self.said(raw, 'accounts', self.names)}")
        value = cx.value(raw["value"], self.names, "number")
        text = show(value.tree) if value else "0"
        self.derive("_value", f"if ({text}) = null then 0 else ({text})", raw["value"])
        returns, mix = self._returning(), self._mix()
        about_rep, about_pair = cx.names("rep"), self.names.binding(rep=t.record("rep"))
        reps = cx.condition(raw["reps"], about_rep)
        eligible = cx.condition(raw["eligible"], about_pair) if raw.get("eligible") else None
        cx.unique_names([a["name"] for a in raw.get("affinity") or ()], "affinities")
        affinity = []
        for item in raw.get("affinity") or ():
            when = cx.condition(item["when"], about_pair)
            if when:
                affinity.append((str(item["name"]), when, item["worth"]))
        amount = raw.get("distribute")
        fixed = self._number(amount["fixed"], about_rep) if isinstance(amount, dict) else None
        none = self.expr("false")
        return Solve(
            str(self.name), self.role, reps or none, self._number(raw["capacity"], about_rep) or none, eligible, tuple(affinity), mix,
            raw.get("continuity") or 0, raw.get("fairness") or 0, fixed, cx.duration(raw.get("rest")), cx.duration(raw.get("cadence")), returns,
            cx.value(raw["worth"], about_pair, "number") if raw.get("worth") else None,
            self._number(raw["places"], about_pair) if raw.get("places") is not None else None,
            self._number(raw["total"], about_rep) if raw.get("total") is not None else None,
        )  # fmt: skip

    def _number(self, given: Any, names: Names) -> Expr | None:
        return self.cx.value(given if isinstance(given, Text) else Text(str(given), self.name.origin), names, "number")

    def _work(self) -> None:
        """How often, and with how many people, the account was worked since it came into the book."""
        work = self.raw.get("work") or {}
        within = f" and date > today - {work['within']}" if work.get("within") and self.cx.duration(work["within"]) is not None else ""
        counts = self.said(work, "counts", self.cx.names("activity", implicit=True))
        touches = f"account.activities[{counts} and {self.since}{within}]"
        self.derive("_touches", f"count({touches})")
        self.derive("_contacts", f"count(distinct_values({touches}[contact != null].contact))")

    def _returning(self) -> tuple[str, ...]:
        """The rules that say why an account stays, first, and why it returns; the names of the latter."""
        raw, cx = self.raw, self.cx
        rules: list[Rule] = []

        def add(name: str, text: str) -> None:
            rules.append(Rule(Text(name, self.name.origin), (self.expr(text),), name))

        add("in-no-book", "account.BOOK_now = null")
        add("open-opportunity", "count(account.open_opportunities) > 0")
        add("future-meeting", 'some a in account.activities satisfies lower_case(a.type) = "meeting" and a.date > today')
        if raw.get("hold"):
            add("on-hold", self.said(raw, "hold", self.names))
        settles = raw.get("settles") or Text("14 days", self.name.origin)
        if cx.duration(settles) is not None:
            add("recently-assigned", f"today < account.BOOK_begun + {settles}")
        for window in cx.windows:
            if window.entity == "account" and window.role == self.role:
                add(f"window-{window.name}", f'account.{window.state} in ("protected", "grace")')
        cx.unique_names([x["name"] for x in raw.get("never") or ()], "reasons to stay")
        for item in raw.get("never") or ():
            when = cx.condition(item["when"], self.names)
            if when:
                rules.append(Rule(item["name"], (when,), str(item["name"])))
        staying = len(rules)
        add("rep-left", "account.BOOK_now.active = false or account.BOOK_now.ends <= today")
        if raw.get("given_back"):
            valid = json.dumps([str(x) for x in raw["given_back"]], ensure_ascii=False)
            since = "(account.BOOK_begun = null or h.date >= account.BOOK_begun)"
            back = f"h.rep = account.BOOK_now and {since} and h.date <= today and h.reason in {valid}"
            add("given-back", f"some h in account.handbacks satisfies {back}")
        self._completed(add)
        if raw.get("neglected") and cx.duration(raw["neglected"]) is not None:
            last = "max(append(account.activities[date <= today].date, account.BOOK_begun))"
            add("neglected", f"account.BOOK_begun != null and {last} + {raw['neglected']} <= today")
        step = f"{self.name}_return"
        cx.steps["account", step] = Choose("account", step, "book", "first", tuple(rules), "stays")
        return tuple(str(r.name) for r in rules[staying:])

    def _completed(self, add: Callable[[str, str], None]) -> None:
        work = self.raw.get("work") or {}
        if not work.get("touches"):
            return
        done = f"account.BOOK_touches >= {int(work['touches'])}"
        if work.get("contacts"):
            done += f" and account.BOOK_contacts >= {int(work['contacts'])}"
        if work.get("reply"):
            reply = self.said(work, "reply", self.cx.names("activity", implicit=True))
            done += f" and count(account.activities[{reply} and {self.since}]) = 0"
        add("worked-to-completion", done)

    def _mix(self) -> tuple[Share, ...]:
        raw, cx, step = self.raw, self.cx, f"{self.name}_mix"
        shares, rules = [], []
        cx.unique_names([m["name"] for m in raw.get("mix") or ()], "parts of a mix")
        for item in raw.get("mix") or ():
            when = cx.condition(item["when"], self.names)
            least, most = item.get("least") or 0, 100 if item.get("most") is None else item["most"]
            if least > most:
                cx.say("R304", item.key("least"), f"at least {least:g} % and at most {most:g} % contradict each other", "swap the two")
            if when:
                rules.append(Rule(item["name"], (when,), str(item["name"])))
                shares.append(Share(str(item["name"]), least, most))
        if sum(share.least for share in shares) > 100:
            cx.say("R304", raw.key("mix"), "the minimum shares add up to more than 100 %", "lower one of them")
        cx.steps["account", step] = Choose("account", step, "book", "first", tuple(rules))
        return tuple(shares)
