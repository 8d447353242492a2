"""A plan of books: each rep before and after, and every move with its reason, its worth and who would have been next."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping

from starlette.responses import Response

from roe.data.files import csv_text
from roe.dynamic import Json, Saved
from roe.ledger.people import Weighed
from roe.run.acts import Weigh
from roe.web.app.acting import text_of, wrong
from roe.web.app.pages.acts import acting, acts_of, form_of, perform
from roe.web.app.pages.changes import download
from roe.web.app.site import Ask

SIZE = 50
KEPT = 30 * 86_400.0  # seconds that a plan is kept
COLUMNS = ("book", "account", "name", "from", "to", "why", "worth", "runner_up", "runner_up_worth", "rest", "reason")


def show(ask: Ask, said: str = "") -> Response:
    plan, problem = plan_of(ask)
    if plan is None:
        return ask.render("books_none.html", has_books=bool(ask.snapshot.plan.books), said=said or problem)
    names = list(plan["books"])
    book = ask.text("book") if ask.text("book") in names else names[0]
    moves_of_book, key = plan["books"][book], key_of(plan)
    choices = choices_of(ask, key)
    held = held_in(choices, book)
    moves = filtered(ask, moves_of_book, held)
    return ask.render(
        "books.html", plan=plan, plan_key=key, books=names, book=book, part=moves_of_book, **ask.paged(moves, SIZE), every=len(moves_of_book["moves"]),
        asked={**ask.asked("rep", "why", "q", "choice"), "book": book}, reps=moves_of_book["reps"], whys=sorted({m["why"] for m in moves_of_book["moves"] if m["why"]}), who=lambda rep: moves_of_book["names"].get(rep) or ask.snapshot.rep_name(rep),
        most=max((max(r["capacity"], r["before"], r["after"]) for r in moves_of_book["reps"]), default=1) or 1, held=held, shift=shift_of(moves_of_book, held),
        choices=choices, everything=sum(len(p["moves"]) for p in plan["books"].values()),
        held_of_all=sum(not e.accepted for e in choices.values()), applied=ask.site.kept.get("applied", key) is not None,
        may=ask.options.acts is not None and ask.viewer.may("books"),
    )  # fmt: skip


def plan_of(ask: Ask) -> tuple[Json | None, str]:
    """The plan that was named or made here, or why there is none."""
    from roe.evaluator.book_plan import check_plan

    made: Json | None = ask.site.kept.get("plan", "current")
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

    ask.site.kept.put("plan", "current", plan_books(ask.snapshot.bound), KEPT)
    return ask.go("/books")


def key_of(plan: Mapping[str, object]) -> str:
    """What tells a plan from another: what was said of its moves is said of this one alone."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]


def choices_of(ask: Ask, key: str) -> dict[tuple[str, str], Weighed]:
    """(book, account) -> what somebody has last said of the move; nothing of most, which are accepted."""
    if ask.options.history is None:
        return {}
    choices: dict[tuple[str, str], Weighed] = ask.options.history.weighed(key)
    return choices


def held_in(choices: Mapping[tuple[str, str], Weighed], book: str) -> set[str]:
    """The accounts whose moves in a book are held back."""
    return {account for (name, account), e in choices.items() if name == book and not e.accepted}


def shift_of(book: Saved, held: set[str]) -> Counter[str]:
    """rep -> by how many accounts the book is other than planned, since moves are held back."""
    shifts: Counter[str] = Counter()
    for m in book["moves"]:
        if m["account"] in held:
            shifts[m["from"] or ""] += 1
            shifts[m["to"] or ""] -= 1
    return shifts


@acting("books")
def weigh(ask: Ask) -> Response:
    """Accept moves or hold them back: those that are ticked, or all that answer to the filters."""
    plan, problem = plan_of(ask)
    if plan is None:
        return ask.missing(problem or "There is no plan of books.")
    form = form_of(ask)
    accepted, book = text_of(form, "accepted") == "yes", text_of(form, "book")
    part, key = plan["books"].get(book) or wrong("The plan has no such book."), key_of(plan)
    held = held_in(choices_of(ask, key), book)
    ticked = {str(x) for x in form.getlist("account")}
    of_all = text_of(form, "which") == "all"
    moves = [(book, m["account"]) for m in filtered(ask, part, held, form) if of_all or m["account"] in ticked]
    if not moves:
        wrong("Tick the moves first, or take all that are shown by the filters.")
    perform(ask, Weigh(by=ask.viewer.name, plan=key, moves=moves, accepted=accepted, reason=text_of(form, "reason")))
    asked = {name: x for name in ("rep", "why", "q", "choice") if (x := text_of(form, name))}
    return ask.go("/books", book=book, done="weighed", **asked)


@acting("books")
def apply(ask: Ask) -> Response:
    """Apply the plan without the moves that are held back."""
    plan, problem = plan_of(ask)
    if plan is None:
        return ask.missing(problem or "There is no plan of books.")
    key = key_of(plan)
    if text_of(form_of(ask), "plan") != key:
        wrong("Somebody has made another plan since. Look at that one first.")
    held = {place for place, e in choices_of(ask, key).items() if not e.accepted}
    acts_of(ask).apply_plan(plan, held, ask.viewer.name)
    ask.site.kept.put("applied", key, {"by": ask.viewer.name}, KEPT)
    return ask.go("/books", done="applied")


def filtered(ask: Ask, book: Saved, held: set[str], form: Mapping[str, object] | None = None) -> list[Json]:
    """The moves of a book that answer to the filters of the address, or of a form; `held` are the accounts that are held back."""
    rep, why, text, choice = (ask.text(x) if form is None else text_of(form, x) for x in ("rep", "why", "q", "choice"))
    text = text.lower()
    own = ask.viewer.team(ask.snapshot)
    return [
        m
        for m in book["moves"]
        if (not rep or rep in (m["from"], m["to"]))
        and (not why or why == m["why"])
        and (not text or text in m["name"].lower() or text == m["account"].lower())
        and (choice != "held" or m["account"] in held)
        and (choice != "accepted" or m["account"] not in held)
        and (ask.viewer.sees_all or m["from"] in own or m["to"] in own)
    ]


def as_csv(ask: Ask) -> Response:
    plan, _ = plan_of(ask)
    if plan is None:
        return ask.missing("There is no plan of books.")
    choices = choices_of(ask, key_of(plan))
    rows = (
        [book, *(m[column] for column in COLUMNS[1:])]
        for book, part in plan["books"].items()
        for m in filtered(ask, part, held_in(choices, book))
    )
    return download(csv_text(COLUMNS, rows), "moves.csv")
