"""One book in one cycle: who stays and who returns, what the solver may decide, and what is left undone where a policy asks too much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from roe.dynamic import Array, Saved, Value
from roe.evaluator.able import reason_not_here
from roe.evaluator.book_plan import FREE, NO_BOOK, NO_REST, NOT_ABLE, STAYS, UNTOUCHED, BookPlan
from roe.evaluator.bound import Bound
from roe.evaluator.moves import Moves
from roe.evaluator.others import Others
from roe.evaluator.pair_answers import PairAnswers
from roe.evaluator.row import Row
from roe.evaluator.solve import Problem, greedy, solve
from roe.grammar import values as v
from roe.plan.operators import Expr, Solve


@dataclass(slots=True)
class Accounts:
    """The accounts of a world as arrays, in the order of their ids: where each is and what may become of it."""

    ids: list[str]
    names: list[Value]
    why: list[str]  # it stays, returns or is in no book
    before: list[str | None]  # the rep who has it
    now: Array  # the same as a place among the cycle's reps; -1 for nobody, or a rep without a book
    value: Array
    free: Array  # the solver may give it to somebody
    pinned: Array  # it cannot leave its book
    stays: Array
    returns: Array

    def rests(self, i: int) -> bool:
        """Whether an account that returns is worn out, and rests where the policy says how long."""
        return bool(self.returns[i]) and self.why[i] not in NO_REST


class BookCycle:
    """One book of one cycle. Where other books are of its role, owners from before the first cycle are the book's only if it may have
    their accounts.
    """

    def __init__(self, bound: Bound, step: Solve, saved: Saved, fast: bool, others: Others, reviewed: bool) -> None:
        self.bound, self.world, self.step, self.fast = bound, bound.world, step, fast
        self.others, self.reviewed = others, reviewed
        self.saved_accounts: Saved = saved.get("accounts", {})
        self.today: date = self.world.clock.today
        code = self.world.compiled.code(step.reps)
        self.reps = [r for r in self.world.all("rep") if self._works(r) and code(self.world.scope(r)) is True]
        self.place = {r["id"]: i for i, r in enumerate(self.reps)}
        self.begun, self.given = self._cycle(saved)
        self.pairs = PairAnswers(self.world, step, self.reps)
        self.capacity = np.array([_count(x) for x in self._of_reps(step.capacity)], np.int64)  # of each rep
        self.spare = self.capacity  # less what cannot leave the book and what other books take; below zero where that is too much
        self.relaxed: list[str] = []
        self.unit = "accounts" if step.places is None else "places"

    def _works(self, rep: Row) -> bool:
        return not reason_not_here(rep) and not self.world.is_stranger(rep)

    def _cycle(self, saved: Saved) -> tuple[str, dict[str, int]]:
        """When the cycle began, and how many accounts each rep was given in it."""
        last = v.parse_date(saved["cycle"]) if saved.get("cycle") else None
        ends = self.world.clock.add(last, self.step.cadence) if last is not None and self.step.cadence is not None else last
        running = last is not None and (self.today == last or (ends is not None and self.today < ends))
        return (str(last), dict(saved.get("given", {}))) if running else (str(self.today), {})

    def column(self, name: str) -> list[Value]:
        return self.world.values("account", f"{self.step.name}{name}")

    def plan(self) -> BookPlan:
        """The plan of the book: the solver's, with what cannot move where it is."""
        accounts = self._accounts()
        problem = self._problem(accounts)
        solution = greedy(problem) if self.fast else solve(problem)
        after = np.where(accounts.pinned, accounts.now, solution.rep)
        self._short(after, problem.kind)
        return Moves(self, accounts, problem, solution, after).plan()

    def _accounts(self) -> Accounts:
        step = self.step
        ids = [str(x) for x in self.world.values("account", "id")]
        able = [x is True for x in self.column("_able")]
        value = np.array([x if v.is_number(x) else 0.0 for x in self.column("_value")], float)
        before = [None if r is None else str(r["id"]) for r in self.column("_now")]
        fates = self.column("_return")
        self._leave_to_others(ids, able, before, fates)
        why = self._fates(ids, fates, able, before)
        stays = np.array([w == STAYS for w in why], bool)
        returns = np.array([w in step.returns or w in NO_REST for w in why], bool)
        pinned = np.array([w not in (FREE, STAYS) for w in why], bool) & ~returns
        if step.fixed is not None or not step.continuity:
            pinned |= stays
        rests = returns & np.array([w not in NO_REST for w in why], bool) & (step.rest is not None)
        now = np.array([-1 if r is None else self.place.get(r, -1) for r in before], np.int64)
        free = np.array(able, bool) & ~pinned & ~rests
        return Accounts(ids, self.world.values("account", "name"), why, before, now, value, free, pinned, stays, returns)

    def _leave_to_others(self, ids: list[str], able: list[bool], before: list[str | None], fates: list[Value]) -> None:
        """For this book, accounts that are in others are in none."""
        for i, account in enumerate(ids):
            if account in self.others.accounts or (self.others.of_role and not able[i] and account not in self.saved_accounts):
                able[i], before[i], fates[i] = False, None, FREE

    def _fates(self, ids: list[str], given: list[Value], able: list[bool], before: list[str | None]) -> list[str]:
        """Why each account stays or returns; who has no book any more, what no longer belongs in one, and what the policy keeps where it is
        add to the rules.
        """
        fates = []
        for account, fate, good, rep in zip(ids, given, able, before, strict=True):
            if self.world.is_untouched("account", account):
                fate = UNTOUCHED
            elif fate == STAYS and rep not in self.place:
                fate = NO_BOOK
            elif fate == STAYS and not good:
                fate = NOT_ABLE
            fates.append(str(fate))
        return fates

    # --- the problem ------------------------------------------------------------------------------------------------

    def _problem(self, accounts: Accounts) -> Problem:
        step, now = self.step, accounts.now
        capacity = self.capacity
        held = np.flatnonzero(accounts.pinned & (now >= 0))
        fixed = self.pairs.count_places(held, now[held])
        for i in np.flatnonzero(fixed > capacity).tolist():
            over = int(fixed[i] - capacity[i])
            self.relaxed.append(
                f"capacity of {self.reps[i].label}: {fixed[i]} {self.unit} cannot leave the book, {over} more than its {capacity[i]}"
            )
        self.spare = self._within_total(capacity, fixed) - fixed
        room = self._room(self.spare)
        kind = self._kinds()
        stuck = self._stuck(accounts, kind)
        self._too_much(stuck)
        most, least = self._mix(capacity, room, stuck)
        account, rep, worth = self._candidates(accounts)
        base = np.bincount(now[held], weights=accounts.value[held], minlength=len(self.reps))
        places = self.pairs.places(account, rep) if step.places is not None else None
        today = np.where(accounts.free & accounts.stays, now, -1)
        return Problem(
            len(accounts.ids), account, rep, worth, room, kind, most, least, today, accounts.value, base, capacity, step.fairness, places
        )

    def _room(self, spare: Array) -> Array:
        """How many places the solver may fill in each book: the spare ones, and no more than a cycle may bring."""
        room = np.maximum(spare, 0)
        if self.step.fixed is None:
            return room
        amount = np.array([_count(x) for x in self._of_reps(self.step.fixed)], np.int64)
        given = np.array([self.given.get(str(r["id"]), 0) for r in self.reps], np.int64)
        return np.minimum(room, np.maximum(amount - given, 0))

    def _candidates(self, accounts: Accounts) -> tuple[Array, Array, Array]:
        """(account, rep, worth) of every pair that may come about: no rep on leave receives one, and what returns goes to another."""
        account, rep, worth = self.pairs.allowed(np.flatnonzero(accounts.free), accounts.value)
        away = np.array([r["leave"] is not None for r in self.reps], bool)
        is_own = accounts.now[account] == rep
        keep = ~(away[rep] & ~is_own) if len(rep) else np.ones(0, bool)
        keep &= ~(accounts.returns[account] & is_own)
        account, rep, worth, is_own = account[keep], rep[keep], worth[keep], is_own[keep]
        return account, rep, worth + self.step.continuity * (accounts.stays[account] & is_own)

    def _within_total(self, capacity: Array, fixed: Array) -> Array:
        """The capacity of each rep, int[reps], less where the total leaves less; what cannot leave a book stays in it."""
        if self.step.total is None:
            return capacity
        elsewhere = self.others.places()
        total = np.array([_count(x) for x in self._of_reps(self.step.total)], np.int64)
        left = total - np.array([elsewhere.get(str(rep["id"]), 0) for rep in self.reps], np.int64)
        for i in np.flatnonzero((fixed > left) & (fixed > 0)).tolist():
            over = int(fixed[i] - left[i])
            self.relaxed.append(
                f"total of {self.reps[i].label}: {fixed[i]} {self.unit} cannot leave the book, {over} more than the other books leave of the total of {total[i]}"
            )
        return np.minimum(capacity, left)

    def _of_reps(self, expr: Expr) -> list[Value]:
        code = self.world.compiled.code(expr)
        return [code(self.world.scope(rep)) for rep in self.reps]

    def with_more(self, problem: Problem, accounts: Accounts, r: int, places: int) -> Problem:
        """The problem if one rep had so many more places, in this book and in all. A mix is a share of the capacity, so it grows with it."""
        capacity, spare = self.capacity.copy(), self.spare.copy()
        capacity[r] += places
        spare[r] += places
        room = self._room(spare)
        most, least = self._mix(capacity, room, self._stuck(accounts, problem.kind))
        return replace(problem, capacity=room, most=most, least=least, size=capacity)

    def _kinds(self) -> Array:
        """The class of each account that the mix is about, or -1."""
        place = {share.name: k for k, share in enumerate(self.step.mix)}
        return np.array([place.get(x, -1) for x in self.column("_mix")], np.int64)

    def _stuck(self, accounts: Accounts, kind: Array) -> Array:
        """How many places of each class cannot leave each rep's book, int[reps, classes]."""
        stuck = np.zeros((len(self.reps), len(self.step.mix)), np.int64)
        for k in range(stuck.shape[1]):
            held = np.flatnonzero(accounts.pinned & (kind == k) & (accounts.now >= 0))
            stuck[:, k] = self.pairs.count_places(held, accounts.now[held])
        return stuck

    def _mix(self, capacity: Array, room: Array, stuck: Array) -> tuple[Array, Array]:
        """How many places of each class a rep may and must still get. What cannot leave counts already."""
        most, least = (np.clip(bound - stuck, 0, room[:, None]) for bound in self._bounds(capacity))
        return most, np.minimum(least, most)

    def _bounds(self, capacity: Array) -> tuple[Array, Array]:
        """The most and the least places of each class, int[reps, classes]: whole places within the shares of the capacity."""
        most, least = (np.array([getattr(s, end) for s in self.step.mix], float) / 100 for end in ("most", "least"))
        return (
            np.floor(capacity[:, None] * most + 1e-9).astype(np.int64),
            np.ceil(capacity[:, None] * least - 1e-9).astype(np.int64),
        )

    # --- what there was no room for ----------------------------------------------------------------------------------

    def _too_much(self, stuck: Array) -> None:
        """Say where more of a class cannot leave a book than its mix has room for."""
        most = self._bounds(self.capacity)[0]
        for k, share in enumerate(self.step.mix):
            for i in np.flatnonzero(stuck[:, k] > most[:, k]).tolist():
                self.relaxed.append(
                    f"mix of {self.reps[i].label}: {stuck[i, k]} {self.unit} of `{share.name}` cannot leave the book, "
                    f"{stuck[i, k] - most[i, k]} more than {share.most:g} %"
                )

    def _short(self, after: Array, kind: Array) -> None:
        """Say where a mix asks for more than there was room for, or than may go there."""
        least = self._bounds(self.capacity)[1]
        for k, share in enumerate(self.step.mix):
            given = np.flatnonzero((kind == k) & (after >= 0))
            have = self.pairs.count_places(given, after[given])
            for i in np.flatnonzero(have < least[:, k]).tolist():
                said = (
                    f"{have[i]} {self.unit} of `{share.name}`, {least[i, k] - have[i]} fewer than {share.least:g} % of {self.capacity[i]}"
                )
                self.relaxed.append(f"mix of {self.reps[i].label}: {said}")


def _count(x: Value) -> int:
    return max(int(x + 1e-9), 0) if v.is_number(x) else 0
