"""What a SQL dialect does in a way of its own. sqlglot is imported where it is used: the names of all dialects are known without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

MONTHS, TIMES = "months", "times"  # what a dialect may lack: adding months to a date, and times with a zone


class Dialect:
    """A dialect that has what most have. `name` is sqlglot's name for it; `lacks` gives the reason for each thing that it cannot do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lacks: dict[str, str] = {}

    def moved(self, day: exp.Expression, amount: int, unit: str) -> exp.Expression:
        """A date so many of a unit (`DAY` or `MONTH`) later."""
        from sqlglot import exp

        return (exp.DateAdd if amount >= 0 else exp.DateSub)(this=day, expression=exp.Literal.number(abs(amount)), unit=exp.var(unit))

    def calendar_part(self, day: exp.Expression, name: str) -> exp.Expression:
        """A date's `year`, `month` or `day` as a number."""
        from sqlglot import exp

        return exp.Extract(this=exp.var(name.upper()), expression=day)

    def by_bytes(self, text: exp.Expression) -> exp.Expression:
        """A text to order by, in the order of its bytes."""
        return text

    def ready(self, query: exp.Expression) -> exp.Expression:
        """A query as it is to be printed."""
        return query
