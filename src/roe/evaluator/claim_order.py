"""Who asked first: claims in the order of their time stamps and, at one moment, of their ids. What came before decides what a claim finds.

All that a claim says by itself is known beforehand (`Claim`), so that this takes no records, and the claims of many tasks can be decided in one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


class Claim(Protocol):
    """A claim, and what it says whatever becomes of the others. Moments are microseconds, so that they can be compared and sent; each that
    somebody is told has its text. `unfit` and `returned` are reasons to refuse it, and so is `blocked`; empty where there is none.
    """

    @property
    def id(self) -> str: ...
    @property
    def at(self) -> int: ...
    @property
    def day(self) -> int: ...
    @property
    def since(self) -> str: ...
    @property
    def record(self) -> str | None: ...
    @property
    def rep(self) -> str | None: ...
    @property
    def who(self) -> str: ...
    @property
    def unfit(self) -> str: ...
    @property
    def returned(self) -> str: ...
    @property
    def blocked(self) -> str: ...
    @property
    def limits(self) -> Mapping[str, tuple[int, str]]:
        """By cap how many claims are too many, and the cap as text."""

    @property
    def ends(self) -> When:
        """When it ends, if it is granted; None where nothing ends it."""

    @property
    def again(self) -> When:
        """From when on the same rep may claim the record again."""

    @property
    def rested(self) -> When:
        """From when on anybody may."""


When = tuple[int, str] | None
NEVER = "further notice"


@dataclass(slots=True)
class ToldClaim:
    """A claim as a task tells it to others."""

    id: str
    at: int
    day: int
    since: str
    record: str | None
    rep: str | None
    who: str
    unfit: str
    returned: str
    blocked: str
    limits: Mapping[str, tuple[int, str]]
    ends: When
    again: When
    rested: When


class ClaimOrder:
    """Claims on records of an entity, which come one after the other."""

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self._on: dict[str, list[Claim]] = {}  # those that were granted, by record
        self._by: dict[str, list[Claim]] = {}  # and by rep

    def reasons(self, claims: Iterable[Claim], before: Mapping[str, str]) -> Iterable[tuple[Claim, str]]:
        """Every claim with the reason why it is refused; empty if it is granted. One that an earlier run decided stays as it was."""
        for claim in sorted(claims, key=lambda claim: (claim.at, claim.id)):
            known = before.get(claim.id)
            reason = self._refusal(claim) if known is None else str(known)
            if claim.record is None or claim.rep is None:
                reason = reason or f"its {self.entity} or rep is not in the data"
            elif not reason:
                self._on.setdefault(claim.record, []).append(claim)
                self._by.setdefault(claim.rep, []).append(claim)
            yield claim, reason

    def _refusal(self, claim: Claim) -> str:
        """Why a claim cannot be granted, in the order in which it is asked; empty if it can."""
        return (
            claim.unfit or self._held_by_another(claim) or self._held_before(claim) or claim.returned or self._full(claim) or claim.blocked
        )

    def _held_by_another(self, claim: Claim) -> str:
        for other in self._on.get(str(claim.record), ()):
            if other.ends is None or claim.at < other.ends[0]:
                return f"{other.who} holds it since {other.since}, until {NEVER if other.ends is None else other.ends[1]}"
        return ""

    def _held_before(self, claim: Claim) -> str:
        """Why a record must wait after a claim that has ended: for the same rep, or for everybody."""
        for other in self._on.get(str(claim.record), ()):
            assert other.ends is not None  # else it is held
            if other.rep == claim.rep and other.again is not None and claim.at < other.again[0]:
                return f"{claim.who} held it until {other.ends[1]} and may claim it again from {other.again[1]}"
            if other.rested is not None and claim.at < other.rested[0]:
                return f"it rests until {other.rested[1]}"
        return ""

    def _full(self, claim: Claim) -> str:
        mine = self._by.get(str(claim.rep), ())
        used = {
            "open": sum(other.ends is None or claim.at < other.ends[0] for other in mine),
            "per_day": sum(other.day == claim.day for other in mine),
        }
        for cap, (limit, text) in claim.limits.items():
            if used[cap] >= limit:
                what = "open claims" if cap == "open" else "claims that day"
                return f"{claim.who} has {used[cap]} {what}, and the cap is {text}"
        return ""
