"""What an export has, held against what a policy reads: fields that rules need and nobody fills, values that no rule knows, how fresh it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from roe.data.report import Report, broken, changes
from roe.dynamic import Json
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.policy.model import Policy
from roe.policy.reads import expressions, reads


@dataclass(slots=True)
class Overview:
    """`report` is the reading report; `newest` the latest date of a field by entity and field; `empty` the fields that rules read and the
    data leaves empty, by entity; `strange` the values that no rule names, of fields whose values rules name; `broken` what the policy
    expects and does not find.
    """

    report: Report
    newest: dict[tuple[str, str], str] = field(default_factory=dict)
    empty: dict[str, list[str]] = field(default_factory=dict)
    strange: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def as_json(self) -> Json:
        return {
            "entities": self.report,
            "newest": [{"entity": e, "field": f, "date": day} for (e, f), day in self.newest.items()],
            "needed_and_empty": self.empty,
            "values_no_rule_names": [{"entity": e, "field": f, "values": v} for (e, f), v in self.strange.items()],
            "changes": self.changes,
            "broken": self.broken,
        }


def overview(policy: Policy, world: World, report: Report, last: Report) -> Overview:
    """Everything that can be said of an export. `world` holds its records."""
    summary = Overview(report, changes=changes(report, last), broken=[d.message for d in broken(policy, report, last)])
    named = constants(policy)
    for entity, read in report.items():
        fields = policy.model.entities[entity]
        for name, seen in read["fields"].items():
            f = fields[name.partition(".")[0]]
            if f.type.name in ("date", "date and time") and seen["filled"]:
                days = [d for d in world.values(entity, name) if isinstance(d, date)]
                if days:
                    summary.newest[entity, name] = str(max(days))[:10]
            known = named.get((entity, name), set()) | set(f.type.values)
            strange = [x for x in seen["values"] if x not in known]
            if (entity, name) in named and strange:
                summary.strange[entity, name] = strange
    for entity, name in sorted(reads(policy)):
        stored = policy.model.entities.get(entity, {}).get(name)
        if stored is None or stored.via or entity not in report or name in ("id", "name"):
            continue
        seen = [x for key, x in report[entity]["fields"].items() if key.partition(".")[0] == name]
        if not any(x["filled"] for x in seen) and stored.default is None:
            summary.empty.setdefault(entity, []).append(name)
    return summary


def constants(policy: Policy) -> Mapping[tuple[str, str], set[str]]:
    """(entity, field) -> the texts that rules compare it with."""
    texts_by_field: dict[tuple[str, str], set[str]] = {}
    for entity, tree in expressions(policy):
        for node in s.walk(tree):
            if isinstance(node, s.Compare) and node.op in ("=", "!="):
                for subject, other in ((node.left, node.right), (node.right, node.left)):
                    _note(texts_by_field, entity, subject, (other,), policy)
            elif isinstance(node, s.In):
                _note(texts_by_field, entity, node.value, node.tests, policy)
    return texts_by_field


def _note(named: dict[tuple[str, str], set[str]], entity: str, subject: s.Node, tests: Iterable[s.Node], policy: Policy) -> None:
    if isinstance(subject, s.Path) and isinstance(subject.base, s.Name):
        where, name = subject.base.id, subject.field
    elif isinstance(subject, s.Name):
        where, name = entity, subject.id
    else:
        return
    if where in policy.model.entities and name in policy.model.entities[where]:
        texts = {n.value for t in tests for n in s.walk(t) if isinstance(n, s.Literal) and isinstance(n.value, str)}
        texts |= {x for t in tests for n in s.walk(t) if isinstance(n, s.Name) for x in map(str, policy.plan.lists.get(n.id, ()))}
        if texts:
            named.setdefault((where, name), set()).update(texts)
