"""Every page: its address, its view, and the name by which `access.PAGES` says who may open it."""

from __future__ import annotations

from dataclasses import dataclass

from roe.web.app.pages import acts, audit, books, changes, exceptions, find, health, moves, people, policy, record, review, runs, what_if
from roe.web.app.site import View


@dataclass(frozen=True, slots=True)
class Page:
    path: str
    view: View
    page: str = ""
    posts: bool = False
    acts: bool = False  # it writes into the ledger, and holds no lock of the snapshot while it waits


PAGES: tuple[Page, ...] = (
    Page("/", find.home),
    Page("/record/{entity}/{id:path}", record.show),
    Page("/why-not/{entity}/{id:path}", record.why_not_part),
    Page("/next/{entity}/{id:path}", record.next_part),
    Page("/timeline/{entity}/{id:path}", record.timeline_part),
    Page("/history/{entity}/{id:path}", audit.of_record),
    Page("/entry/{number}", audit.entry),
    Page("/what-if", what_if.form),
    Page("/what-if/answer", what_if.answered, posts=True),
    Page("/rep/{id:path}", people.day),
    Page("/teams", people.teams, "team"),
    Page("/team/{name:path}", people.team, "team"),
    Page("/pool/{name:path}", people.pool),
    Page("/territory/{name:path}", people.territory),
    Page("/changes", changes.show, "changes"),
    Page("/moves", moves.show, "changes"),
    Page("/moves.csv", moves.as_csv, "changes"),
    Page("/changes.csv", changes.as_csv, "changes"),
    Page("/policy", policy.show, "policy"),
    Page("/policy/findings", policy.findings, "policy"),
    Page("/policy/tests", policy.tests, "policy"),
    Page("/policy/coverage", policy.coverage, "policy"),
    Page("/review", review.form, "review"),
    Page("/review/start", review.start, "review", posts=True),
    Page("/review/{key}", review.show, "review"),
    Page("/review/{key}/verdict", review.verdict, "review", posts=True, acts=True),
    Page("/review/{key}/moves.csv", review.as_csv, "review"),
    Page("/books", books.show, "books"),
    Page("/books/plan", books.make, "books", posts=True),
    Page("/books/weigh", books.weigh, "books", posts=True, acts=True),
    Page("/books/apply", books.apply, "books", posts=True, acts=True),
    Page("/books/moves.csv", books.as_csv, "books"),
    Page("/data", health.show, "data"),
    Page("/data/rejects", health.rejects, "data"),
    Page("/audit", audit.show, "audit"),
    Page("/audit.csv", audit.as_csv, "audit"),
    Page("/audit/chain", audit.chain, "audit"),
    Page("/exceptions", exceptions.show, "exceptions"),
    Page("/runs/{run}/undo", runs.undo_form, "changes"),
    Page("/runs/{run}/undo", runs.undo, "changes", posts=True, acts=True),
    Page("/act/answer/{entity}/{id:path}", acts.answer, posts=True, acts=True),
    Page("/act/ask/{entity}/{id:path}", acts.request, posts=True, acts=True),
    Page("/act/grant/{entity}/{id:path}", acts.grant, posts=True, acts=True),
    Page("/act/decline/{entity}/{id:path}", acts.decline, posts=True, acts=True),
    Page("/act/end/{entity}/{id:path}", acts.end, posts=True, acts=True),
    Page("/act/keep/{entity}/{id:path}", acts.keep, posts=True, acts=True),
    Page("/act/leave/{id:path}", acts.leave, posts=True, acts=True),
    Page("/act/back/{id:path}", acts.back, posts=True, acts=True),
    Page("/sign-out", lambda ask: ask.site.leave(ask), posts=True),
)
