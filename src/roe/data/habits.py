"""What a whole column says about the texts in it that could be read in two ways: its decimal sign, its order of day and month, its currency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from roe.data.bands import figures
from roe.data.dates import order_of
from roe.data.numbers import amount, currencies
from roe.node import node
from roe.policy.model import NUMBERS, DataSource, Field

NUMERIC = {"number": "number", "range": "band"}
DATED = ("date", "date and time")


@node(frozen=False)
class Habits:
    """The votes of a column's texts; each is settled where all votes agree. Portions of a column add theirs up."""

    signs: set[str] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    money: set[str] = field(default_factory=set)

    def add(self, f: Field, texts: Iterable[object]) -> None:
        """Count the votes of some texts."""
        if f.type.name in DATED:
            self.orders.update(order_of(text.strip()) for text in texts if isinstance(text, str))
            return
        kind = f.reads or NUMERIC.get(f.type.name, "")
        if not kind:
            return
        for text in texts:
            if isinstance(text, str):
                for piece in figures(text.strip(), kind):
                    number = amount(piece)
                    if number is not None:
                        self.signs.add(number.sign)
                        if number.money:
                            self.money.add(number.money)

    def merge(self, other: Habits) -> None:
        self.signs |= other.signs
        self.orders |= other.orders
        self.money |= other.money

    @property
    def sign(self) -> str:
        """The decimal sign, or nothing where the column leaves it open."""
        votes = self.signs - {"", "?"}
        return next(iter(votes)) if len(votes) == 1 else ""

    @property
    def order(self) -> str:
        votes = self.orders - {"", "?"}
        return next(iter(votes)) if len(votes) == 1 else ""

    @property
    def has_several_currencies(self) -> bool:
        """Whether no one currency is meant by all signs and codes in the column; `$` and `CAD` are one."""
        return len(self.money) > 1 and not frozenset.intersection(*map(currencies, self.money))

    def note(self) -> str:
        """What the column settled for texts that needed it, or that it is at odds with itself."""
        votes, orders = self.signs - {"", "?"}, self.orders - {"", "?"}
        said = []
        if len(votes) > 1:
            said.append("both `.` and `,` are decimal signs in it")
        elif votes == {","} or (votes and "?" in self.signs):
            said.append(f"its decimal sign is `{self.sign}`")
        if len(orders) > 1:
            said.append("some of its dates have the day first, and some the month")
        elif orders:
            said.append(f"its dates are {self.order}")
        return "; ".join(said)


def is_open(f: Field) -> bool:
    """Whether texts of the field are read by what their column says."""
    return f.type.name in DATED or f.type.name in NUMERIC


def declared(f: Field, source: DataSource) -> tuple[str, str]:
    """(the decimal sign, the order of day and month) that the policy declares for a field; empty where it leaves them to the data."""
    numbers = f.format if f.type.name in NUMERIC and f.format else source.numbers
    dates = f.format if f.format in ("day-first", "month-first") else source.dates
    return (numbers[-2] if numbers in NUMBERS else ""), dates
