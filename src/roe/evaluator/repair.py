"""From what each rep would take to a plan that is allowed, and from there to a better one by small moves."""

from __future__ import annotations

import time

import numpy as np

from roe.evaluator.pairs import Bools, Floats, Pairs

SWAPS = 3000  # accounts, up to which swaps of two are tried


def repaired(pairs: Pairs, worth: Floats, taken: Bools, of_place: Floats) -> Bools:
    """A plan near what the reps would take: an account of several stays where it is worth most, one of none goes where there is room."""
    net = worth - of_place[pairs.rep] * pairs.size
    holder = np.full(pairs.accounts, -1, np.int64)  # the pair of each account
    room = pairs.capacity.astype(np.int64).copy()
    rows = np.flatnonzero(taken)
    for k in rows[np.argsort(-net[rows], kind="stable")].tolist():
        a, r = int(pairs.account[k]), int(pairs.rep[k])
        if holder[a] < 0 and pairs.size[k] <= room[r]:
            holder[a], room[r] = k, room[r] - pairs.size[k]
    order = np.argsort(-net, kind="stable").tolist()
    for k in order:
        a, r = int(pairs.account[k]), int(pairs.rep[k])
        if holder[a] < 0 and pairs.size[k] <= room[r]:
            holder[a], room[r] = k, room[r] - pairs.size[k]
    plan = np.zeros(len(worth), bool)
    plan[holder[holder >= 0]] = True
    return plan


def improved(pairs: Pairs, worth: Floats, plan: Bools, until: float) -> Bools:
    """The plan after the best moves of one account and the best swaps of two, as long as there are some and there is time."""
    n, reps = pairs.accounts, len(pairs.capacity)
    if n > SWAPS:
        return plan
    value, size, row = np.full((n, reps + 1), -np.inf), np.zeros((n, reps + 1), np.int64), np.full((n, reps + 1), -1, np.int64)
    at = pairs.account, pairs.rep
    value[at], size[at], row[at] = worth, pairs.size, np.arange(len(worth))
    value[:, reps] = 0.0  # the last column: in no book
    holder = np.full(n, reps, np.int64)
    holder[pairs.account[plan]] = pairs.rep[plan]
    room = np.append(
        pairs.capacity - np.bincount(pairs.rep[plan], weights=pairs.size[plan], minlength=reps).astype(np.int64), np.iinfo(np.int32).max
    )
    every = np.arange(n)
    while time.monotonic() < until:
        own, held = value[every, holder], size[every, holder]
        move = np.where(size <= room, value - own[:, None], -np.inf)
        theirs, taken = value[:, holder], size[:, holder]  # of account j, where account k is
        gain = theirs + theirs.T - own[:, None] - own
        fits = taken - held <= room[holder]
        gain[~(fits & fits.T)] = -np.inf
        if max(move.max(initial=-np.inf), gain.max(initial=-np.inf)) <= 1e-9:
            break
        if move.max() >= gain.max():
            j, r = np.unravel_index(int(move.argmax()), move.shape)
            changes = [(int(j), int(r))]
        else:
            j, k = np.unravel_index(int(gain.argmax()), gain.shape)
            changes = [(int(j), int(holder[k])), (int(k), int(holder[j]))]
        for account, r in changes:
            room[holder[account]] += size[account, holder[account]]
            room[r] -= size[account, r]
            holder[account] = r
    better = np.zeros(len(worth), bool)
    chosen = row[every, holder]
    better[chosen[chosen >= 0]] = True
    return better
