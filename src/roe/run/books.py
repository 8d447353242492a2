"""A plan of books, applied: its places become entries of the ledger."""

from __future__ import annotations

from collections.abc import Collection

from roe import __version__
from roe.diagnostics import user_error
from roe.dynamic import Json, Saved
from roe.evaluator.book_plan import applied, digest
from roe.ledger.between import entries_between
from roe.ledger.entries import RunEntry
from roe.ledger.legacy import moment_of
from roe.run.inputs import run_id
from roe.run.memory import opened


def apply_plan(plan: Saved, shown: str, state: str, wait: float, held: Collection[tuple[str, str]] = (), by: str = "") -> None:
    """Append what a plan changes, without the moves of `held`, (book, account). Raises PolicyError if the books have changed since it was made.

    `by` says who applies it.
    """
    at = moment_of(plan["as_of"])
    with opened(state, at.zone, wait) as memory, memory.committing() as commit:
        before = memory.read()
        base = digest(before.get("books", {}))
        if plan["base"] != base:
            help = "plan again, from the ledger as it is now"
            raise user_error("R610", "the books have changed since this plan was made", shown, help)
        name = run_id(plan["as_of"], plan["policy"], base, str(memory.number), __version__)
        run = RunEntry(at=at, id=name, what="books", policy=plan["policy"], version=__version__, accepted=by)
        commit.append(run, {}, entries_between(before, applied(before, without(plan, before, held)), at))


def without(plan: Saved, before: Saved, held: Collection[tuple[str, str]]) -> Json:
    """A plan in which the moves of `held` are not made: those accounts stay in their books as they are in the memory."""
    books: Json = {}
    for name, book in plan["books"].items():
        accounts, given = dict(book["accounts"]), dict(book["given"])
        stays = {m["account"]: m for m in book["moves"] if (name, m["account"]) in held}
        for account, move in stays.items():
            was = before.get("books", {}).get(name, {}).get("accounts", {}).get(account)
            accounts.pop(account, None)
            if was is not None or move["from"]:
                accounts[account] = was or {"rep": move["from"], "since": None, "rest": None, "reason": None, "runner_up": None}
            if move["to"] and given.get(move["to"]):
                given[move["to"]] -= 1
        moves = [m for m in book["moves"] if m["account"] not in stays]
        books[name] = {**book, "accounts": accounts, "given": given, "moves": moves}
    return {**plan, "books": books}
