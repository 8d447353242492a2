"""SQLite, which has no dates: it keeps them as texts `2026-02-01`, which are in the order of the days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roe.sql.dialects.dialect import MONTHS, TIMES, Dialect

if TYPE_CHECKING:
    from sqlglot import exp

FORMATS = {"year": "%Y", "month": "%m", "day": "%d"}


class Sqlite(Dialect):
    def __init__(self) -> None:
        super().__init__("sqlite")
        self.lacks = {MONTHS: "in SQLite a month later may be in the month after that", TIMES: "SQLite has no times with a zone"}

    def moved(self, day: exp.Expression, amount: int, unit: str) -> exp.Expression:
        from sqlglot import exp

        return exp.Anonymous(this="DATE", expressions=[day, exp.Literal.string(f"{amount:+d} {unit.lower()}s")])

    def calendar_part(self, day: exp.Expression, name: str) -> exp.Expression:
        from sqlglot import exp

        return exp.cast(exp.Anonymous(this="STRFTIME", expressions=[exp.Literal.string(FORMATS[name]), day]), "BIGINT")

    def ready(self, query: exp.Expression) -> exp.Expression:
        from sqlglot import exp

        return query.transform(lambda node: node.this if isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.DATE else node)


SQLITE = Sqlite()
