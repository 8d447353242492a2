"""Records as they were before an entity was decided: owners that a run has given can be put aside, and shown again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from roe.dynamic import Values
from roe.evaluator.row import NOT_STORED, Known, OwnersOfRow, Row


class RecordsInTime:
    """Records that have their owners by the data, and by what was decided so far."""

    _owned: list[tuple[str, list[tuple[Row, OwnersOfRow]], Known, Known]]  # by entity what was decided so far, and what was known before

    def forget_computed(self) -> None:
        """Drop everything that was computed."""
        raise NotImplementedError

    def own(self, entity: str, owners: list[tuple[Row, OwnersOfRow]], known: list[tuple[Row, Values]]) -> None:
        """Give the records of an entity the owners that were decided for them, and those that moved what is `known` of the new ones."""
        self.forget_computed()
        before = [(row, {name: dict.get(row, name, NOT_STORED) for name in values}) for row, values in known]
        self._owned.append((entity, owners, known, before))
        self._show(owners, known)

    def _show(self, owners: Iterable[tuple[Row, OwnersOfRow | None]], known: Iterable[tuple[Row, Values]]) -> None:
        self.forget_computed()
        for row, own in owners:
            if own is None:
                dict.pop(row, "owner", None)
            else:
                row["owner"] = own
        for row, values in known:
            for name, value in values.items():
                if value is NOT_STORED:
                    dict.pop(row, name, None)
                else:
                    row[name] = value

    @contextmanager
    def as_before(self, entity: str) -> Iterator[None]:
        """The records as they were when an entity was being decided: its own owners, and later ones', are the data's."""
        since = next((i for i, (e, _, _, _) in enumerate(self._owned) if e == entity), None)
        if since is None:
            yield
            return
        later, self._owned = self._owned[since:], self._owned[:since]
        self._show([(row, None) for _, owners, _, _ in later for row, _ in owners], [x for _, _, _, before in later for x in before])
        try:
            yield
        finally:
            for decided, owners, known, _ in later:
                self.own(decided, owners, known)
