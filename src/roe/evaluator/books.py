"""A cycle of dynamic books: who stays, what returns and rests, and what is distributed, with a reason for every move.

The records say what an account is worth, to whom it may go, and what ends its time in a book (`Solve` and its steps); the
solver finds the plan. A plan is data that a person reviews; `state` is what an applied plan leaves for runs and the next cycle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from roe.crm import PROFILES
from roe.dynamic import Array, Json, Saved, State, Value
from roe.evaluator.able import reason_not_here
from roe.evaluator.engine import Bound
from roe.evaluator.questions import compare_greedy, questions
from roe.evaluator.row import Row
from roe.evaluator.solve import Problem, Solution, greedy, measure, solve
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.operators import Expr, Solve

FREE = "in-no-book"  # values of the step `_return` that give no reason to keep an account where it is
STAYS = "stays"
UNTOUCHED = "the policy keeps it where it is (`do_not_route:`)"
NO_BOOK = "rep-has-no-book"
NOT_ABLE = "no-longer-eligible"
NO_REST = ("rep-left", NO_BOOK, NOT_ABLE)  # the account is not worn out: it may be distributed at once


@dataclass(slots=True)
class Move:
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
    moves: list[Move]
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


def plan_books(bound: Bound, only: Sequence[str] = (), fast: bool = False, reviewed: bool = False) -> Json:
    """The plan of every book, or of those that are named, as JSON. `fast` is the greedy plan; if `reviewed`, with what reviewers ask."""
    applied = bound.state.get("books", {})
    planned: Json = {}
    for name, step in bound.plan.books.items():
        if only and name not in only:
            continue
        others = _Others(bound, step, {n: planned[n] if n in planned else applied.get(n, {}) for n in bound.plan.books if n != name})
        planned[name] = _Cycle(bound, step, applied.get(name, {}), fast, others, reviewed).plan().as_json()
    return {
        "roe": 1, "policy": bound.policy.name, "as_of": v.literal(bound.world.clock.now), "base": digest(applied), "books": planned,
    }  # fmt: skip


def applied(state: State, plan: Saved) -> Json:
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


class _Others:
    """What the other books hold, as this run has planned them already, or as the last cycle left them."""

    def __init__(self, bound: Bound, step: Solve, books: Mapping[str, Saved]) -> None:
        self.bound, self.step, self.books = bound, step, books
        steps = bound.plan.books
        self.of_role = [name for name in books if steps[name].role == step.role]
        self.accounts = {account for name in self.of_role for account, _ in self._held(name)}

    def places(self) -> dict[str, int]:
        """The places of each rep in the books that share a total with this one."""
        places: dict[str, int] = {}
        for name in self.books if self.step.total is not None else ():
            other = self.bound.plan.books[name]
            if other.total is None:
                continue
            for account, rep in self._held(name):
                places[rep] = places.get(rep, 0) + self._taken(other, account, rep)
        return places

    def _held(self, name: str) -> list[tuple[str, str]]:
        return [(account, x["rep"]) for account, x in self.books[name].get("accounts", {}).items() if x["rep"] is not None]

    def _taken(self, step: Solve, account: str, rep: str) -> int:
        """The places of one account with a rep; 1 if the policy does not say, or if one of them has left the data."""
        world = self.bound.world
        row, owner = world.find("account", account), world.rep(rep)
        if step.places is None or row is None or owner is None:
            return 1
        return _whole(world.compiled.code(step.places)({**world.scope(row), "rep": owner}))


class _Cycle:
    """One book of one cycle. Where other books are of its role, owners from before the first cycle are the book's only if it may have
    their accounts.
    """

    def __init__(self, bound: Bound, step: Solve, kept: Saved, fast: bool, others: _Others, reviewed: bool) -> None:
        self.bound, self.world, self.step, self.fast = bound, bound.world, step, fast
        self.others, self.reviewed = others, reviewed
        self.kept: Saved = kept.get("accounts", {})
        self.today: date = self.world.clock.today
        code = self.world.compiled.code(step.reps)
        self.reps = [r for r in self.world.all("rep") if self._works(r) and code(self.world.scope(r)) is True]
        self.place = {r["id"]: i for i, r in enumerate(self.reps)}
        self.begun, self.given = self._cycle(kept)
        self.relaxed: list[str] = []
        self.unit = "accounts" if step.places is None else "places"

    def _works(self, rep: Row) -> bool:
        return not reason_not_here(rep) and not self.world.is_stranger(rep)

    def _cycle(self, kept: Saved) -> tuple[str, dict[str, int]]:
        """When the cycle began, and how many accounts each rep was given in it."""
        last = v.parse_date(kept["cycle"]) if kept.get("cycle") else None
        ends = self.world.clock.add(last, self.step.cadence) if last is not None and self.step.cadence is not None else last
        running = last is not None and (self.today == last or (ends is not None and self.today < ends))
        return (str(last), dict(kept.get("given", {}))) if running else (str(self.today), {})

    def column(self, name: str) -> list[Value]:
        return self.world.values("account", f"{self.step.name}{name}")

    def plan(self) -> BookPlan:
        step = self.step
        ids = [str(x) for x in self.world.values("account", "id")]
        names = self.world.values("account", "name")
        able = [x is True for x in self.column("_able")]
        value = np.array([x if v.is_number(x) else 0.0 for x in self.column("_value")], float)
        before = [None if r is None else str(r["id"]) for r in self.column("_now")]
        fates = self.column("_return")
        for i, account in enumerate(ids):
            if account in self.others.accounts or (self.others.of_role and not able[i] and account not in self.kept):
                able[i], before[i], fates[i] = False, None, FREE
        now = np.array([-1 if r is None else self.place.get(r, -1) for r in before], np.int64)
        why = self._fates(fates, able, before)
        if self.world.policy.plan.untouched:
            why = [UNTOUCHED if self.world.is_untouched("account", account) else w for account, w in zip(ids, why, strict=True)]
        pinned = np.array([w not in (FREE, STAYS) and w not in step.returns and w not in NO_REST for w in why], bool)
        returns = np.array([w in step.returns or w in NO_REST for w in why], bool)
        stays = np.array([w == STAYS for w in why], bool)
        if step.fixed is not None or not step.continuity:
            pinned |= stays
        rests = returns & np.array([w not in NO_REST for w in why], bool) & (step.rest is not None)
        free = np.array(able, bool) & ~pinned & ~rests
        problem, capacity = self._problem(ids, value, now, free, pinned, stays, returns)
        solution = greedy(problem) if self.fast else solve(problem)
        after = np.where(pinned, now, solution.rep)
        self._short(after, capacity, problem.kind)
        return self._result(ids, names, why, before, now, after, value, problem, solution, returns, pinned, capacity)

    def _fates(self, given: list[Value], able: list[bool], before: list[str | None]) -> list[str]:
        """Why each account stays or returns; who has no book any more, and what no longer belongs in one, add to the rules."""
        fates = []
        for fate, good, rep in zip(given, able, before, strict=True):
            if fate == STAYS and rep not in self.place:
                fate = NO_BOOK
            elif fate == STAYS and not good:
                fate = NOT_ABLE
            fates.append(str(fate))
        return fates

    # --- the problem ------------------------------------------------------------------------------------------------

    def _problem(
        self, ids: list[str], value: Array, now: Array, free: Array, pinned: Array, stays: Array, returns: Array
    ) -> tuple[Problem, Array]:
        step = self.step
        capacity = np.array([_count(x) for x in self._of_reps(step.capacity)], np.int64)
        away = np.array([r["leave"] is not None for r in self.reps], bool)
        held = np.flatnonzero(pinned & (now >= 0))
        fixed = self._count_places(held, now[held])
        for i in np.flatnonzero(fixed > capacity).tolist():
            over = int(fixed[i] - capacity[i])
            self.relaxed.append(
                f"capacity of {self.reps[i].label}: {fixed[i]} {self.unit} cannot leave the book, {over} more than its {capacity[i]}"
            )
        room = np.maximum(self._within_total(capacity, fixed) - fixed, 0)
        if step.fixed is not None:
            amount = np.array([_count(x) for x in self._of_reps(step.fixed)], np.int64)
            given = np.array([self.given.get(str(r["id"]), 0) for r in self.reps], np.int64)
            room = np.minimum(room, np.maximum(amount - given, 0))
        kind, most, least = self._mix(capacity, now, pinned, room)
        account, rep, worth = self._pairs(np.flatnonzero(free), value)
        keep = ~(away[rep] & (now[account] != rep)) if len(rep) else np.ones(0, bool)
        keep &= ~(returns[account] & (now[account] == rep))
        account, rep, worth = account[keep], rep[keep], worth[keep]
        worth = worth + step.continuity * (stays[account] & (now[account] == rep))
        today = np.where(free & stays, now, -1)
        stuck = pinned & (now >= 0)
        base = np.bincount(now[stuck], weights=value[stuck], minlength=len(self.reps))
        return Problem(
            len(ids),
            account,
            rep,
            worth,
            room,
            kind,
            most,
            least,
            today,
            value,
            base,
            capacity,
            step.fairness,
            self._places(account, rep) if step.places is not None else None,
        ), capacity

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

    def _count_places(self, accounts: Array, reps: Array) -> Array:
        """The places that accounts take in the book of each rep, int[reps]."""
        return np.bincount(reps, weights=self._places(accounts, reps), minlength=len(self.reps)).astype(np.int64)

    def _of_reps(self, expr: Expr) -> list[Value]:
        code = self.world.compiled.code(expr)
        return [code(self.world.scope(rep)) for rep in self.reps]

    def _mix(self, capacity: Array, now: Array, pinned: Array, room: Array) -> tuple[Array, Array, Array]:
        """The class of each account, and how many of each a rep may and must still get. What cannot leave counts already."""
        shares = self.step.mix
        place = {share.name: k for k, share in enumerate(shares)}
        kind = np.array([place.get(x, -1) for x in self.column("_mix")], np.int64)
        most = (
            np.stack([np.floor(capacity * s.most / 100 + 1e-9) for s in shares], 1).astype(np.int64)
            if shares
            else np.zeros((len(capacity), 0), np.int64)
        )
        least = np.stack([np.ceil(capacity * s.least / 100 - 1e-9) for s in shares], 1).astype(np.int64) if shares else most.copy()
        for k, share in enumerate(shares):
            stuck = np.flatnonzero(pinned & (kind == k) & (now >= 0))
            have = self._count_places(stuck, now[stuck])
            for i in np.flatnonzero(have > most[:, k]).tolist():
                self.relaxed.append(
                    f"mix of {self.reps[i].label}: {have[i]} {self.unit} of `{share.name}` cannot leave the book, {have[i] - most[i, k]} more than {share.most:g} %"
                )
            most[:, k] = np.maximum(most[:, k] - have, 0)
            least[:, k] = np.maximum(least[:, k] - have, 0)
        least = np.minimum(least, most)
        return kind, np.minimum(most, np.maximum(room[:, None], 0)), np.minimum(least, np.maximum(room[:, None], 0))

    def _pairs(self, accounts: Array, value: Array) -> tuple[Array, Array, Array]:
        """(account, rep, worth) of every pair that is allowed, by account.

        An expression about a pair is asked once for what accounts and reps have in common: pairs with the same values of the parts
        that rest on the account alone, and of those that rest on the rep alone, have the same answer.
        """
        step = self.step
        eligible = np.ones((1, len(self.reps)), bool), np.zeros(len(accounts), np.int64)
        if step.eligible is not None:
            answers, groups = self._ask(step.eligible, accounts)
            eligible = answers.astype(bool), groups
        table, group = eligible
        extra = np.zeros((1, len(self.reps))), np.zeros(len(accounts), np.int64)
        more = [(step.worth, 1.0)] if step.worth is not None else []
        for expr, worth in [*((expr, worth) for _, expr, worth in step.affinity), *more]:
            held, of = self._ask(expr, accounts)
            both, inverse = np.unique(extra[1] * (of.max(initial=0) + 1) + of, return_inverse=True)
            size = int(of.max(initial=0)) + 1
            extra = extra[0][both // size] + worth * held[both % size], inverse
        counts = table.sum(1)[group]
        reps_of = [np.flatnonzero(row) for row in table]
        rep = np.concatenate([reps_of[g] for g in group.tolist()]) if len(group) else np.zeros(0, np.int64)
        at = np.repeat(np.arange(len(accounts)), counts)
        worth_of = value[accounts][at] + extra[0][extra[1][at], rep]
        return accounts[at], rep.astype(np.int64), worth_of

    def _ask(self, expr: Expr, accounts: Array) -> tuple[Array, Array]:
        """An expression about pairs: (a table of groups by reps, the group of each account). True is 1; what is no number is 0."""
        parts = list(dict.fromkeys(_parts(expr.tree)))
        codes = [self.world.compiled.code(Expr(node, expr.text)) for node in parts]
        rows = self.world.all("account")
        keys: dict[Value, int] = {}
        first: list[int] = []
        group = np.zeros(len(accounts), np.int64)
        for i, a in enumerate(accounts.tolist()):
            scope = self.world.scope(rows[a])
            key = tuple(_key(code(scope)) for code in codes)
            n = keys.setdefault(key, len(keys))
            if n == len(first):
                first.append(a)
            group[i] = n
        code = self.world.compiled.code(expr)
        table = np.zeros((max(len(first), 1), len(self.reps)))
        for g, a in enumerate(first):
            scope = self.world.scope(rows[a])
            for j, rep in enumerate(self.reps):
                scope["rep"] = rep
                answer = code(scope)
                table[g, j] = 1.0 if answer is True else float(answer) if v.is_number(answer) else 0.0
        return table, group

    def _places(self, accounts: Array, reps: Array) -> Array:
        """How many places each account takes with a rep, int[n]: whole, 0 at least, 1 if the policy does not say."""
        if self.step.places is None or not len(accounts):
            return np.ones(len(accounts), np.int64)
        table, group = self._ask(self.step.places, accounts)
        return np.maximum(np.ceil(table[group, reps] - 1e-9), 0).astype(np.int64)

    # --- the result -------------------------------------------------------------------------------------------------

    def _short(self, after: Array, capacity: Array, kind: Array) -> None:
        """Say where a mix asks for more than there was room for, or than may go there."""
        for k, share in enumerate(self.step.mix):
            given = np.flatnonzero((kind == k) & (after >= 0))
            have = self._count_places(given, after[given])
            need = np.ceil(capacity * share.least / 100 - 1e-9).astype(np.int64)
            for i in np.flatnonzero(have < need).tolist():
                said = f"{have[i]} {self.unit} of `{share.name}`, {need[i] - have[i]} fewer than {share.least:g} % of {capacity[i]}"
                self.relaxed.append(f"mix of {self.reps[i].label}: {said}")

    def _result(
        self, ids: list[str], names: list[Value], why: list[str], before: list[str | None], now: Array, after: Array, value: Array,
        problem: Problem, solution: Solution, returns: Array, pinned: Array, capacity: Array,
    ) -> BookPlan:  # fmt: skip
        step = self.step
        runner, runner_worth, own = _runners(problem, after)
        chosen = problem.rep == solution.rep[problem.account]
        full = np.bincount(problem.rep[chosen], weights=problem.taken[chosen], minlength=len(self.reps)) >= problem.capacity
        moves: list[Move] = []
        accounts: dict[str, Json] = {}
        given = dict(self.given)
        for i, account in enumerate(ids):
            rep = str(self.reps[after[i]]["id"]) if after[i] >= 0 else None
            if pinned[i]:
                rep = before[i]  # also of a rep who has no book: what may not return stays where it is
            old = self.kept.get(account)
            second = self.reps[runner[i]] if runner[i] >= 0 else None
            if rep == before[i] and rep is not None:
                accounts[account] = dict(old) if old else self._first(account, rep)
                continue
            if rep is None and before[i] is None:
                if old:  # it left a book, and is nobody's until it is distributed again
                    accounts[account] = dict(old)
                continue
            rest = self.world.clock.add(self.today, step.rest) if returns[i] and why[i] not in NO_REST and step.rest is not None else None
            fate = why[i] if returns[i] else "distributed" if before[i] is None else "moved" if rep else "displaced"
            worth = float(own[i]) if rep is not None else None
            other = float(runner_worth[i]) if second is not None else None
            is_full = bool(runner[i] >= 0 and full[runner[i]])
            reason = self._reason(fate, before[i], rep, worth, second, other, rest, is_full)
            moves.append(
                Move(
                    account,
                    str(names[i] or account),
                    before[i],
                    rep,
                    fate,
                    worth,
                    None if second is None else str(second["id"]),
                    other,
                    rest,
                    reason,
                )
            )
            accounts[account] = {
                "rep": rep, "since": str(self.today), "rest": str(rest) if rest else None, "reason": reason,
                "runner_up": None if second is None else str(second["id"]),
            }  # fmt: skip
            if rep is not None:
                given[rep] = given.get(rep, 0) + 1
        by_rep = self._by_rep(now, after, capacity, value, problem)
        objective, apart = measure(problem, np.where(pinned, -1, after))
        said = {
            "method": solution.method, "objective": round(objective, 6), "bound": round(solution.bound, 6) if np.isfinite(solution.bound) else None,
            "gap": solution.gap if np.isfinite(solution.bound) else None, "spread": round(apart, 6),
        }  # fmt: skip
        if not self.fast:
            said |= compare_greedy(problem, solution)
        if self.reviewed:
            said |= questions(problem, solution, [rep.label for rep in self.reps])
        counts: dict[str, int] = {}
        for m in moves:
            if m.before is not None:
                counts[m.why] = counts.get(m.why, 0) + 1
        moves.sort(key=lambda m: (m.after is None, m.after or "", -(m.worth or 0), m.account))
        return BookPlan(
            step.role, PROFILES[self.bound.policy.profile].objects.get("account", "account"), self.world.owner_column("account", step.role), moves, said, by_rep, self.relaxed, self._refused(), dict(sorted(accounts.items())), dict(sorted(given.items())),
            self.begun, dict(sorted(counts.items())), {r: self._label(r) for m in moves for r in (m.before, m.after) if r}, self._spelling(moves),
        )  # fmt: skip

    def _first(self, account: str, rep: str) -> Json:
        """What is kept of an account that was its rep's before there were books."""
        since = self.world.find("account", account)["owner_since"]  # type: ignore[index]
        return {"rep": rep, "since": str(since or self.today), "rest": None, "reason": "owned before the first cycle", "runner_up": None}

    def _reason(
        self,
        fate: str,
        before: str | None,
        rep: str | None,
        worth: float | None,
        second: Row | None,
        other: float | None,
        rest: date | None,
        is_full: bool,
    ) -> str:
        who = {r: self._label(r) for r in (before, rep) if r}
        parts = []
        if before is not None:
            parts.append(f"left {who[before]} on {self.today}: {fate}" + (f", rests until {rest}" if rest else ""))
        if rep is not None and worth is not None:
            parts.append(f"came to {who[rep]} on {self.today} for a worth of {v.show_number(round(worth, 2))}")
        if second is not None and other is not None:
            why_not = ", whose book is full" if is_full else ""
            parts.append(f"next would be {second.label} with {v.show_number(round(other, 2))}{why_not}")
        elif rep is not None:
            parts.append("nobody else may have it")
        return "; ".join(parts)

    def _spelling(self, moves: list[Move]) -> dict[str, str]:
        ids = {x for m in moves for x in (m.account, m.before, m.after) if x}
        return {short: long for short, long in self.world.spelling().items() if short in ids}

    def _label(self, rep: str) -> str:
        row = self.world.rep(rep)
        return row.label if row is not None else rep

    def _by_rep(self, now: Array, after: Array, capacity: Array, value: Array, problem: Problem) -> list[Json]:
        reps = []
        for j, rep in enumerate(self.reps):
            mine = after == j
            kinds = {share.name: int((problem.kind[mine] == k).sum()) for k, share in enumerate(self.step.mix)}
            reps.append({
                "rep": str(rep["id"]), "name": rep.label, "capacity": int(capacity[j]), "before": int((now == j).sum()), "after": int(mine.sum()),
                "came": int((mine & (now != j)).sum()), "value": round(float(value[mine].sum()), 6), **({"mix": kinds} if kinds else {}),
            })  # fmt: skip
        return reps

    def _refused(self) -> list[str]:
        """Accounts that reps gave back in vain: for a reason that does not count, or because something keeps them."""
        refused = []
        for back in self.world.all("handback"):
            account = back["account"]
            rep = account[f"{self.step.name}_now"] if account is not None else None
            since = account[f"{self.step.name}_begun"] if account is not None else None
            if (
                rep is not None
                and back["rep"] is rep
                and back["date"] is not None
                and back["date"] <= self.today
                and (since is None or back["date"] >= since)
            ):
                fate = account[f"{self.step.name}_return"]
                if fate != "given-back" and fate not in self.step.returns:
                    why = f"`{fate}` keeps it" if fate != STAYS else f"`{back['reason']}` is not a valid reason"
                    refused.append(f"{account.label}: {rep.label} gave it back, and {why}")
        return sorted(refused)


