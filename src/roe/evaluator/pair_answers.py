"""Expressions about an account and a rep, asked once for what accounts have in common."""

from __future__ import annotations

import numpy as np

from roe.dynamic import Array, Value
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.operators import Expr, Solve


class PairAnswers:
    """What a book's expressions say of every account with each of some reps."""

    def __init__(self, world: World, step: Solve, reps: list[Row]) -> None:
        self.world, self.step, self.reps = world, step, reps

    def allowed(self, accounts: Array, value: Array) -> tuple[Array, Array, Array]:
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
        keys: dict[object, int] = {}
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

    def places(self, accounts: Array, reps: Array) -> Array:
        """How many places each account takes with a rep, int[n]: whole, 0 at least, 1 if the policy does not say."""
        if self.step.places is None or not len(accounts):
            return np.ones(len(accounts), np.int64)
        table, group = self._ask(self.step.places, accounts)
        return np.maximum(np.ceil(table[group, reps] - 1e-9), 0).astype(np.int64)

    def count_places(self, accounts: Array, reps: Array) -> Array:
        """The places that accounts take in the book of each rep, int[reps]."""
        return np.bincount(reps, weights=self.places(accounts, reps), minlength=len(self.reps)).astype(np.int64)


def _key(value: object) -> Value:
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
    names = s.names(node)
    if "account" not in names:
        return []
    if "rep" not in names and not isinstance(node, s.Binding):
        return [node]
    bound = s.bound_names(node)
    inside = [p for child in s.children(node) for p in _parts(child)]
    loose = any(isinstance(n, (s.Filter, s.Pick)) for n in s.walk(node)) or any(
        isinstance(n, s.Name) and n.id in bound for p in inside for n in s.walk(p)
    )
    return [s.Path(s.Name("account"), "id")] if loose else inside
