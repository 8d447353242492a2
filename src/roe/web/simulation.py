"""The page of `roe books simulate`."""

from __future__ import annotations

from collections.abc import Mapping

from roe.analysis.simulate import SimulatedCycle
from roe.web.page import ReportPage, lines

CHARTS = (
    ("use", "Use of capacity", "the share of places in books that are taken", True),
    ("coverage", "Coverage", "accounts in books that were touched in the last 30 days", True),
    ("churn", "Churn", "accounts that left a book in a cycle, of those in books", True),
    ("unfair", "Unfairness", "variation of value per place between reps; 0 is even", False),
    ("reached", "Reached so far", "accounts of the market that were worked at least once", True),
    ("opportunities", "Opportunities so far", "created since the first cycle", False),
)


def simulation_page(played: Mapping[str, list[SimulatedCycle]], weeks: int, as_of: str, history: bool) -> str:
    """One chart for each measure, one line for each policy and book."""
    activity = "the activity is the data's own" if history else "the activity is generated, with the same luck under every policy"
    page = ReportPage(f"Dynamic books: {', '.join(played)}", f"{weeks} weekly cycles from {as_of}; {activity}.")
    several = len({c.book for cycles in played.values() for c in cycles}) > 1
    charts = []
    for key, title, what, percent in CHARTS:
        series = {}
        for name, cycles in played.items():
            for book in dict.fromkeys(c.book for c in cycles):
                own = [c for c in cycles if c.book == book]
                label = f"{name}: {book}" if several else name
                series[label] = ([c.week for c in own], [float(getattr(c, key)) for c in own])
        charts.append(lines(title, series, x=f"week ({what})", percent=percent))
    page.charts(charts)
    page.heading("The last cycle")
    header = ("Policy", "Book", "In books", "Use", "Coverage", "Unfairness", "Reached", "Meetings", "Opportunities")
    rows = []
    for name, cycles in played.items():
        for book in dict.fromkeys(c.book for c in cycles):
            c = [c for c in cycles if c.book == book][-1]
            shares = (f"{c.use:.0%}", f"{c.coverage:.0%}", f"{c.unfair:.2f}", f"{c.reached:.0%}")
            rows.append((name, book, c.held, *shares, c.meetings, c.opportunities))
    page.table(header, rows)
    return page.html()
