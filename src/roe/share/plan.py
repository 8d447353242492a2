"""How a run is shared out: which records must be together, so that each task can decide its own as a local run would."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from roe.evaluator.alike import record_parts
from roe.evaluator.bound import in_order
from roe.evaluator.pool import OPEN, OPEN_CAPS
from roe.grammar import syntax as s
from roe.plan.operators import Allocate, Choose, Derive, Expr, Relate, Walk
from roe.plan.outcome import expression
from roe.plan.parts import Credit
from roe.plan.plan import Step
from roe.plan.standard import BuiltIn, standard_steps
from roe.policy.model import Policy
from roe.policy.reads import PAST, may_rest_on, reads, reads_through, rests_on, sentence


@dataclass(frozen=True)
class Share:
    """An entity shared out by id, and the tables that go with it: entity -> the field that refers to it.

    `handed_out_by` are the entity's fields that pools rest on; None where no pool takes turns. Rules also read other records of the entity:
    those to which `links` of these tables refer, and those that refer to it by the fields in `back`. `ranks` are the entity's steps that are places
    among all of its records. `claims` says that reps claim its records. `first` are the records that are decided before these, to which fields
    of these tables lead (`leads`): pools rest on some of their fields (`lent`). `matched` is the step that looks for one of them.
    """

    entity: str
    children: dict[str, str]
    handed_out_by: frozenset[str] | None = None
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    back: tuple[str, ...] = ()
    ranks: tuple[str, ...] = ()
    claims: bool = False
    first: Share | None = None
    leads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lent: frozenset[str] = frozenset()
    matched: str = ""

    @property
    def kinds(self) -> list[Share]:
        """The kinds of records that are decided, in this order."""
        return [self] if self.first is None else [self.first, self]


def share(policy: Policy) -> Share | str:
    """How to share a policy's records out; or, as a text, why they must stay together.

    A record needs its related records beside it. Those that refer to it go to its task; every other table goes to all
    tasks. Other records of the same table that rules read come to its task as well, to be read.
    """
    decided = in_order(policy.plan)
    if not decided:
        return "there are no rules"
    why = _of_others(policy, decided)
    if why:
        return why
    if len(decided) > 1:
        from roe.share.after import one_after_the_other

        return one_after_the_other(policy, decided)
    own = reads(policy)  # what the policy itself reads comes first: a reason names that
    return of_kind(policy, decided[0], [*sorted(own), *sorted(reads_through(policy) - own)], policy.plan.takes_turns())


def of_kind(policy: Policy, entity: str, fields: Collection[tuple[str, str]], takes_turns: bool) -> Share | str:
    """How to share out the records of one kind, of which these fields are read; or why they must stay together."""
    children = children_of(policy, entity, fields)
    if isinstance(children, str):
        return children
    related = _related(policy, entity, fields, children)
    if isinstance(related, str):
        return related
    links, back = related
    elsewhere = {(of, name) for of, names in links.items() for name in names} | {(entity, name) for name in _lists(policy, entity, back)}
    ranks = ranks_of(policy, entity)
    if isinstance(ranks, str):
        return ranks
    elsewhere |= {(entity, name) for name, rests_on_owners in ranks.items() if rests_on_owners}
    why = _asked_afterwards(policy, entity, elsewhere) if elsewhere else ""
    if why:
        return why
    rested_on = pools_rest_on(policy, entity, children, elsewhere) if takes_turns else None
    if isinstance(rested_on, str):
        return rested_on
    handed_out_by = None if rested_on is None else frozenset(name for of, name in rested_on if of == entity)
    claims = policy.plan.claims is not None and policy.plan.claims.entity == entity
    return Share(entity, children, handed_out_by, links, back, tuple(ranks), claims)


def children_of(policy: Policy, entity: str, fields: Collection[tuple[str, str]]) -> dict[str, str] | str:
    """The entities whose records refer to a record that is shared out, each with the field that does; or why they cannot go with it."""
    children: dict[str, str] = {}
    steps = _steps(policy)
    stored = [(of, name) for of, name in fields if (of, name) not in steps]  # what a step reads is among the fields
    lists = [(of, name, f) for of, name in stored if (f := policy.model.entities.get(of, {}).get(name)) is not None and f.via]
    for of, name, f in lists:
        if f.key:
            return f"{of}.{name} finds records by a key, wherever they are"
        if of == entity and f.type.item is not None and f.type.item.entity != entity:
            child = f.type.item.entity
            if children.setdefault(child, f.via) != f.via:
                return f"{of}.{name} leads to other records that are shared out"
    credited = {credit.entity for credit in policy.plan.credits} - {entity}
    for of, name in stored:
        if of in credited and _target(policy, steps, of, name) == entity:  # who gets credit rests on the record to which it refers
            children.setdefault(of, name)
    for of, name, f in lists:
        if of != entity and f.type.item is not None and f.type.item.entity in (entity, *children):
            return f"{of}.{name} leads to records of many {entity}s"
    for of, name in fields:
        if _target(policy, steps, of, name) in children:
            return f"{of}.{name} leads to a record that goes with another {entity}"
    return children


def _target(policy: Policy, steps: Mapping[tuple[str, str], Step | BuiltIn], of: str, name: str) -> str:
    """The entity to whose records a stored reference leads, or a search; empty for any other field."""
    step = steps.get((of, name))
    if step is not None:
        return step.target if isinstance(step, Relate) else ""
    f = policy.model.entities.get(of, {}).get(name)
    return f.type.entity if f is not None and f.type.name == "record" and not f.via else ""


def _related(
    policy: Policy, entity: str, fields: Collection[tuple[str, str]], children: Mapping[str, str]
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]] | str:
    """The references by which rules read other records that are shared out (see `Share`); or why these cannot be found by ids."""
    links: dict[str, tuple[str, ...]] = {}
    back: list[str] = []
    steps = _steps(policy)
    for of, name in fields:
        step = steps.get((of, name))
        if not leads_to(policy, entity, of, name) or children.get(of) == name or isinstance(step, (Walk, Derive)):
            continue
        f = policy.model.entities.get(of, {}).get(name)
        if step is not None or f is None or of not in (entity, *children):
            return f"{of}.{name} leads to another {entity}"
        if f.via:
            back.append(f.via)
        else:
            links[of] = (*links.get(of, ()), name)
    return links, tuple(dict.fromkeys(back))


def _lists(policy: Policy, entity: str, back: Collection[str]) -> list[str]:
    """The entity's lists of records that refer to it by some fields."""
    return [name for name, f in policy.model.entities[entity].items() if f.via in back and f.type.item and f.type.item.entity == entity]


