"""A SELECT that is being put together, and what an expression can be in it: a scalar, a record, related records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from roe.grammar import values as v
from roe.sql.forms import Sql, column

if TYPE_CHECKING:
    from roe.sql.statement import Statement


@dataclass
class SqlScalar:
    """A scalar, and its kind as FEEL names it. Of a number: how large it can be at most, and whether SQL has it as a 64-bit float."""

    sql: Sql
    kind: str
    most: float = float(v.LARGEST)
    is_double: bool = False


@dataclass
class RecordRow:
    """One record of a table that the query reads: `alias.column`."""

    entity: str
    alias: str
    key: Sql  # its id


@dataclass
class Ref:
    """A reference to a record, by id; joined when one of its fields is read."""

    entity: str
    key: Sql


@dataclass
class RecordOwners:
    row: RecordRow


@dataclass
class RowOutputs:
    """What a table row gives, a column for each output behind a common name."""

    row: RecordRow
    prefix: str


@dataclass
class OwnersByRole:
    """A step that reads others by role."""

    row: RecordRow
    steps: dict[str, str]


@dataclass
class Many:
    """Related records: the rows of `table` whose `via` is the owner's id, or its `key`; `of` a field of them, if one was asked for."""

    owner: RecordRow
    entity: str
    table: str
    via: str
    of: tuple[str, ...] = ()
    key: str = ""

    @property
    def owner_key(self) -> Sql:
        return column(self.key, self.owner.alias) if self.key else self.owner.key.copy()


Translated = SqlScalar | RecordRow | Ref | RecordOwners | RowOutputs | OwnersByRole | Many


@dataclass
class Query:
    """A SELECT that is being put together."""

    statement: Statement
    table: str
    alias: str
    joins: dict[str, tuple[str, Sql]] = field(default_factory=dict)  # alias -> (table, on)

    def join(self, table: str, on: Callable[[str], Sql]) -> str:
        """The alias of a left join, made once for one table and condition."""
        probe = on(_ANY).sql()
        for alias, (known, condition) in self.joins.items():
            if known == table and condition.sql().replace(f"{alias}.", f"{_ANY}.") == probe:
                return alias
        alias = f"j{len(self.joins) + 1}"
        self.joins[alias] = (table, on(alias))
        return alias

    def select(self, *columns: Sql | str) -> exp.Select:
        made = exp.select(*columns).from_(exp.to_table(self.table).as_(self.alias))
        for alias, (table, on) in self.joins.items():
            made = made.join(exp.to_table(table).as_(alias), on=on, join_type="left")
        return made


_ANY = "any_alias"  # in place of a join's alias, to see whether two joins are one
