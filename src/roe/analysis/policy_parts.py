"""What a policy consists of besides its lists of rules, and what a rule of each kind of list gives, to be compared with another policy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace

from roe.analysis.lists import Given
from roe.dynamic import Value
from roe.evaluator.choose import Chooser
from roe.plan.operators import Action, Choose, Rule
from roe.plan.parts import Credit, Invariant
from roe.plan.plan import Plan
from roe.policy.model import Policy

WHEREABOUTS = ("root", "name", "files")  # of a policy, which decide nothing
ONE = {
    "pools": "pool",
    "windows": "window",
    "reports": "report",
    "holdovers": "holdover",
    "levels": "territory levels of",
    "credits": "credit",
    "books": "book",
    "events": "event",
    "invariants": "invariant",
    "hours": "working hours",
}  # what one part of a field of the plan is called
BESIDE = ("invariants", "reports", "kpis")  # parts that watch what is decided, and decide nothing
Gives = Callable[[Rule, Callable[[Value], str], Callable[[str], str]], Given]  # a rule, and how values and sentences are spelt


def parts(policy: Policy) -> Iterator[tuple[str, object]]:
    """Everything of a policy but computed fields, rules and lists, by its title: every field of it that nobody has excepted."""
    yield "roles", [policy.roles[0], *sorted(policy.roles[1:])]  # the first is meant where none is named
    yield from orders(policy)
    for entity, known in policy.model.entities.items():
        yield from ((f"{entity}.{name}", field) for name, field in known.items())
    for f in fields(Policy):
        if f.name not in (*WHEREABOUTS, "model", "plan"):
            yield from _items(f.name, getattr(policy, f.name))
    for title, section in (("pools", policy.plan.pools), *policy.plan.parts.items()):
        if title not in BESIDE:
            yield from _items(title, section)


def beside(policy: Policy) -> Iterator[tuple[str, object]]:
    """Everything of a policy that decides nothing, by its title. In which order it stands changes nothing either."""
    for title in BESIDE:
        section = policy.plan.parts.get(title, ())
        for name, x in _items(title, section):
            if not name.startswith("order of "):
                yield name, replace(x, step="") if isinstance(x, Invariant) else x


def orders(policy: Policy) -> Iterator[tuple[str, object]]:
    """What depends on the order of roles, by entity: the role that is meant where none is named, and who takes turns before whom.

    Roles are decided record by record, one after the other. All of them see the owners before the run, so only pools, whose turns and
    caps one role may take from another, tell which role came first.
    """
    entities = dict.fromkeys(entity for entity, _ in policy.plan.engagement)
    for entity in entities:
        rules = {role: policy.plan.engagement[of, role].rules for of, role in policy.plan.engagement if of == entity}
        first = next((role for role in policy.roles if role in rules), "")
        routing = [role for role, own in rules.items() if any(_routes(rule.value) for rule in own)]
        yield f"order of roles of {entity}", [first, *(routing if len(routing) > 1 else ())]


def _routes(action: object) -> bool:
    return isinstance(action, Action) and any(x.pool for x in action.with_otherwise())


def _items(title: str, section: object) -> Iterator[tuple[str, object]]:
    """A field of a policy as one part, or as one for each of the things in it that have names."""
    one = ONE.get(title, title)
    if isinstance(section, Mapping):
        yield from ((f"{one} {name}", x) for name, x in section.items())
    elif isinstance(section, tuple) and section and all(getattr(x, "name", "") for x in section):
        yield f"order of {title}", [str(x.name) for x in section]
        yield from ((f"{one} {x.name}", replace(x, shares={}) if isinstance(x, Credit) else x) for x in section)
    else:
        yield one, section


def nothing(entity: str, hit: str) -> Chooser:
    """A list without rules, which stands for one that a policy does not have."""
    return Chooser(Choose(entity, "", "", hit, ()), {})


def territories_by_name(chooser: Chooser, lists: Mapping[str, list[object]]) -> Chooser:
    """Territories by their names, without what else is known of them."""
    step = chooser.step

    def name(row: object) -> Value:
        return row.get("name") if isinstance(row, Mapping) else row

    return Chooser(replace(step, rules=tuple(replace(r, value=name(r.value)) for r in step.rules), default=name(step.default)), lists)


def what(rule: Rule, value: Callable[[object], str], sentence: Callable[[str], str]) -> Given:
    """What a row of a table gives."""
    return value(rule.value), ""


def action(rule: Rule, value: Callable[[object], str], sentence: Callable[[str], str]) -> Given:
    """What an engagement rule does and says. Where the policy has no sentence, roe's own names the rule."""
    return (f"{value(rule.value)} because {sentence(rule.because)}", "") if rule.because else (value(rule.value), str(rule.name))


def credited(credit: Credit, rule: Rule, value: Callable[[object], str], sentence: Callable[[str], str]) -> Given:
    """Whom a rule credits, and why."""
    shares = value([[expr, percent] for expr, percent in credit.shares[str(rule.name)]])
    return (f"{shares} because {sentence(rule.because)}", "") if rule.because else (shares, str(rule.name))


def same_lists(old: Plan, new: Plan) -> tuple[dict[str, str], set[str]]:
    """Lists of the old policy that the new one has under another name, and the names of those that differ."""
    contents = [
        {**{n: tuple(map(str, x)) for n, x in p.lists.items()}, **{n: (None, *((str(d.value), d.start, d.until) for d in x)) for n, x in p.dated_lists.items()}}
        for p in (old, new)
    ]  # fmt: skip
    come = {x: n for n, x in contents[1].items() if n not in contents[0]}
    labels = {n: come[x] for n, x in contents[0].items() if n not in contents[1] and x in come}
    before = {labels.get(n, n): x for n, x in contents[0].items()}
    return labels, {n for n in {*before, *contents[1]} if before.get(n) != contents[1].get(n)}
