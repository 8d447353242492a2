"""The three-way comparison of data, ledger and base: each line of the design's table, and an independent model over random histories."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from roe.ledger.reconcile import Declared, Held, Kind, Shown, decided, reconcile

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def day(n: int) -> datetime:
    return DAY + timedelta(days=n)


# what the CRM last showed is `ben` on day 0; we decided `cal`, then `ann`
PENDING = Held("ann", "ben", day(0), ("cal",))
DECLARED = Declared(own=("roe",), systems={"zap": "Zapier"}, cascades=True, cascaded="mia")


@pytest.mark.parametrize(
    ("shown", "held", "kind", "holder", "base"),
    [
        (Shown("dan", day(-1)), PENDING, Kind.STALE, "ann", "ben"),
        (Shown("ann", day(-1)), PENDING, Kind.STALE, "ann", "ben"),
        (Shown("ann", day(1)), PENDING, Kind.IN_FORCE, "ann", "ann"),
        (Shown("ben", day(1)), PENDING, Kind.PENDING, "ann", "ben"),
        (Shown("ben", day(0)), PENDING, Kind.PENDING, "ann", "ben"),
        (Shown("cal", day(1)), PENDING, Kind.LATE_LOAD, "ann", "cal"),
        (Shown("dan", day(1), "roe"), PENDING, Kind.OURS, "ann", "dan"),
        (Shown("mia", day(1), "somebody"), PENDING, Kind.OURS, "ann", "mia"),
        (Shown("dan", day(1), "zap"), PENDING, Kind.BY_SYSTEM, "dan", "dan"),
        (Shown("dan", day(1), "eva"), PENDING, Kind.BY_HAND, "dan", "dan"),
        (Shown(None, day(1)), PENDING, Kind.BY_HAND, None, None),
        (Shown("queue:Triage", day(1)), PENDING, Kind.BY_HAND, "queue:Triage", "queue:Triage"),
        (Shown("queue:Other", day(1)), Held("queue:Triage", "queue:Triage", day(0)), Kind.BY_HAND, "queue:Other", "queue:Other"),
        (None, PENDING, Kind.ABSENT, "ann", "ben"),
        (None, None, Kind.ABSENT, None, None),
        (Shown("ben", day(0)), None, Kind.FIRST_SIGHT, "ben", "ben"),
        (Shown(None, day(0)), None, Kind.FIRST_SIGHT, None, None),
        (Shown("ann"), PENDING, Kind.IN_FORCE, "ann", "ann"),
        (Shown(None), Held(None, "ben"), Kind.IN_FORCE, None, None),
        (Shown("ben"), Held(None, "ben"), Kind.PENDING, None, "ben"),
    ],
)
def test_every_line_of_the_table(shown: Shown | None, held: Held | None, kind: Kind, holder: str | None, base: str | None) -> None:
    found = reconcile(shown, held, DECLARED)
    assert (found.kind, found.holder, found.base) == (kind, holder, base)
    assert found.is_changed_in_crm == (kind in (Kind.BY_HAND, Kind.BY_SYSTEM))
    assert found.by == {Kind.BY_HAND: "hand", Kind.BY_SYSTEM: "system", Kind.FIRST_SIGHT: "import"}.get(kind, "")
    assert found.system == ("Zapier" if kind is Kind.BY_SYSTEM else "")


def test_nothing_is_declared_unless_it_is() -> None:
    for writer in ("roe", "zap", "eva", ""):
        assert reconcile(Shown("mia", day(1), writer), PENDING).kind is Kind.BY_HAND


def test_a_change_ends_what_was_pending() -> None:
    found = reconcile(Shown("dan", day(1)), PENDING)
    after = Held(found.holder, found.base, found.base_at, found.decided)
    assert after == Held("dan", "dan", day(1)) and reconcile(Shown("cal", day(2)), after).kind is Kind.BY_HAND


@dataclass
class Crm:
    """One record in a CRM with a loader that can be late, and a history of everything that was ever decided or shown."""

    owner: str | None
    ours: str | None
    queue: list[str | None] = field(default_factory=list)  # decisions on their way to the CRM, oldest first
    by_hand: bool = False  # since the last reading


@pytest.mark.parametrize("seed", range(200))
def test_against_a_crm_that_is_loaded_late(seed: int) -> None:
    """The model knows who changed what: every change by hand is seen once, no load is ever taken for one, and nothing is undone."""
    rng = random.Random(seed)
    names = [f"r{i}" for i in range(40)]
    rng.shuffle(names)
    crm = Crm(owner=rng.choice([None, names.pop()]), ours=None)
    held = None
    for night in range(25):
        found = reconcile(Shown(crm.owner, day(night)), held)
        if held is None:
            assert found.kind is Kind.FIRST_SIGHT
            crm.ours = crm.owner
        elif crm.by_hand:
            assert found.is_changed_in_crm
            crm.ours, crm.queue = crm.owner, []  # what was pending is withdrawn: it will not be loaded any more
        elif crm.owner == crm.ours:
            assert found.kind is Kind.IN_FORCE
            crm.queue = []
        else:
            assert found.kind in (Kind.PENDING, Kind.LATE_LOAD)
        crm.by_hand = False
        assert found.holder == crm.ours
        held = Held(found.holder, found.base, found.base_at, found.decided)
        if rng.random() < 0.4:  # the run decides, and what it decides goes on its way
            crm.ours = names.pop()
            held = decided(held, crm.ours)
            crm.queue.append(crm.ours)
        if crm.queue and rng.random() < 0.5:  # some of what is on its way arrives, in its order
            for _ in range(rng.randint(1, len(crm.queue))):
                crm.owner = crm.queue.pop(0)
        if rng.random() < 0.15 and names:
            crm.owner, crm.by_hand = names.pop(), True
        if not names:
            break


def test_an_old_export_is_never_a_change() -> None:
    held = Held("ann", "ann", day(5))
    for owner in (None, "ben", "ann"):
        found = reconcile(Shown(owner, day(4)), held)
        assert (found.kind, found.holder, found.base_at) == (Kind.STALE, "ann", day(5))
