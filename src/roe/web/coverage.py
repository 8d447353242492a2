"""The page of `roe test --coverage --html`: the policy's own files, each line coloured by what the tests reach of it."""

from __future__ import annotations

from html import escape

from roe.files import MAX_TABLE_BYTES, read_text
from roe.policy.model import Policy
from roe.testing.coverage import CoverageReport, lines
from roe.web.page import Page

MOST_LINES = 5_000  # of one file that are shown
LISTS, IDLE = ("List", "Rules that decide", "Outcomes of conditions"), ("Rule", "In", "Written in", "Why it never decides")


def said(report: CoverageReport) -> str:
    return f"{report.share:.1f} % of rules and outcomes of conditions, by {len(report.results)} tests"


def by_list(report: CoverageReport) -> list[tuple[str, str, str]]:
    """What the tests reach of each list of rules, for the columns of `LISTS`."""
    rows = []
    for key, rules in report.lists.items():
        outcomes = [c for r in rules for c in r.conditions]
        met = f"{sum(c.covered for c in outcomes)} of {2 * len(outcomes)}" if outcomes else ""
        rows.append((report.titles[key].replace("`", ""), f"{sum(r.fired > 0 for r in rules)} of {len(rules)}", met))
    return rows


def idle(report: CoverageReport) -> list[tuple[str, str, str, str]]:
    """The rules that decide in no test, for the columns of `IDLE`."""
    return [
        (r.name, report.titles[key].replace("`", ""), str(r.place), r.reason)
        for key, rules in report.lists.items()
        for r in rules
        if not r.fired
    ]


def coverage_page(policy: Policy, report: CoverageReport) -> str:
    """Which rules decide, with the reason for those that do not; then the source."""
    page = Page(f"Coverage of {policy.name}", said(report))
    page.table(LISTS, by_list(report))
    if found_idle := idle(report):
        page.heading("Rules that decide in no test")
        page.table(IDLE, found_idle)
    page.say(
        "Green, one line at the left: the rule decides in a test, and the tests meet and fail each of its conditions. Yellow, dashed: one of these is missing. Red, double: the rule decides in no test.",
        "quiet",
    )
    found = lines(report)
    for name in policy.files:
        if name not in found or not name.endswith((".yaml", ".yml", ".csv")):
            continue
        text, _ = read_text(policy.root / name, name, MAX_TABLE_BYTES)
        page.heading(name)
        shown = []
        for number, line in enumerate((text or "").rstrip("\n").split("\n")[:MOST_LINES], 1):
            hits, met, of = found[name].get(number, (-1, 0, 0))
            kind = "" if hits < 0 else "none" if hits == 0 else "part" if met < of else "full"
            told = "" if hits < 0 else f"decides {hits} times; {met} of {of} outcomes" if of else f"decides {hits} times"
            shown.append(f'<span class="line {kind}" title="{escape(told)}"><b>{number}</b>{escape(line) or " "}</span>')
        page.parts.append(f'<pre class="source" tabindex="0" role="group" aria-label="{escape(name)}">{"".join(shown)}</pre>')
    return page.html()
