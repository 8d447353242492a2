"""What a solution means for each account: who it moves to, what rests, and why, in sentences."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from roe.crm import PROFILES
from roe.dynamic import Array, Json
from roe.evaluator.book_plan import STAYS, AccountMove, BookPlan
from roe.evaluator.questions import compare_greedy, questions
from roe.evaluator.row import Row
from roe.evaluator.solve import Problem, Solution, measure
from roe.grammar import values as v

if TYPE_CHECKING:
    from roe.evaluator.cycle import Accounts, BookCycle


class Moves:
    """The moves of one book. `after` is the place of each account's rep among the cycle's reps, -1 for nobody."""

    def __init__(self, cycle: BookCycle, accounts: Accounts, problem: Problem, solution: Solution, after: Array) -> None:
        self.cycle, self.accounts, self.problem, self.solution, self.after = cycle, accounts, problem, solution, after
        self.world, self.step, self.reps, self.today = cycle.world, cycle.step, cycle.reps, cycle.today
        self.runner, self.runner_worth, self.own_worth = _runners(problem, after)
        chosen = problem.rep == solution.rep[problem.account]
        taken = np.bincount(problem.rep[chosen], weights=problem.taken[chosen], minlength=len(self.reps))
        self.is_full = taken >= problem.capacity

    def plan(self) -> BookPlan:
        accounts, step = self.accounts, self.step
        moves: list[AccountMove] = []
        saved: dict[str, Json] = {}
        given = dict(self.cycle.given)
        for i, account in enumerate(accounts.ids):
            before, rep = accounts.before[i], self._rep_of(i)
            if rep == before:
                entry = self._where_it_was(account, rep)
                if entry is not None:
                    saved[account] = entry
                continue
            move = self._move(i, before, rep)
            moves.append(move)
            saved[account] = {
                "rep": rep, "since": str(self.today), "rest": str(move.rest) if move.rest else None, "reason": move.reason,
                "runner_up": move.runner_up,
            }  # fmt: skip
            if rep is not None:
                given[rep] = given.get(rep, 0) + 1
        returned = Counter(move.why for move in moves if move.before is not None)
        moves.sort(key=lambda m: (m.after is None, m.after or "", -(m.worth or 0), m.account))
        return BookPlan(
            role=step.role, object=PROFILES[self.cycle.bound.policy.profile].objects.get("account", "account"),
            field=self.world.owner_column("account", step.role), moves=moves, solution=self._about_solution(), reps=self._by_rep(),
            relaxed=self.cycle.relaxed, refused=self._refused(), accounts=dict(sorted(saved.items())), given=dict(sorted(given.items())),
            cycle=self.cycle.begun, returned=dict(sorted(returned.items())),
            names={rep: self._label(rep) for m in moves for rep in (m.before, m.after) if rep}, ids=self._spelling(moves),
        )  # fmt: skip

    def _rep_of(self, i: int) -> str | None:
        """Who has an account afterwards: what may not return stays where it is, also with a rep who has no book."""
        if self.accounts.pinned[i]:
            return self.accounts.before[i]
        return str(self.reps[self.after[i]]["id"]) if self.after[i] >= 0 else None

    def _where_it_was(self, account: str, rep: str | None) -> Json | None:
        """What is kept of an account that does not move. One that left a book is nobody's until it is distributed again."""
        saved = self.cycle.saved_accounts.get(account)
        if saved:
            return dict(saved)
        return None if rep is None else self._first(account, rep)

    def _move(self, i: int, before: str | None, rep: str | None) -> AccountMove:
        accounts = self.accounts
        second = self.reps[self.runner[i]] if self.runner[i] >= 0 else None
        rest: date | None = None
        if accounts.rests(i) and self.step.rest is not None:
            rest = self.world.clock.add(self.today, self.step.rest)
        fate = accounts.why[i] if accounts.returns[i] else "distributed" if before is None else "moved" if rep else "displaced"
        move = AccountMove(
            account=accounts.ids[i], name=str(accounts.names[i] or accounts.ids[i]), before=before, after=rep, why=fate,
            worth=float(self.own_worth[i]) if rep is not None else None, runner_up=None if second is None else str(second["id"]),
            runner_up_worth=float(self.runner_worth[i]) if second is not None else None, rest=rest, reason="",
        )  # fmt: skip
        move.reason = self._reason(move, second, second is not None and bool(self.is_full[self.runner[i]]))
        return move

    def _about_solution(self) -> Json:
        """How the plan was found, how good it is, and what reviewers ask where somebody reviews it."""
        problem, solution = self.problem, self.solution
        objective, apart = measure(problem, np.where(self.accounts.pinned, -1, self.after))
        is_bounded = np.isfinite(solution.bound)
        about: Json = {
            "method": solution.method, "objective": round(objective, 6), "bound": round(solution.bound, 6) if is_bounded else None,
            "gap": solution.gap if is_bounded else None, "spread": round(apart, 6),
        }  # fmt: skip
        if not self.cycle.fast:
            about |= compare_greedy(problem, solution)
        if self.cycle.reviewed:
            names = [rep.label for rep in self.reps]
            about |= questions(problem, solution, names, lambda r, places: self.cycle.with_more(problem, self.accounts, r, places))
        return about

    def _first(self, account: str, rep: str) -> Json:
        """What is kept of an account that was its rep's before there were books."""
        row = self.world.find("account", account)
        since = row["owner_since"] if row is not None else None
        return {"rep": rep, "since": str(since or self.today), "rest": None, "reason": "owned before the first cycle", "runner_up": None}

    def _reason(self, move: AccountMove, second: Row | None, is_full: bool) -> str:
        sentences = []
        if move.before is not None:
            rest = f", rests until {move.rest}" if move.rest else ""
            sentences.append(f"left {self._label(move.before)} on {self.today}: {move.why}{rest}")
        if move.after is not None and move.worth is not None:
            sentences.append(f"came to {self._label(move.after)} on {self.today} for a worth of {v.show_number(round(move.worth, 2))}")
        if second is not None and move.runner_up_worth is not None:
            why_not = ", whose book is full" if is_full else ""
            sentences.append(f"next would be {second.label} with {v.show_number(round(move.runner_up_worth, 2))}{why_not}")
        elif move.after is not None:
            sentences.append("nobody else may have it")
        return "; ".join(sentences)

    def _spelling(self, moves: list[AccountMove]) -> dict[str, str]:
        ids = {x for m in moves for x in (m.account, m.before, m.after) if x}
        return {short: long for short, long in self.world.spelling().items() if short in ids}

    def _label(self, rep: str) -> str:
        row = self.world.rep(rep)
        return row.label if row is not None else rep

    def _by_rep(self) -> list[Json]:
        """One entry for each rep: the book before and after, what came, its value, and its mix where the policy has one."""
        reps = []
        now, after, problem = self.accounts.now, self.after, self.problem
        held = np.flatnonzero(after >= 0)
        filled = None if self.step.places is None else self.cycle.pairs.count_places(held, after[held])
        for j, rep in enumerate(self.reps):
            mine = after == j
            kinds = {share.name: int((problem.kind[mine] == k).sum()) for k, share in enumerate(self.step.mix)}
            reps.append({
                "rep": str(rep["id"]), "name": rep.label, "capacity": int(self.cycle.capacity[j]), "before": int((now == j).sum()),
                "after": int(mine.sum()), "came": int((mine & (now != j)).sum()), "value": round(float(self.accounts.value[mine].sum()), 6),
                **({} if filled is None else {"filled": int(filled[j])}), **({"mix": kinds} if kinds else {}),
            })  # fmt: skip
        return reps

    def _refused(self) -> list[str]:
        """Accounts that reps gave back in vain: for a reason that does not count, or because something keeps them."""
        refused = []
        for back in self.world.all("handback"):
            account = back["account"]
            rep = account[f"{self.step.name}_now"] if account is not None else None
            if rep is None or back["rep"] is not rep or not self._is_current(back["date"], account[f"{self.step.name}_begun"]):
                continue
            fate = account[f"{self.step.name}_return"]
            if fate != "given-back" and fate not in self.step.returns:
                why = f"`{fate}` keeps it" if fate != STAYS else f"`{back['reason']}` is not a valid reason"
                refused.append(f"{account.label}: {rep.label} gave it back, and {why}")
        return sorted(refused)

    def _is_current(self, day: date | None, since: date | None) -> bool:
        """Whether something was given back by now, in the time that its rep has it."""
        return day is not None and day <= self.today and (since is None or day >= since)


def _runners(problem: Problem, after: Array) -> tuple[Array, Array, Array]:
    """Of each account: the best pair with another rep than its own, what that is worth, and what its own is."""
    n = problem.accounts
    mine = problem.rep == after[problem.account]
    own = np.zeros(n)
    own[problem.account[mine]] = problem.worth[mine]
    runner, worth = np.full(n, -1, np.int64), np.full(n, -np.inf)
    account, rep, value = problem.account[~mine], problem.rep[~mine], problem.worth[~mine]
    np.maximum.at(worth, account, value)
    best = np.flatnonzero(value == worth[account])[::-1]  # of equals the first
    runner[account[best]] = rep[best]
    return runner, worth, own
