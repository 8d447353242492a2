"""Where what people do on the pages goes: into the ledger, by the same acts whether a service has it or `roe ui` on a laptop.

A view checks who may act and reads the form; `Acts` appends. A form that cannot be read, or an act that the ledger does not allow, is a
`PolicyError`, whose message the page shows beside the form.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import NoReturn, Protocol

from roe.diagnostics import PolicyError, user_error
from roe.ledger.moment import At
from roe.run.acts import LONGEST, Act, perform
from roe.run.undo import Undone, undo, would_undo

PATIENCE = 10.0  # seconds for the ledger's lock
LAST = date(9000, 1, 1)  # day of a form: near the year 10,000 it could not be moved to another time zone


class Acts(Protocol):
    """The ledger that acts go to. Each raises PolicyError where it does not allow one, or where it is busy."""

    def perform(self, acts: Sequence[Act], at: At) -> int: ...
    def would_undo(self, run: str) -> Undone: ...
    def undo(self, run: str, who: str, until: date) -> Undone: ...
    def apply_plan(self, plan: Mapping[str, object], held: Collection[tuple[str, str]], by: str) -> None: ...


class LedgerActs:
    """Acts that are appended to a ledger directly. `followed` is told that there is something new in it."""

    def __init__(self, place: str, followed: Callable[[], object] = lambda: None) -> None:
        self.place, self.followed = place, followed

    def perform(self, acts: Sequence[Act], at: At) -> int:
        """The number of the last entry."""
        number = perform(self.place, acts, at, wait=PATIENCE)
        self.followed()
        return number

    def would_undo(self, run: str) -> Undone:
        return would_undo(run, self.place, PATIENCE)

    def undo(self, run: str, who: str, until: date) -> Undone:
        undone = undo(run, self.place, who, until, PATIENCE)
        self.followed()
        return undone

    def apply_plan(self, plan: Mapping[str, object], held: Collection[tuple[str, str]], by: str) -> None:
        from roe.run.books import apply_plan

        apply_plan(plan, "the plan", self.place, PATIENCE, held, by)
        self.followed()


# --- what a form says -------------------------------------------------------------------------------------------------------


def text_of(form: Mapping[str, object], name: str, needed: str = "") -> str:
    """A text, cut to a sensible length. `needed` says what to do where it is empty."""
    text = " ".join(str(form.get(name, "")).replace("\0", "").split())[:LONGEST]
    if not text and needed:
        wrong(needed)
    return text


def day_of(form: Mapping[str, object], name: str, today: date, needed: str = "") -> date | None:
    """A day as `2026-03-31`, neither before today nor after `LAST`."""
    text = str(form.get(name, "")).strip()
    if not text:
        return wrong(needed) if needed else None
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        wrong(f"`{text[:40]}` is not a day. Write it as 2026-03-31.")
    if day < today:
        wrong(f"{day} is in the past.")
    if day > LAST:
        wrong(f"{day} is too far away. Choose a day before {LAST}.")
    return day


def wrong(message: str) -> NoReturn:
    raise user_error("R903", message, "the form", "correct the form, and send it again")


def said(e: PolicyError) -> str:
    """What went wrong, for the page."""
    first = e.diagnostics[0]
    return first.message[:1].upper() + first.message[1:] + ("" if first.message.endswith((".", "!")) else ".")
