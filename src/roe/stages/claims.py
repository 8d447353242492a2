"""`claims:` no territories: whoever asks first gets the account, within limits. It lowers to a `Claims`.

It adds `claim.status`, `claim.reason` and `claim.until`, and for accounts `claim` (the one that is live), `claim_state` and
`claim_until`, which are a window of the role.
"""

from __future__ import annotations

from roe.diagnostics import suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Claims, Derive, Rule
from roe.plan.parts import Window
from roe.policy.context import Context, written
from roe.policy.section import Duration, Entity, Expression, Heading, Name, PositiveDuration, Section, key, section
from roe.source import Text

OF_RECORD: tuple[tuple[str, t.Type], ...] = (
    ("claim", t.record("claim")),
    ("claim_state", t.Type("string", values=("none", "protected"))),
    ("claim_until", t.DATETIME),
)
OF_CLAIM: tuple[tuple[str, t.Type], ...] = (
    ("status", t.Type("string", values=("granted", "refused", "ended"))),
    ("reason", t.STRING),
    ("until", t.DATETIME),
)


@section
class ClaimCapsSection(Section):
    """how many records a rep can claim"""

    open: Expression | None = None
    per_day: Expression | None = None


@section
class BlockedBySection(Section):
    """a reason why a record cannot be claimed"""

    name: Name
    when: Expression
    because: Text | None = None


@section
class ClaimsSection(Section):
    """who asks first gets the record, within limits"""

    for_: Entity | None = key("the entity that reps claim; default: account", default=None)
    role: Text | None = None
    lasts: PositiveDuration | None = key("how long a claim holds, from the claim or from the last activity that counts", default=None)
    work_within: PositiveDuration | None = key("how soon after the claim the rep must work the record", default=None)
    worked_by: Expression | None = key("which of the rep's activities count; default: all", default=None)
    wait: Duration | None = key("how long the same rep must wait to claim the record again", default=None)
    rest: Duration | None = key("how long nobody can claim the record after a claim ends", default=None)
    caps: ClaimCapsSection | None = None
    blocked_by: tuple[BlockedBySection, ...] = ()
    description: Text | None = None


CLAIMS = Heading("claims", ClaimsSection, "instead of territories: first come, first served, within limits")


def declare(claims: ClaimsSection | None, cx: Context) -> None:
    if claims is None:
        return
    entity = str(claims.for_ or "account")
    if claims.for_ and not cx.has_entity(claims.for_):
        return
    claim = cx.model.entities["claim"]
    if cx.model.field_type(entity, "owner") != t.OWNERS or entity not in claim:
        owned = [e for e in cx.model.entities if e in claim and cx.model.field_type(e, "owner") == t.OWNERS]
        cx.say("R504", claims.for_, f"a {entity} cannot be claimed", suggest(entity, owned, f"claims are on one of {', '.join(owned)}"))
        return
    fields = (*((entity, name, kind) for name, kind in OF_RECORD), *(("claim", name, kind) for name, kind in OF_CLAIM))
    for of, name, kind in fields:
        cx.model.steps[of, name] = kind


def lower(claims: ClaimsSection | None, cx: Context) -> Claims | None:
    if claims is None or ("claim", "status") not in cx.model.steps:
        return None
    entity, role = str(claims.for_ or "account"), cx.role(claims.role)
    lasts, work, wait, rest = map(cx.lasting, (claims.lasts, claims.work_within, claims.wait, claims.rest))
    about_rep = cx.names("claim").binding(rep=t.record("rep"))
    given = claims.caps.items() if claims.caps else ()
    caps = {cap: expr for cap, text in given if (expr := cx.value(text, about_rep, "number"))}
    counts = cx.condition(claims.worked_by, cx.names("activity", implicit=True))
    names = cx.names(entity).binding(rep=t.record("rep"), claim=t.record("claim"))
    cx.unique_names([reason.name for reason in claims.blocked_by], "reasons to block a claim")
    blocked = [Rule(x.name, (when,), None, x.because) for x in claims.blocked_by if (when := cx.condition(x.when, names))]
    text = claims.heading
    live = s.Path(s.Name(entity), "claim")
    nobody = s.is_missing(live)
    state = s.If(nobody, s.Literal("none", "none"), s.Literal("protected", "protected"))
    cx.steps[entity, "claim_state"] = Derive(entity, "claim_state", "claim", written(state, text))
    cx.steps[entity, "claim_until"] = Derive(entity, "claim_until", "claim", written(s.Path(live, "until"), text))
    cx.windows.append(Window("claim", entity, role, "claim_state", "claim_until"))
    return Claims(entity, role, text, lasts, work, counts, wait, rest, caps, tuple(blocked))
