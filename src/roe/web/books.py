"""The page of `roe books plan`: what the plan is worth, what reviewers ask, the books and the moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roe.evaluator.questions import sentences
from roe.web.page import Page

MOVES = 500  # on the page; all of them are in moves.csv


def plan_page(plan: Mapping[str, Any]) -> str:
    page = Page(f"Books of {plan['policy']}", f"as of {plan['as_of']}")
    for book, part in plan["books"].items():
        page.heading(f"{book}: the cycle of {part['cycle']}")
        page.say(proven(part["solution"]), "verdict")
        page.bullets(sentences(part["solution"]))
        for line in (*part["relaxed"], *part["refused"]):
            page.say(line, "warn")
        page.table(
            ("rep", "capacity", "before", "came", "after", "value"),
            ((r["name"], r["capacity"], r["before"], r["came"], r["after"], f"{r['value']:,.1f}") for r in part["reps"]),
        )
        names = part["names"]
        page.table(
            ("account", "from", "to", "why"),
            ((m["name"], names.get(m["from"], ""), names.get(m["to"], ""), m["reason"]) for m in part["moves"][:MOVES]),
            "text",
        )
    return page.html()


def proven(solution: Mapping[str, Any]) -> str:
    """What the plan is worth, and how far it can be from the best."""
    gap = solution["gap"]
    how = "" if gap is None else ", the proven best" if gap == 0 else f", within {100 * gap:.3f} % of the best"
    return f"The plan is worth {solution['objective']:,.1f}{how} ({solution['method']})."
