"""Records by what people call them: their ids, names, e-mail addresses and domains; and the reps who are named and not listed."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence
from typing import TYPE_CHECKING, cast

from roe.crm.ids import fold
from roe.data.coerce import WRITTEN
from roe.dynamic import Value
from roe.evaluator.row import UNKNOWN_REP, OwnersOfRow, Row

if TYPE_CHECKING:
    from roe.evaluator.world import World

NAMED_BY = ("name", "email", "domain")  # what people call a record by, besides its id


class RecordsByName:
    """Records that are looked up by a text."""

    rows: dict[str, MutableSequence[Row]]
    _keys: dict[str, dict[str, Row]]  # entity -> id -> record
    _names: dict[str, dict[str, list[Row]]]  # of the entities whose records have been looked for by name
    _strangers: dict[str, Row]  # reps whom the data does not list, by id

    def with_id(self, entity: str, key: str) -> Row | None:
        """A record by its id alone, in the short or the long form."""
        return self._keys[entity].get(fold(key))

    def find(self, entity: str, key: str) -> Row | None:
        """A record by id, in the short or the long form, or by a name that only it has."""
        row = self.with_id(entity, key)
        if row is None:
            named = self.named(entity).get(key.lower(), ())
            row = named[0] if len(named) == 1 else None
        return row

    def search(self, entity: str, text: str, partly: bool = False) -> list[Row]:
        """Every record that answers to a text by id, name, e-mail or domain; `partly` looks for it inside of them."""
        exact = self.find(entity, text)
        if exact is not None:
            return [exact]
        wanted = text.lower()
        if not partly:
            return list(dict.fromkeys(self.named(entity).get(wanted, ())))
        return list(dict.fromkeys(r for name, rows in self.named(entity).items() if wanted in name for r in rows))

    def named(self, entity: str) -> dict[str, list[Row]]:
        """The records of an entity by what people call them, in small letters; made when the first is looked for."""
        if entity not in self._names:
            self._names[entity] = {}
            self._name(entity, self._keys[entity].values())
        return self._names[entity]

    def _name(self, entity: str, rows: Iterable[Row]) -> None:
        names, get = self._names[entity], dict.get
        for row in rows:
            for key in NAMED_BY:
                if (called := get(row, key)) and key not in row.derived:
                    called = str(called).lower()
                    if called in names:
                        names[called].append(row)
                    else:
                        names[called] = [row]

    def rep(self, key: object) -> Row | None:
        """The rep that a text means. A rep whom the data does not list is a stranger: known by name alone, not active."""
        if key is None or key == "":
            return None
        if isinstance(key, Row):
            return key
        row = self.find("rep", str(key))
        if row is None:
            short = fold(str(key))
            row = self._strangers.get(short)
            if row is None:
                values = {"id": short, "name": str(key), "active": not self.rows["rep"], WRITTEN: str(key), **UNKNOWN_REP}
                row = self._strangers[short] = Row("rep", cast("World", self), values)
        return row

    def rep_of(self, rep: str) -> Row:
        """The rep, or stranger, with an id."""
        row = self.rep(rep)
        assert row is not None
        return row

    def assignee(self, value: Value, role: str) -> Row | None:
        """The rep whom the value of an `assign` means: of owners the one in the role, else a rep or the text of one."""
        if isinstance(value, OwnersOfRow):
            owner: Row | None = value.get(role)
            return owner
        return self.rep(value) if isinstance(value, (Row, str)) else None

    def unlisted_rep(self, key: str) -> Row | None:
        """A rep whom the data names as an owner, and the policy as a member or a holder, but whom no record of a rep lists."""
        return self._strangers.get(fold(key))

    def is_stranger(self, rep: Row) -> bool:
        return rep["id"] not in self._keys["rep"]
