"""What was known of records' companies before a start. It stands until the record changes, or any other that the company may rest on.

A pool that keeps companies together asks for the company of every record that somebody has as soon as one comes. Each takes a match, so a start that knew none
would have the first record wait for all of them. From here they are told (`Followed.trusted`), and the matches are found while nothing waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.followed import Followed
from roe.plan.operators import Expr
from roe.plan.plan import Plan

if TYPE_CHECKING:
    from roe.evaluator.live_world import Change, LiveWorld
    from roe.evaluator.row import Row

Companies = dict[str, dict[str, dict[str, Value]]]  # by entity, by how a pool asks, and by record


def asked_companies(plan: Plan) -> list[tuple[str, Expr]]:
    """Of each entity that is decided, how pools ask for the company of its records."""
    asked = {str(pool.together.text): pool.together for pool in plan.pools.values() if pool.together is not None}
    return [(entity, company) for company in asked.values() for entity in dict.fromkeys(entity for entity, _ in plan.engagement)]


class Early:
    """The companies that one world knew before it began."""

    def __init__(self, world: LiveWorld) -> None:
        self.world = world
        self._known: dict[tuple[str, str], Followed] = {}  # by entity, and by how a pool asks

    def take(self, companies: Companies, changed: Collection[tuple[str, str]]) -> None:
        """Take over what was known before some records, by entity and id, have changed."""
        others = {entity for entity, _ in changed}
        for entity, company in asked_companies(self.world.policy.plan):
            text = str(company.text)
            values = companies.get(entity, {}).get(text, {})
            followed = self.world.follows(entity, company) if values else None
            if followed is None or any(followed.may_rest_on(of) for of in others):
                continue
            rows = ((self.world.with_id(entity, id), value) for id, value in values.items() if (entity, id) not in changed)
            followed.trust_early({row: value for row, value in rows if row is not None})
            self._known[entity, text] = followed

    def known(self) -> Companies:
        """What a world that begins with the same records can take over: of records that somebody has, as far as no match is to be found for it."""
        known: Companies = {}
        for entity, company in asked_companies(self.world.policy.plan):
            if values := self._values(entity, company):
                known.setdefault(entity, {})[str(company.text)] = values
        return known

    def _values(self, entity: str, company: Expr) -> dict[str, Value]:
        followed = self.world.follows(entity, company)
        if followed is None or not followed.trusts or not followed.matches:
            return {}
        code, values = self.world.compiled.code(company), dict[str, Value]()
        with self.world.as_before(entity):
            for row in self.world.read_rows(entity):
                if row in followed.trusted:
                    values[row["id"]] = followed.trusted[row]
                elif self.world.is_owned(row) and followed.is_known(row):
                    followed.ask(row)
                    values[row["id"]] = value if isinstance(value := code(self.world.scope(row)), (str, int, float)) else None
        return values

    def told(self, entity: str, company: Expr) -> Mapping[Row, Value]:
        """What still stands of it."""
        followed = self._known.get((entity, str(company.text)))
        return {} if followed is None else followed.trusted

    def follow(self, change: Change) -> None:
        """Some record has changed, and matches know it."""
        for followed in self._known.values():
            followed.follow(change)
            if change.row.entity == followed.entity:
                followed.forget(change.row)
            followed.stale.clear()  # nobody asks for these here

    def let_go(self) -> None:
        """All matches are known: they say more than this."""
        self._known.clear()
