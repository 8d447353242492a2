"""The page of `roe books plan`: what the plan is worth, what reviewers ask, the books and the moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roe.evaluator.questions import sentences
from roe.grammar import values as v
from roe.web.page import ReportPage

MOVES = 500  # on the page; all of them are in moves.csv


def plan_page(plan: Mapping[str, Any]) -> str:
    page = ReportPage(f"Books of {plan['policy']}", f"As of {day(plan['as_of'])}")
    for book, part in plan["books"].items():
        page.heading(f"{book}: the cycle of {part['cycle']}")
        page.say(proven(part["solution"]), "verdict")
        page.bullets(sentences(part["solution"]))
        for line in (*part["relaxed"], *part["refused"]):
            page.say(line, "warn")
        page.heading("Books", 3)
        page.table(
            ("Rep", "Capacity", "Before", "Came", "After", "Worth"),
            ((r["name"], r["capacity"], r["before"], r["came"], r["after"], f"{r['value']:,.1f}") for r in part["reps"]),
        )
        names = part["names"]
        page.heading(f"{len(part['moves']):,} moves", 3)
        if len(part["moves"]) > MOVES:
            page.say(f"These are the first {MOVES}. `moves.csv` has all of them.", "quiet")
        page.table(
            ("Account", "From", "To", "Why"),
            ((m["name"], names.get(m["from"], "nobody"), names.get(m["to"], "nobody"), m["reason"]) for m in part["moves"][:MOVES]),
        )
    return page.html()


def day(text: str) -> str:
    found = v.parse_temporal(text)
    return text if found is None else str(v.readable(found))


def proven(solution: Mapping[str, Any]) -> str:
    """What the plan is worth, and how far it can be from the best."""
    gap = solution["gap"]
    how = "" if gap is None else ", the proven best" if gap == 0 else f", within {100 * gap:.3f} % of the best"
    return f"The plan is worth {solution['objective']:,.1f}{how} ({solution['method']})."
