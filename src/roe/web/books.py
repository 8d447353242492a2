"""The page of `roe books plan`: what the plan is worth, what reviewers ask, the books and the moves."""

from __future__ import annotations

from roe.dynamic import Saved
from roe.evaluator.questions import sentences
from roe.grammar import values as v
from roe.web.page import ReportPage

MOVES = 500  # on the page; all of them are in moves.csv


def plan_page(plan: Saved) -> str:
    page = ReportPage(f"Books of {plan['policy']}", f"As of {day(plan['as_of'])}")
    for book, planned in plan["books"].items():
        page.heading(f"{book}: the cycle of {planned['cycle']}")
        page.say(proven(planned["solution"]), "verdict")
        page.bullets(sentences(planned["solution"]))
        for line in (*planned["relaxed"], *planned["refused"]):
            page.say(line, "warn")
        page.heading("Books", 3)
        heads, *rows = books_of_reps(planned)
        page.table((head.capitalize() for head in heads), rows)
        names = planned["names"]
        page.heading(f"{len(planned['moves']):,} moves", 3)
        if len(planned["moves"]) > MOVES:
            page.say(f"These are the first {MOVES}. `moves.csv` has all of them.", "quiet")
        page.table(
            ("Account", "From", "To", "Why"),
            ((m["name"], names.get(m["from"], "nobody"), names.get(m["to"], "nobody"), m["reason"]) for m in planned["moves"][:MOVES]),
        )
    return page.html()


def books_of_reps(planned: Saved) -> list[list[str]]:
    """The book of each rep, below its headings. A capacity counts places, so a book whose accounts take several says how many are filled."""
    filled = ["filled"] if any("filled" in r for r in planned["reps"]) else []
    keys = ["name", "capacity", *filled, "before", "came", "after"]
    return [["rep", *keys[1:], "value"], *([*(str(r[key]) for key in keys), f"{r['value']:,.1f}"] for r in planned["reps"])]


def day(text: str) -> str:
    moment = v.parse_temporal(text)
    return text if moment is None else str(v.readable(moment))


def proven(solution: Saved) -> str:
    """What the plan is worth, and how far it can be from the best."""
    gap = solution["gap"]
    how = "" if gap is None else ", the proven best" if gap == 0 else f", within {100 * gap:.3f} % of the best"
    return f"The plan is worth {solution['objective']:,.1f}{how} ({solution['method']})."
