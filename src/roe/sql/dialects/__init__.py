"""The SQL dialects that `roe compile` writes, by name.

sqlglot knows how each is spelt. One that also needs another form for what roe means by an expression has a file of its own here.
"""

from __future__ import annotations

from roe.sql.dialects.dialect import Dialect
from roe.sql.dialects.postgres import POSTGRES
from roe.sql.dialects.sqlite import SQLITE

DIALECTS: dict[str, Dialect] = {
    d.name: d
    for d in (
        Dialect("duckdb"),
        Dialect("snowflake"),
        Dialect("bigquery"),
        POSTGRES,
        Dialect("spark"),
        Dialect("redshift"),
        Dialect("databricks"),
        SQLITE,
    )
}
