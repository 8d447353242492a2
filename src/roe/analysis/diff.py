"""What a change of policy changes: its rules, and with data every record that changes hands, with both reasons.

Rules are compared by what they say, not by how they are laid out. The impact is what both policies decide about the same records at
the same moment with the same state; nothing is kept of either run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import NamedTuple

from roe.dynamic import Json
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Run
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.plan.operators import Action, Choose, Derive, Expr, Relate, Rule
from roe.policy.model import Policy
from roe.run.invariants import customer, live

NOBODY = "(nobody)"


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A part of a policy that was added, removed, or says something else."""

    where: str
    kind: str  # added, removed, changed, moved
    name: str
    before: str = ""
    after: str = ""

    def as_json(self) -> dict[str, str]:
        return {"where": self.where, "kind": self.kind, "name": self.name, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Moved:
    """A record that has another owner under the new policy. `customer` and `cut` (a live window was cut short) are of the old."""

    entity: str
    record: str
    name: str
    role: str
    before: str | None
    after: str | None
    rule_before: str
    rule_after: str
    reason_before: str
    reason_after: str
    customer: bool
    cut: bool

    def as_json(self) -> Json:
        return {k: getattr(self, k) for k in self.__slots__}


class Load(NamedTuple):
    """What a rep has: records before and after, and afterwards accounts in the policy's first role, which is what a capacity is about."""

    before: int
    after: int
    accounts: int
    capacity: float | None

    @property
    def is_over(self) -> bool:
        return self.capacity is not None and self.accounts > self.capacity

    @property
    def of_capacity(self) -> str:
        """The accounts beside the capacity: `107 of 60, over`."""
        return "" if self.capacity is None else f"{self.accounts:,} of {self.capacity:,g}{', over' if self.is_over else ''}"


@dataclass(slots=True)
class Impact:
    """All that moves, and what reps have before and after."""

    decisions: int
    moved: list[Moved]
    load: dict[str, Load]
    facts: dict[str, float] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # of the reps in the data

    def name(self, rep: str | None) -> str:
        """A rep by name, and by id too where two share a name."""
        return NOBODY if rep is None else self.names.get(rep, rep)

    def shifts(self) -> list[tuple[str, Load]]:
        """The reps who gain or lose, the most first."""
        changed = [(rep, load) for rep, load in self.load.items() if load.before != load.after]
        return sorted(changed, key=lambda x: -abs(x[1].after - x[1].before))

    def matrix(self) -> Counter[tuple[str, str]]:
        return Counter((m.before or NOBODY, m.after or NOBODY) for m in self.moved)


# --- what the policies say ------------------------------------------------------------------------------------------


def changes(old: Policy, new: Policy) -> list[PolicyChange]:
    """Every part that differs, in the order of the new policy; empty where both say the same."""
    changed: list[PolicyChange] = []
    for where, before, after in _parts(old, new):
        changed += _differ(where, before, after)
    return changed


def _parts(old: Policy, new: Policy) -> list[tuple[str, Mapping[str, object], Mapping[str, object]]]:
    """(a section, what is in it by name) of both policies: parts of the plan, or the text for one."""
    sections: list[tuple[str, Mapping[str, object], Mapping[str, object]]] = []
    a, b = old.plan, new.plan
    for key in dict.fromkeys([*b.engagement, *a.engagement]):
        sections.append((f"engagement of {key[0]} as {key[1]}", _rules(a.engagement.get(key)), _rules(b.engagement.get(key))))
    for key in dict.fromkeys([*b.steps, *a.steps]):
        sections.append((f"{key[0]}.{key[1]}", _step(a.steps.get(key)), _step(b.steps.get(key))))
    sections.append(("pools", a.pools, b.pools))
    lists = [
        {n: ", ".join(v.literal(str(y)) for y in x) for n, x in p.lists.items()} | {n: str(x) for n, x in p.dated_lists.items()}
        for p in (a, b)
    ]
    sections.append(("lists", lists[0], lists[1]))
    stored = [
        {f"{entity}.{name}": f for entity, known in policy.model.entities.items() for name, f in known.items()} for policy in (old, new)
    ]
    sections.append(("fields", stored[0], stored[1]))
    rest = [
        {
            **{f.name: getattr(policy, f.name) for f in fields(Policy) if f.compare and f.name not in ("root", "name", "files", "model", "plan", "hours")},
            "working hours": policy.hours, "roles": ", ".join(policy.roles), "order of roles": ", ".join(f"{e} {r}" for e, r in p.engagement),
            **p.parts,
        }
        for policy, p in ((old, a), (new, b))
    ]  # fmt: skip
    sections.append(("policy", rest[0], rest[1]))
    return sections


def _differ(where: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[PolicyChange]:
    differences = [PolicyChange(where, "removed", name, before=said(x)) for name, x in before.items() if name not in after]
    for name, x in after.items():
        if name not in before:
            differences.append(PolicyChange(where, "added", name, after=said(x)))
        elif said(before[name]) != said(x):
            differences.append(PolicyChange(where, "changed", name, *_contrasted(before[name], x)))
    common = [n for n in before if n in after], [n for n in after if n in before]
    if where.startswith("engagement") and common[0] != common[1]:
        differences.append(PolicyChange(where, "moved", "the order of the rules", " > ".join(common[0]), " > ".join(common[1])))
    return differences


def _contrasted(before: object, after: object) -> tuple[str, str]:
    """Two versions of a part as text; of one with several settings, or of several things by name, only those that differ."""
    if type(before) is type(after) and _has_settings(before):
        names = [name for name in _settings(before) if said(getattr(before, name)) != said(getattr(after, name))]
        texts = ["; ".join(f"{name.replace('_', ' ')} {said(getattr(x, name)) or 'nothing'}" for name in names) for x in (before, after)]
        return texts[0], texts[1]
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        differing = [k for k in {**before, **after} if said(before.get(k)) != said(after.get(k))]
        sides: tuple[list[str], list[str]] = ([], [])
        for k in differing:
            both = _contrasted(before[k], after[k]) if k in before and k in after else (said(before.get(k)), said(after.get(k)))
            for side, version, text in zip(sides, (before, after), both):
                side += [f"{k} = {text}"] if k in version else []
        return ", ".join(sides[0]), ", ".join(sides[1])
    return said(before), said(after)


def _has_settings(value: object) -> bool:
    return hasattr(value, "__dataclass_fields__") and not isinstance(value, (str, Expr, Action))


def _settings(value: object) -> list[str]:
    """The names of what a part of a plan holds, without the places where it stands."""
    return [name for name in value.__dataclass_fields__ if name not in ("text", "span", "declared")]  # type: ignore[attr-defined]


def _rules(step: Choose | None) -> dict[str, str]:
    return {str(rule.name): _rule(rule) for rule in step.rules} if step is not None else {}


def _rule(rule: Rule) -> str:
    when = " and ".join(show(c.tree) for c in rule.conditions) or "true"
    return f"{when} -> {effect(rule)}"


def effect(rule: Rule) -> str:
    """What a rule gives, with its reason, which reps are shown."""
    return said(rule.value) + (f" because {rule.because}" if rule.because else "")


def _step(step: object) -> dict[str, str]:
    if isinstance(step, Choose):
        named = {f"{i + 1}. {rule.name}": _rule(rule) for i, rule in enumerate(step.rules)}
        return {**named, "(hit)": step.hit, "(default)": said(step.default), "(priority)": said(step.priority)}
    if isinstance(step, Derive) and step.expr is not None and step.frozen is None and step.among is None:
        return {step.name: show(step.expr.tree)}
    if isinstance(step, (Derive, Relate)):
        return {step.name: said(step)}
    return {}


def said(value: object) -> str:
    """A part of a plan as text, without the places where it stands."""
    if isinstance(value, Expr):
        return show(value.tree)
    if isinstance(value, Action):
        shown = [
            value.kind,
            *(said(x) for x in (value.assign, value.until) if x is not None),
            value.pool,
            value.to,
            said(value.within),
        ]
        text = " ".join(x for x in shown if x)
        return f"{text}, else {said(value.otherwise)}" if value.otherwise is not None else text
    if _has_settings(value):
        return "; ".join(f"{name} {said(x)}" for name in _settings(value) if (x := getattr(value, name)) not in (None, (), {}, ""))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} = {said(x)}" for k, x in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(said, value))
    return "" if value is None else v.readable(value) if isinstance(value, timedelta | v.Months) else str(value)


# --- what they do ---------------------------------------------------------------------------------------------------


def impact(old: Run, new: Run) -> Impact:
    """What the new run decides otherwise than the old. Records that only one of them decides count as nobody's in the other."""
    before = {(d.entity, d.id, d.role): d for d in old.decisions}
    after = {(d.entity, d.id, d.role): d for d in new.decisions}
    keys = sorted({*before, *after})
    pairs = [(key, before.get(key), after.get(key)) for key in keys]
    moved = [_moved(key, a, b) for key, a, b in pairs if _owner(a) != _owner(b)]
    had, has = Counter(map(_owner, before.values())), Counter(map(_owner, after.values()))
    reps = {str(r["id"]): r for r in new.world.all("rep")}
    first = new.world.policy.roles[0]
    accounts = Counter(_owner(d) for d in after.values() if d.entity == "account" and d.role == first)
    owners = sorted(rep for rep in {*had, *has} if rep is not None)
    loads = {rep: Load(had[rep], has[rep], accounts[rep], reps[rep]["capacity"] if rep in reps else None) for rep in owners}
    facts = {
        "decided": len(keys), "moved": len(moved), "moved_share": len(moved) / max(len(keys), 1), "unowned": sum(m.after is None for m in moved),
        "customers_moved": sum(m.customer for m in moved), "windows_cut": sum(m.cut for m in moved),
        "over_capacity": sum(load.is_over for load in loads.values()),
        "most_lost": max((load.before - load.after for load in loads.values()), default=0),
        "most_gained": max((load.after - load.before for load in loads.values()), default=0),
    }  # fmt: skip
    labels = Counter(row.label for row in reps.values())
    names = {rep: row.label if labels[row.label] == 1 else f"{row.label} ({rep})" for rep, row in reps.items()}
    return Impact(len(keys), moved, loads, facts, names)


def _moved(key: tuple[str, str, str], before: Decision | None, after: Decision | None) -> Moved:
    decision = before or after
    assert decision is not None
    entity, record, role = key
    return Moved(
        entity, record, decision.name, role, _owner(before), _owner(after), before.rule if before else "", after.rule if after else "",
        before.reason if before else "not decided", after.reason if after else "not decided",
        customer(decision.row), before is not None and live(before.window),
    )  # fmt: skip


def _owner(d: Decision | None) -> str | None:
    return None if d is None else d.previous if d.action == "refer" else d.owner
