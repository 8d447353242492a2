"""The page of `roe diff --page`: the verdict, the cases that are decided differently, and every record that changes hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roe.analysis.compared import said, sections, sides
from roe.web.page import ReportPage
from roe.words import counted, verb

if TYPE_CHECKING:
    from roe.analysis.diff import Impact, PolicyChange
    from roe.analysis.equivalence import Comparison


def diff_page(changes: list[PolicyChange], compared: Comparison, made: Impact | None, old: str, new: str) -> str:
    page = ReportPage("Policy change", f"{old} → {new}")
    verdict = said(compared, changes)
    page.say(verdict[:1].upper() + verdict[1:], "verdict")
    if made is not None:
        _impact(page, made)
    for heading, cases in sections(compared):
        page.heading(heading)
        header = ("Where", "For example", "Rule before", "Gives before", "Rule after", "Gives after")
        page.table(header, ((d.where, d.witness, *sides(d)[0], *sides(d)[1]) for d in cases))
    if changes:
        page.heading("What the policies say")
        page.table(("Change", "Where", "Rule", "Before", "After"), ((c.kind, c.where, c.name, c.before, c.after) for c in changes))
    return page.html()


def _impact(page: ReportPage, made: Impact) -> None:
    """Who gains and loses, the reps by name; customers and records whose live window is cut short first."""
    f = made.facts
    page.heading("Who gains and loses what")
    page.say(
        f"{f['moved']:,} of {counted(f['decided'], 'allocation')} {verb(f['moved'], 'changes', 'change')} hands ({f['moved_share']:.1%})."
    )
    customers, cut, unowned = f["customers_moved"], f["windows_cut"], f["unowned"]
    notable = (
        (customers, counted(customers, "customer")),
        (cut, f"{counted(cut, 'live window')} {verb(cut, 'is', 'are')} cut short"),
        (unowned, f"{counted(unowned, 'record')} {verb(unowned, 'is', 'are')} left without an owner"),
    )
    if any(n for n, _ in notable):
        page.bullets(text for n, text in notable if n)
    if not made.moved:
        return
    page.table(("From", "To", "Records"), ((made.name(a), made.name(b), n) for (a, b), n in made.matrix().most_common()))
    page.table(
        ("Rep", "Before", "After", "Change", "Accounts of capacity"),
        ((made.name(rep), load.before, load.after, f"{load.after - load.before:+d}", load.of_capacity) for rep, load in made.shifts()),
    )
    page.heading("Every record that moves", 3)
    page.table(
        ("Record", "Role", "From", "To", "Reason before", "Reason after", "Note"),
        (
            (m.name, m.role, made.name(m.before), made.name(m.after), _why(m.rule_before, m.reason_before), _why(m.rule_after, m.reason_after),
             ", ".join(mark for mark, holds in (("customer", m.customer), ("window cut short", m.cut)) if holds))
            for m in sorted(made.moved, key=lambda m: (not m.customer, not m.cut))
        ),
    )  # fmt: skip


def _why(rule: str, reason: str) -> str:
    return f"{rule}: {reason}" if rule else reason
