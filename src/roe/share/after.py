"""Two kinds of records that are decided one after the other, as leads after accounts: how each kind is shared out, and what leads from the one
to the other.

The first kind is shared out as if it were the only one. The records of the second kind get those to which they lead as guests, which have
the owners that they were given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from roe.evaluator.allocation import LEAST_LOADED
from roe.evaluator.look_ups import plan_of_method
from roe.evaluator.pool import OPEN_CAPS
from roe.plan.operators import Relate
from roe.plan.outcome import expression
from roe.plan.standard import standard_steps
from roe.policy.model import Policy
from roe.policy.reads import PAST, may_rest_on, reads, reads_through
from roe.share.plan import OWNED, Share, leads_to, of_kind, pools_rest_on, ranks_of

Fields = Collection[tuple[str, str]]


def one_after_the_other(policy: Policy, decided: Sequence[str]) -> Share | str:
    """How to share out records of two kinds, in the order in which they are decided; or why they must stay together."""
    if len(decided) > 2:
        return f"{', '.join(decided[:-1])} and {decided[-1]} are decided one after the other"
    one, other = decided
    own = reads(policy)
    fields = [*sorted(own), *sorted(reads_through(policy) - own)]
    why = _of_turns(policy, one, other)
    if why:
        return why
    first = _first(policy, one, other, fields)
    return first if isinstance(first, str) else _then(policy, first, other, fields)


def _of_turns(policy: Policy, one: str, other: str) -> str:
    """Why the turns of pools take records of both kinds; empty if they do not."""
    taking = [entity for entity in (one, other) if policy.plan.takes_turns(entity)]
    if len(taking) == 2:
        return f"both {one} and {other} records wait for pools"
    for pool in policy.plan.pools.values() if taking else ():
        counted = {OPEN_CAPS[cap] for cap in pool.caps if cap in OPEN_CAPS} | ({"lead"} if pool.strategy == LEAST_LOADED else set())
        for entity in counted & {one, other} - {*taking}:
            return f"the pool `{pool.name}` counts {entity} records"
    return ""


def _first(policy: Policy, one: str, other: str, fields: Fields) -> Share | str:
    """The records that are decided first. Nothing that is asked of them may lead to those that are decided later, which are not there yet."""
    claims = policy.plan.claims
    later = {other} if claims is None or claims.entity != other else {other, "claim"}
    fields = [(of, name) for of, name in fields if of not in later]
    for of, name in fields:
        if leads_to(policy, other, of, name):
            return f"{of}.{name} leads to {other} records, which are decided after {one} records"
    first = of_kind(policy, one, fields, policy.plan.takes_turns(one))
    if isinstance(first, Share):
        ranks = ranks_of(policy, one)
        for name in first.ranks:
            if isinstance(ranks, str) or ranks[name]:
                return f"{one}.{name} rests on owners, which {other} records see once they are decided"
    return first


def _then(policy: Policy, first: Share, other: str, fields: Fields) -> Share | str:
    """The records that are decided after others."""
    then = of_kind(policy, other, [(of, name) for of, name in fields if of != first.entity], policy.plan.takes_turns(other))
    if isinstance(then, str):
        return then
    if then.links or then.back or then.ranks:
        return f"{other} records look at each other, and at {first.entity} records"
    lent = _lent(policy, first, then) if then.handed_out_by is not None else frozenset[str]()
    leads = _leads(policy, first.entity, then, fields)
    if isinstance(leads, str) or isinstance(lent, str):
        return leads if isinstance(leads, str) else str(lent)
    found = [step for key, step in policy.plan.steps.items() if key in fields and isinstance(step, Relate) and step.entity == other]
    why = next((why for step in found if (why := _reason_not_by_keys(policy, first.entity, step))), "")
    return why or replace(then, first=first, leads=leads, lent=lent, matched=found[0].name if found else "")


def _reason_not_by_keys(policy: Policy, one: str, step: Relate) -> str:
    """Why records cannot be matched to earlier ones by what each of them says; empty if they can."""
    for method in step.methods:
        _, mine, theirs = plan_of_method(method, step)
        if mine is None or theirs is None:
            return f"the matching method `{method.name}` compares each {step.entity} with every {one}"
        own, other = may_rest_on(policy, step.entity, expression(mine)), may_rest_on(policy, one, expression(theirs))
        if any(of == one or leads_to(policy, one, of, name) for of, name in own):
            return f"the matching method `{method.name}` looks for {one} records by other {one} records"
        if any(field == PAST or (field[0] in (one, step.entity) and field[1] in OWNED) for field in own | other):
            return f"the matching method `{method.name}` looks for {one} records by owners or by the past"
    return ""


def _lent(policy: Policy, first: Share, then: Share) -> frozenset[str] | str:
    """The fields of earlier records on which pools rest that hand out the later ones; or why these take whole records."""
    fields = pools_rest_on(policy, then.entity, (*then.children, *first.children))
    if isinstance(fields, str):
        return fields
    steps = {**standard_steps(policy.plan), **policy.plan.steps}
    for of, name in sorted(fields):
        f = policy.model.entities.get(of, {}).get(name)
        is_more = f is not None and (bool(f.via) or f.type.name in ("record", "owners") or name in OWNED)
        if of == first.entity and (is_more or (of, name) in steps):
            return f"a pool looks at {of}.{name}, which is not in the data alone"
    return frozenset(name for of, name in fields if of == first.entity)


def _leads(policy: Policy, one: str, then: Share, fields: Fields) -> Mapping[str, tuple[str, ...]] | str:
    """The references by which the later records, and those that go with them, lead to the earlier ones."""
    leads: dict[str, tuple[str, ...]] = {}
    for of, name in dict.fromkeys([*fields, (then.entity, one)]):  # rules may name the record that theirs refers to
        if of not in (then.entity, *then.children) or not leads_to(policy, one, of, name):
            continue
        step, f = policy.plan.steps.get((of, name)), policy.model.entities.get(of, {}).get(name)
        if isinstance(step, Relate) and of == then.entity:
            continue  # it is looked for by keys (`_matched`)
        if step is not None or f is None or f.via:
            return f"{of}.{name} leads to {one} records"
        leads[of] = (*leads.get(of, ()), name)
    return leads
