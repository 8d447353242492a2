"""The records that decisions look into, bound to a policy: changed one at a time, and asked as of any moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from roe.crm.ids import fold
from roe.data.coerce import coerce_table, columns_of
from roe.data.reading import Reject
from roe.evaluator.engine import Bound, Evaluator
from roe.grammar import values as v
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource
from roe.serve.problems import Refused
from roe.serve.state import State
from roe.serve.versions import Mirrored


class Records:
    """The mirror's records as a policy reads them."""

    def __init__(self, evaluator: Evaluator, state: State, records: Iterable[Mirrored] = ()) -> None:
        self.evaluator, self.policy, self.state = evaluator, evaluator.policy, state
        self._raw: dict[str, dict[str, dict[str, Any]]] = {entity: {} for entity in self.policy.model.entities}
        self._rep_names: dict[str, str] | None = None
        for record in records:
            self.learn(record)

    def typed(self, entity: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The record's fields with their types, `id` among them. Raises Refused where the policy cannot read it."""
        model = self.policy.model
        source = self.policy.data.get(entity, DataSource())
        decided = any(entity == e for e, _ in self.policy.plan.engagement)
        found = coerce_table(entity, model.entities[entity], [dict(fields)], model.roles(), zone_of(self.policy.timezone), source, decided)
        if found.rejects:
            raise rejected(found.rejects[0])
        return found.rows[0]

    def learn(self, record: Mirrored) -> None:
        """Take over a record as the mirror has it; a deleted one goes."""
        rows = self._raw.get(record.entity)
        if rows is None:
            return  # an entity that this policy does not know
        if record.entity == "rep":
            self._rep_names = None
        if record.deleted:
            rows.pop(record.id, None)
        else:
            rows[record.id] = record.fields

    def fields(self, entity: str, id: str) -> Mapping[str, Any] | None:
        return self._raw[entity].get(id)

    def ids(self, entity: str) -> list[str]:
        return list(self._raw[entity])

    def bound(self, at: datetime) -> Bound:
        """The policy over the records as of a moment, with the owners, assignments and pools of the state."""
        tables = {entity: list(rows.values()) for entity, rows in self._raw.items()}
        found = self.evaluator.bind(tables, as_of=at, state=engine_state(self.state))
        for key, owner in self.state.all("owner").items():
            entity, id, role = key.split("|", 2)
            row = found.world.find(entity, id) if entity in found.world.rows else None
            if row is not None:  # what was decided here stands, whether the CRM has it yet or not
                row[f"owner.{role}"] = owner["owner"]
                if role == self.policy.roles[0]:
                    row["owner_since"] = v.parse_date(owner["since"][:10])
                row.forget()
        return found

    def owners(self, record: Mirrored) -> dict[str, str | None]:
        """The owner that the CRM shows in each role whose column the record has: a rep's id, or None for nobody."""
        fields, roles = self.policy.model.entities[record.entity], self.policy.model.roles()
        columns = columns_of(record.entity, fields, record.fields, roles)
        shown = [role for role in roles if f"owner.{role}" in columns]
        if not shown:
            return {}
        typed = self.typed(record.entity, record.fields)
        return {role: self._rep(typed.get(f"owner.{role}")) for role in shown}

    def rep_name(self, rep: str | None) -> str:
        """A rep's name, or the id where nothing else is known."""
        known = self.fields("rep", rep) if rep else None
        return str(self.typed("rep", known)["name"]) if known else rep or "nobody"

    def known_rep(self, text: str) -> str | None:
        """The id of a rep of the mirror, by id or by name; None if there is none."""
        rep = self._rep(text)
        return rep if rep in self._raw["rep"] else None

    def _rep(self, text: Any) -> str | None:
        """The id of the rep whom a cell names by id or by name."""
        if not text:
            return None
        reps = self._raw["rep"]
        if text in reps:
            return str(text)
        if self._rep_names is None:
            self._rep_names = {str(self.typed("rep", fields)["name"]).lower(): id for id, fields in reps.items()}
        return self._rep_names.get(str(text).lower(), fold(str(text)))


def engine_state(state: State) -> dict[str, Any]:
    """What the engine remembers between decisions, from what the service knows."""
    return {"assigned": state.all("assigned"), "pools": state.all("pool"), "days": state.all("days")}


def rejected(reject: Reject) -> Refused:
    """A record that cannot be read: the field, what stands there, and why."""
    return Refused(
        422, "R602", f"the {reject.entity} cannot be read: {reject.reason}", f"correct `{reject.field}` and send it again",
        record=reject.record or None, field=reject.field, value=reject.value,
    )  # fmt: skip
