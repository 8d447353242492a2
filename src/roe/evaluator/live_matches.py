"""The matches of a live world's steps: each step's are kept from when somebody asks for that, and follow every change of a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from roe.dynamic import Values
from roe.evaluator.followed import kept_matches
from roe.evaluator.row import Row
from roe.plan.operators import Fill, Relate

if TYPE_CHECKING:
    from roe.evaluator.kept_matches import KeptMatches
    from roe.evaluator.live_world import Change, LiveWorld


class LiveMatches:
    """The kept matches, by the name of their step."""

    def __init__(self, world: LiveWorld) -> None:
        self.world = world
        self._kept: dict[str, KeptMatches | None] = {}  # None: it rests on more than can be followed
        self._links: dict[str, list[str]] = {}  # by name of a step, the fields in which a record may have what it would find
        self._expects = False  # whether matches are asked for ahead

    def of(self, step: Relate) -> KeptMatches | None:
        """The matches of a step, kept from now on; None where it rests on more than can be followed."""
        if step.name not in self._kept:
            self._kept[step.name] = kept_matches(self.world, step)
        return self._kept[step.name]

    def if_kept(self, step: Relate) -> KeptMatches | None:
        """The matches of a step, if they are kept by now."""
        return self._kept.get(step.name)

    def _all(self) -> Iterator[KeptMatches]:
        return (matches for matches in self._kept.values() if matches is not None)

    def follow(self, change: Change) -> None:
        for matches in self._all():
            matches.follow(change)

    @property
    def is_behind(self) -> bool:
        """Whether matches can be asked for ahead."""
        return any(matches.is_behind for matches in self._all())

    def ask_ahead(self, most: int) -> None:
        """Ask for so many of each step, while nobody waits: a new account's name may take part in every lead's match by name."""
        for matches in self._all():
            if matches.is_behind:
                with self.world.as_before(matches.step.entity):
                    matches.ask_ahead(most)

    # --- what is asked for later --------------------------------------------------------------------------------------

    def expect_owned(self) -> None:
        """Those of all records that somebody has will be asked for, of the steps whose matches are kept by now."""
        self._expects = True
        for entity in {matches.step.entity for matches in self._all()}:
            self.have_read(self.world.read_rows(entity))

    def have_read(self, rows: Sequence[Row]) -> None:
        """Records are there to be matched."""
        if self._expects:
            for matches in self._all():
                step = matches.step
                matches.expect(
                    row for row in rows if row.entity == step.entity and self.world.is_owned(row) and dict.get(row, step.name) is None
                )

    def expect(self, entity: str, records: Iterable[Values]) -> None:
        """Records with these typed values are about to come: find their matches, where they are kept."""
        kept = [matches for matches in self._all() if matches.step.entity == entity]
        if kept:
            with self.world.as_before(entity):
                for row in [Row(entity, self.world, values) for values in records]:
                    for matches in kept:
                        if not self._is_said(matches.step, row):
                            matches.ask_before(row)

    def let_go(self) -> None:
        """No record that was expected is still to come."""
        for matches in self._all():
            matches.let_go()

    def _is_said(self, step: Relate, row: Row) -> bool:
        """Whether the data says itself what a step would match."""
        if step.name not in self._links:
            steps = self.world.compiled.steps.items()
            fills = [name for (of, name), x in steps if of == step.entity and isinstance(x, Fill) and x.source == step.name]
            self._links[step.name] = [step.name, *fills]
        return any(dict.get(row, name) is not None for name in self._links[step.name])
