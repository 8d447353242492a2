"""Pairs of an account and a rep who may have it, where an account takes a number of places; NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roe.dynamic import Array

# by their element types
Floats = Array
Ints = Array
Bools = Array


@dataclass(slots=True)
class Pairs:
    """Allowed pairs by account: `account`, `rep`, `worth` at least 0 and `size` in places, each [n]; `capacity` by rep; `kind` by account.

    `most` and `least` are places by rep and class, [reps, classes].
    """

    accounts: int
    account: Ints
    rep: Ints
    worth: Floats
    size: Ints
    capacity: Ints
    kind: Ints
    most: Ints
    least: Ints

    @property
    def is_mixed(self) -> bool:
        return bool((self.most < self.capacity[:, None]).any() or (self.least > 0).any())

    def filled(self, plan: Bools) -> Ints:
        """The places of each rep that a plan, bool[n], takes: int[reps]."""
        return np.bincount(self.rep[plan], weights=self.size[plan], minlength=len(self.capacity)).astype(np.int64)
