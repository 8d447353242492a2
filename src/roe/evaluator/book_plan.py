"""The plan of a cycle as data: what a person reviews, the ledger keeps, and `roe books --apply` puts into force."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date

from roe.dynamic import Json, Saved, Value
from roe.ledger.remembered import Remembered

FREE = "in-no-book"  # values of the step `_return` that give no reason to keep an account where it is
STAYS = "stays"
UNTOUCHED = "the policy keeps it where it is (`do_not_route:`)"
NO_BOOK = "rep-has-no-book"
NOT_ABLE = "no-longer-eligible"
NO_REST = ("rep-left", NO_BOOK, NOT_ABLE)  # the account is not worn out: it may be distributed at once


@dataclass(slots=True)
class AccountMove:
    """An account that changes hands: `worth` with its new rep, and the best of the others who may have it."""

    account: str
    name: str
    before: str | None
    after: str | None
    why: str
    worth: float | None
    runner_up: str | None
    runner_up_worth: float | None
    rest: date | None
    reason: str

    def as_json(self) -> Json:
        return {
            "account": self.account, "name": self.name, "from": self.before, "to": self.after, "why": self.why, "worth": self.worth,
            "runner_up": self.runner_up, "runner_up_worth": self.runner_up_worth, "rest": str(self.rest) if self.rest else None,
            "reason": self.reason,
        }  # fmt: skip


@dataclass(slots=True)
class BookPlan:
    """The plan of one book. `accounts` is what the state is to keep of each account that is in the book, rests, or left it."""

    role: str
    object: str
    field: str
    moves: list[AccountMove]
    solution: Json
    reps: list[Json]
    relaxed: list[str]
    refused: list[str]
    accounts: dict[str, Json]
    given: dict[str, int]
    cycle: str
    returned: dict[str, int]
    names: dict[str, str]  # of every rep in a move
    ids: dict[str, str]  # of accounts and reps that the data writes in another form, that form

    def as_json(self) -> Json:
        return {
            "role": self.role, "object": self.object, "field": self.field, "cycle": self.cycle, "solution": self.solution, "returned": self.returned, "relaxed": self.relaxed,
            "refused": self.refused, "reps": self.reps, "moves": [m.as_json() for m in self.moves], "given": self.given,
            "accounts": self.accounts, "names": self.names, "ids": self.ids,
        }  # fmt: skip


def digest(books: Saved) -> str:
    """What tells one state of the books from another."""
    return hashlib.sha256(json.dumps(books, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def applied(state: Remembered, plan: Saved) -> Remembered:
    """The state with a plan's books in it."""
    books = dict(state.get("books", {}))
    for name, book in plan["books"].items():
        books[name] = {"cycle": book["cycle"], "given": book["given"], "accounts": book["accounts"]}
    return {**state, "books": dict(sorted(books.items()))}


def check_plan(plan: Value) -> Json:
    """A plan as `plan_books` makes it; ValueError for one that nobody made."""

    def need(good: bool) -> None:
        if not good:
            raise ValueError("it is not a plan from this version")

    def texts(x: Value, *keys: str) -> bool:
        return isinstance(x, dict) and all(k in x and (x[k] is None or isinstance(x[k], str)) for k in keys)

    need(isinstance(plan, dict) and plan.get("roe") == 1 and isinstance(plan.get("books"), dict) and texts(plan, "base", "as_of"))
    for book in plan["books"].values():
        need(texts(book, "cycle", "role", "object", "field") and all(isinstance(book.get(k), dict) for k in ("given", "accounts")))
        need(
            isinstance(book.get("moves"), list) and all(texts(m, "account", "name", "from", "to", "rest", "reason") for m in book["moves"])
        )
        need(all(texts(x, "rep", "since", "rest", "reason", "runner_up") for x in book["accounts"].values()))
        need(all(type(n) is int and n >= 0 for n in book["given"].values()))
    result: Json = plan
    return result
