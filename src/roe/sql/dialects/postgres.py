"""PostgreSQL, which orders texts by the collation of the database unless the statement says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roe.sql.dialects.dialect import Dialect

if TYPE_CHECKING:
    from sqlglot import exp


class Postgres(Dialect):
    def by_bytes(self, text: exp.Expression) -> exp.Expression:
        from sqlglot import exp

        return exp.Collate(this=text, expression=exp.to_identifier("C", quoted=True))


POSTGRES = Postgres("postgres")
