"""`claims:` no territories: whoever asks first gets the account, within limits. It lowers to a `Claims`.

It adds `claim.status`, `claim.reason` and `claim.until`, and for accounts `claim` (the one that is live), `claim_state` and
`claim_until`, which are a window of the role.
"""

from __future__ import annotations

from typing import Any

from roe.diagnostics import suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Claims, Derive, Rule, Window
from roe.policy.context import Context, written
from roe.source import Text

FIELDS: tuple[tuple[str, str, t.Type], ...] = (
    ("account", "claim", t.record("claim")),
    ("account", "claim_state", t.Type("string", values=("none", "protected"))),
    ("account", "claim_until", t.DATETIME),
    ("claim", "status", t.Type("string", values=("granted", "refused", "ended"))),
    ("claim", "reason", t.STRING),
    ("claim", "until", t.DATETIME),
)


def declare(policy: dict[str, Any], cx: Context) -> None:
    if policy.get("claims"):
        for entity, name, kind in FIELDS:
            cx.model.steps[entity, name] = lambda kind=kind: kind  # type: ignore[misc]


def lower(policy: dict[str, Any], cx: Context) -> Claims | None:
    raw = policy.get("claims")
    if not raw:
        return None
    role = raw.get("role") or cx.model.roles()[0]
    if role not in cx.model.roles():
        cx.say("R502", role, f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
    lasts, work, wait, rest = (cx.lasting(raw.get(key)) for key in ("lasts", "work_within", "wait", "rest"))
    about_rep = cx.names("claim").binding(rep=t.record("rep"))
    caps = {}
    for cap, text in (raw.get("caps") or {}).items():
        expr = cx.value(str(text) if not isinstance(text, Text) else text, about_rep, "number")
        if expr:
            caps[str(cap)] = expr
    counts = cx.condition(raw["worked_by"], cx.names("activity", implicit=True)) if raw.get("worked_by") else None
    names = cx.names("account").binding(rep=t.record("rep"), claim=t.record("claim"))
    blocked = []
    cx.unique_names([b["name"] for b in raw.get("blocked_by") or ()], "reasons to block a claim")
    for item in raw.get("blocked_by") or ():
        when = cx.condition(item["when"], names)
        if when:
            blocked.append(Rule(item["name"], (when,), None, item.get("because")))
    place = policy.key("claims")  # type: ignore[attr-defined]
    text = place if isinstance(place, Text) else Text("claims", raw["name"].origin)
    account = s.Name("account")
    live = s.Path(account, "claim")
    nobody = s.Compare("=", live, s.Literal(None, "null"))
    state = s.If(nobody, s.Literal("none", "none"), s.Literal("protected", "protected"))
    cx.steps["account", "claim_state"] = Derive("account", "claim_state", "claim", written(state, text))
    cx.steps["account", "claim_until"] = Derive("account", "claim_until", "claim", written(s.Path(live, "until"), text))
    cx.windows.append(Window("claim", "account", str(role), "claim_state", "claim_until"))
    return Claims(str(role), text, lasts, work, counts, wait, rest, caps, tuple(blocked))
