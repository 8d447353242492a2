"""A witness: a smallest record that shows what rules do, by the paths of its fields."""

from __future__ import annotations

from dataclasses import field
from datetime import date, datetime

from roe.analysis.cases import OTHERS
from roe.dynamic import Json, JsonObject, Value, Values
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.node import node
from roe.policy.model import Field, Policy

TODAY = date(2026, 1, 1)  # where no rule asks for the day
Path = tuple[str, ...]  # of fields, from the record
TODAY_PATH: Path = ("today",)
Tables = dict[str, list[Values]]  # entity -> raw records


@node(frozen=False)
class Witness:
    """A record by the paths of its fields, and the day.

    `given` are computed fields that were set, since no record was found for them; `beside` says what else was in the run.
    """

    entity: str
    facts: dict[Path, Value] = field(default_factory=dict)
    today: date | None = None
    given: dict[Path, Value] = field(default_factory=dict)
    beside: str = ""

    def __str__(self) -> str:
        facts = {**self.facts, **self.given}
        texts = [f"{'.'.join(path)} = {v.literal(value)}" for path, value in facts.items() if value is not None]
        texts += [f"{'.'.join(path)} missing" for path, value in facts.items() if value is None]
        if self.today is not None:
            texts.append(f"on {self.today}")
        texts += [self.beside] if self.beside else []
        return ", ".join(texts) or f"any {self.entity}"

    @property
    def possible(self) -> bool:
        """Whether nothing is said of a record that is missing, or of a part of a plain value."""
        known = {**self.facts, **self.given}
        inside = (known[path[:i]] for path, value in known.items() if value is not None for i in range(1, len(path)) if path[:i] in known)
        return all(x is THERE or isinstance(x, dict) for x in inside)

    def as_json(self) -> Json:
        """Each field of the record by its path, `account.owner.ae`, and the day as `as_of`."""
        facts: JsonObject = {".".join(path): v.plain(x) for path, x in {**self.facts, **self.given}.items()}
        beside = {"beside": self.beside} if self.beside else {}
        return facts | ({"as_of": str(self.today)} if self.today is not None else {}) | beside

    def tables(self, policy: Policy) -> Tables:
        """The record with all that it refers to, as raw records by entity."""
        nested: Values = {}
        for path, value in sorted(self.facts.items()):
            at = nested
            for name in path[:-1]:
                at = at.setdefault(name, {})
            at.setdefault(path[-1], {} if value is THERE else value)
        tables: Tables = {}
        _record(policy, self.entity, "case", nested, tables)
        return tables


def _record(policy: Policy, entity: str, key: str, facts: Values, tables: Tables) -> None:
    """A raw record with these facts, and those that it refers to. A fact about a field that only the other policy has is left out."""
    record: Values = {"id": key}
    tables.setdefault(entity, []).append(record)
    fields = policy.model.entities[entity]
    needed = {name: _some(f) for name, f in fields.items() if f.required and name != "id" and f.default is None}
    for name, value in {**needed, **{k: x for k, x in facts.items() if x is not None and k in fields}}.items():
        known = fields[name].type
        columns = (
            {f"{name}.{role}": x for role, x in value.items()} if known.name == "owners" and isinstance(value, dict) else {name: value}
        )
        for column, x in columns.items():
            if isinstance(x, dict):
                target = "rep" if known.name == "owners" else known.entity
                record[column] = f"{key}-{column}".replace(".", "-")
                _record(policy, target, record[column], x, tables)
            elif x is not None:
                own = fields[name]
                column = own.columns[0] if own.columns and not own.standard and column == name else column
                record[column] = x if isinstance(x, (str, bool, int, float)) else v.string(x)


def _some(field: Field) -> Value:
    """Some value of a field that no record may lack."""
    if field.type.name in ("record", "owners"):
        return {}
    some: Values = {"number": 1, "boolean": True, "date": TODAY, "date and time": datetime(2026, 1, 1)}
    return some.get(field.type.name, field.type.values[0] if field.type.values else OTHERS.get(field.normalize, OTHERS[""])[0])


class _There:
    """Some record: a reference that is not null."""

    def __repr__(self) -> str:
        return "some record"


THERE: object = _There()


def path_of(node: s.Node, entity: str) -> Path | None:
    """The path of fields from the record that a subject is; None for anything else."""
    if isinstance(node, s.Name):
        return ("today",) if node.id == "today" else None
    names: list[str] = []
    while isinstance(node, s.Path):
        names.insert(0, node.field)
        node = node.base
    return tuple(names) if isinstance(node, s.Name) and node.id == entity and names else None


def paths_of(node: s.Node, entity: str) -> list[Path]:
    """The fields that a subject rests on."""
    path = path_of(node, entity)
    if path is not None:
        return [path]
    return [p for child in s.children(node) for p in paths_of(child, entity)]
