"""The page of `roe test --coverage --html`: the policy's own files, each line coloured by what the tests reach of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from roe.files import MAX_TABLE_BYTES, read_text
from roe.policy.model import Policy
from roe.testing.coverage import CoverageReport, Covered, lines
from roe.web.page import ReportPage

MOST_LINES = 5_000  # of one file that are shown
LISTS, IDLE = ("List", "Rules that decide", "Outcomes of conditions"), ("Rule", "In", "Written in", "Why it never decides")


def said(report: CoverageReport) -> str:
    return f"{report.share:.1f} % of rules and outcomes of conditions, by {len(report.results)} tests"


def by_list(report: CoverageReport) -> list[tuple[str, str, str]]:
    """What the tests reach of each list of rules, for the columns of `LISTS`."""
    return [_row(report.titles[key].replace("`", ""), rules) for key, rules in report.lists.items()]


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
    page = ReportPage(f"Coverage of {policy.name}", said(report))
    page.table(LISTS, by_list(report))
    if idle_rules := idle(report):
        page.heading("Rules that decide in no test")
        page.table(IDLE, idle_rules)
    page.say(
        "Green, one line at the left: the rule decides in a test, and the tests meet and fail each of its conditions. Yellow, dashed: one of these is missing. Red, double: the rule decides in no test.",
        "quiet",
    )
    by_file = lines(report)
    for name in policy.files:
        if name in by_file and name.endswith((".yaml", ".yml", ".csv")):
            text, _ = read_text(policy.root / name, name, MAX_TABLE_BYTES)
            page.heading(name)
            shown = [
                _line(number, line, *by_file[name].get(number, (-1, 0, 0)))
                for number, line in enumerate((text or "").rstrip("\n").split("\n")[:MOST_LINES], 1)
            ]
            page.parts.append(f'<pre class="source" tabindex="0" role="group" aria-label="{escape(name)}">{"".join(shown)}</pre>')
    return page.html()


def _row(title: str, rules: Sequence[Covered]) -> tuple[str, str, str]:
    outcomes = [c for r in rules for c in r.conditions]
    covered = f"{sum(c.covered for c in outcomes)} of {2 * len(outcomes)}" if outcomes else ""
    return title, f"{sum(r.fired > 0 for r in rules)} of {len(rules)}", covered


def _line(number: int, line: str, hits: int, met: int, of: int) -> str:
    """A line of a policy file: its rule decided `hits` times (-1: it has no rule), `met` of its outcomes of conditions, `of` all, were met."""
    kind = "" if hits < 0 else "none" if hits == 0 else "part" if met < of else "full"
    said = "" if hits < 0 else f"decides {hits} times; {met} of {of} outcomes" if of else f"decides {hits} times"
    return f'<span class="line {kind}" title="{escape(said)}"><b>{number}</b>{escape(line) or " "}</span>'