def _steps(policy: Policy) -> dict[tuple[str, str], Step | BuiltIn]:
    return {**standard_steps(policy.plan), **policy.plan.steps}


OWNED = {"owner", "owner_since", "owner_from", "owner_by", "former_owner", "returned_on", "referred_on", "holds"}  # what a run changes


def _asked_afterwards(policy: Policy, entity: str, elsewhere: Collection[tuple[str, str]]) -> str:
    """Why what is asked once all is decided takes all records; empty if it does not: of a record elsewhere a task knows the owner from before."""
    asked = [(f"the invariant `{i.name}`", entity, i.holds) for i in policy.plan.invariants if i.entity == entity]
    frozen = ((name, step) for (of, name), step in policy.plan.steps.items() if of == entity and isinstance(step, Derive) and step.frozen)
    asked += [(f"{entity}.{name}, which is frozen,", entity, step.expr) for name, step in frozen if step.expr is not None]
    for event in policy.plan.events:
        raised = expression(s.Path(s.Name(entity), str(event.name)))
        asked += [(f"the event `{event.name}`", entity, expr) for expr in (raised, event.rearm) if expr is not None]
        asked += [(f"the event `{event.name}`", entity, expression(tree)) for tree in sentence(event.because)]
    for credit in policy.plan.credits:
        asked += [(f"the credit `{credit.name}`", credit.entity, expr) for expr in _of_credit(policy, credit)]
    if policy.plan.crm.territories:
        asked.append(("territories.csv", entity, expression(s.Path(s.Name(entity), "territory"))))
    for what, about, expr in asked:
        more = may_rest_on(policy, about, expr)
        if not more.isdisjoint(elsewhere) and any(field == PAST or (field[0] == entity and field[1] in OWNED) for field in more):
            return f"{what} may look at owners of other {entity}s once they are decided"
    return ""


