"""A plan of books: each rep before and after, and every move with its reason, its worth and who would have been next."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from roe.data.files import csv_text
from roe.web.app.outcomes import page_of
from roe.web.app.pages.changes import download
from roe.web.app.site import Ask

SIZE = 50
COLUMNS = ("book", "account", "name", "from", "to", "why", "worth", "runner_up", "runner_up_worth", "rest", "reason")


def show(ask: Ask, said: str = "") -> Response:
    plan, problem = plan_of(ask)
    if plan is None:
        return ask.render("books_none.html", has_books=bool(ask.snapshot.plan.books), said=said or problem)
    names = list(plan["books"])
    book = ask.text("book") if ask.text("book") in names else names[0]
    part = plan["books"][book]
    moves = filtered(ask, part)
    rows, page, pages = page_of(moves, ask.number("page"), SIZE)
    asked = {name: x for name in ("rep", "why", "q") if (x := ask.text(name))}
    return ask.render(
        "books.html", plan=plan, books=names, book=book, part=part, rows=rows, page=page, pages=pages, total=len(moves), every=len(part["moves"]),
        asked={**asked, "book": book}, reps=part["reps"], whys=sorted({m["why"] for m in part["moves"] if m["why"]}), who=ask.snapshot.rep_name,
        most=max((max(r["capacity"], r["before"], r["after"]) for r in part["reps"]), default=1) or 1,
    )  # fmt: skip


def plan_of(ask: Ask) -> tuple[dict[str, Any] | None, str]:
    """The plan that was named or made here, or why there is none."""
    from roe.evaluator.books import check_plan

    made: dict[str, Any] | None = ask.site.__dict__.get("plan")
    if made is not None:
        return made, ""
    if ask.options.plan is None:
        return None, ""
    path = ask.options.plan / "plan.json" if ask.options.plan.is_dir() else ask.options.plan
    try:
        return check_plan(json.loads(path.read_text("utf-8"))), ""
    except (OSError, ValueError, RecursionError) as e:
        return None, f"The plan cannot be read: {e}"


def make(ask: Ask) -> Response:
    """Plan a cycle with the records that are loaded. Nothing changes until `roe books apply`."""
    from importlib.util import find_spec

    if not ask.snapshot.plan.books:
        return show(ask)
    if find_spec("numpy") is None:
        return show(ask, "Plans need a package: pip install 'roe-policy[books]'")
    from roe.evaluator.books import plan_books

    ask.site.__dict__["plan"] = plan_books(ask.snapshot.bound)
    return ask.go("/books")


def filtered(ask: Ask, part: dict[str, Any]) -> list[dict[str, Any]]:
    rep, why, text = ask.text("rep"), ask.text("why"), ask.text("q").lower()
    own = ask.viewer.team(ask.snapshot)
    return [
        m
        for m in part["moves"]
        if (not rep or rep in (m["from"], m["to"]))
        and (not why or why == m["why"])
        and (not text or text in m["name"].lower() or text == m["account"].lower())
        and (ask.viewer.sees_all or m["from"] in own or m["to"] in own)
    ]


def as_csv(ask: Ask) -> Response:
    plan, _ = plan_of(ask)
    if plan is None:
        return ask.missing("There is no plan of books.")
    rows = ([book, *(m[key] for key in COLUMNS[1:])] for book, part in plan["books"].items() for m in filtered(ask, part))
    return download(csv_text(COLUMNS, rows), "moves.csv")