def _count(x: Value) -> int:
    return max(int(x + 1e-9), 0) if v.is_number(x) else 0


def _whole(places: Value) -> int:
    """How many places an answer to `places` is: a part of one is one, and what is not a number is none."""
    return max(int(np.ceil(float(places) - 1e-9)), 0) if v.is_number(places) else 0


def _key(value: Value) -> Value:
    """A value of an expression as a key: a record by itself, a list by its items."""
    if isinstance(value, Row):
        return ("row", value.entity, str(value["id"]))
    if isinstance(value, list):
        return ("list", *map(_key, value))
    return (
        ("value", type(value).__name__, str(value))
        if not isinstance(value, (int, float, str, bool, type(None)))
        else (type(value).__name__, value)
    )


def _parts(node: s.Node) -> list[s.Node]:
    """The largest parts of an expression that say something of the account and nothing of the rep."""
    names = {n.id for n in s.walk(node) if isinstance(n, s.Name)}
    if "account" not in names:
        return []
    if "rep" not in names and not isinstance(node, s.Binding):
        return [node]
    bound = {b.name for n in s.walk(node) if isinstance(n, (s.Quantified, s.For)) for b in n.bindings}
    inside = [p for child in s.children(node) for p in _parts(child)]
    loose = any(isinstance(n, (s.Filter, s.Pick)) for n in s.walk(node)) or any(
        isinstance(n, s.Name) and n.id in bound for p in inside for n in s.walk(p)
    )
    return [s.Path(s.Name("account"), "id")] if loose else inside


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