def _of_credit(policy: Policy, credit: Credit) -> Iterable[Expr]:
    """What is asked of a record to tell who is credited with it, and why."""
    rules = policy.plan.steps[credit.entity, credit.name]
    assert isinstance(rules, Choose)
    return [
        expression(s.Path(s.Name(credit.entity), credit.name)),
        *(expr for shares in credit.shares.values() for expr, _ in shares),
        *(expression(tree) for rule in rules.rules for tree in sentence(rule.because)),
    ]


def pools_rest_on(
    policy: Policy, entity: str, children: Collection[str], elsewhere: Collection[tuple[str, str]] = ()
) -> frozenset[tuple[str, str]] | str:
    """The fields of the records, and of others, that pools rest on; or why it takes whole records to hand them out."""
    fields = {(entity, "created")}
    wanted = [expression(s.Path(s.Name(entity), OPEN))]
    known = [
        key for key, step in policy.plan.steps.items() if isinstance(step, Relate) and step.entity == entity
    ]  # tasks say that (`MATCHED`)
    for name, pool in policy.plan.pools.items():
        parts = record_parts(pool, policy)
        if parts is None:
            return f"the pool `{name}` must decide each {entity} separately"
        if any(OPEN_CAPS.get(cap, "") in children for cap in pool.caps):
            return f"a cap of the pool `{name}` counts records that refer to the {entity}"
        wanted += [*map(expression, parts), *_of_one(pool)]
    for expr in wanted:
        more = rests_on(policy, entity, expr, known)
        if more is None or any(of in children for of, _ in more) or not more.isdisjoint(elsewhere):
            return f"a pool reads more about each {entity} than its own fields (`{expr.text}`)"
        fields |= more
    return frozenset(fields)


def _of_one(pool: Allocate) -> Iterable[Expr]:
    """What a pool asks of one record, whoever is a member."""
    return [expr for expr in (pool.sticky, pool.together) if expr is not None]


def _of_others(policy: Policy, decided: Collection[str]) -> str:
    """Why ranks, or what a run says besides its decisions, take all records together: those of entities that are not decided do."""
    steps = policy.plan.steps.values()
    kinds = " or ".join(decided)
    other = next(
        (step for step in steps if isinstance(step, Derive) and step.among is not None and step.entity not in (*decided, "rep")), None
    )
    if other is not None:
        return f"the rank {other.entity}.{other.name} looks at all {other.entity} records"
    event = next((event for event in policy.plan.events if event.entity not in decided), None)
    if event is not None:
        return f"the event {event.entity}.{event.name} is not about {kinds} records"
    claims = policy.plan.claims
    if claims is not None and claims.entity not in decided:
        return f"claims are not about {kinds} records"
    credit = any(row.shares and row.entity not in decided for row in policy.plan.exceptions) or (
        "account" not in decided and bool(policy.plan.holdovers)
    )
    of_accounts = "account" not in decided and bool(policy.plan.crm.territories)
    return f"credits and territories are not only about {kinds} records" if credit or of_accounts else ""


def ranks_of(policy: Policy, entity: str) -> dict[str, bool] | str:
    """The entity's steps that are places among all of its records, and whether what is ranked rests on owners; or why nobody can find it before
    the records are decided.
    """
    ranks = {}
    for (of, name), step in policy.plan.steps.items():
        if of == entity and isinstance(step, Derive) and step.among is not None:
            asked = [rests_on(policy, entity, expression(s.Path(s.Name(entity), f"{name}{part}"))) for part in ("_of", "_within")]
            known = [fields for fields in asked if fields is not None]
            if len(known) < len(asked):
                return f"what {entity}.{name} ranks is not known from the records alone"
            ranks[name] = any((entity, field) in fields for fields in known for field in OWNED)
    return ranks


def leads_to(policy: Policy, entity: str, of: str, name: str) -> bool:
    """Whether a field of some entity is a record of another, or a list of its records."""
    f = policy.model.entities.get(of, {}).get(name)
    if f is None:
        step = policy.plan.steps.get((of, name))
        return isinstance(step, Relate) and step.target == entity
    return (f.type.name == "record" and f.type.entity == entity) or bool(f.via and f.type.item and f.type.item.entity == entity)
