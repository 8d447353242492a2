"""`holdovers:` what a former owner is still credited with after a handover, stage by stage, until an end.

It adds, per holdover, `<name>_credit` (the former owner's share today, in percent), `<name>_stage_until` (when that share
changes) and `<name>_until`; they lower to `Choose` and `Derive`. Who owned a record before is `former_owner`, in the data or
in the state, and `owner_since` is the day of the handover.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.values import Duration
from roe.plan.operators import Choose, Derive, Rule
from roe.plan.parts import Holdover
from roe.policy.context import Context, written
from roe.policy.section import Form, Heading, Identifier, Percent, PositiveDuration, Section, key, section
from roe.source import Text

STEPS = (("credit", t.NUMBER), ("stage_until", t.DATE), ("until", t.DATE))


@section
class HoldoverSection(Section):
    """the shares of a former owner after a handover, stage by stage"""

    role: Text | None = None
    credit: Annotated[tuple[Percent, ...], Form(minItems=1, maxItems=24)] = key("the former owner's share in percent, stage by stage")
    each: PositiveDuration = key("how long a stage lasts")
    description: Text | None = None


HOLDOVERS = Heading("holdovers", Mapping[Identifier, HoldoverSection], "credit that a former owner keeps after a handover")


def declare(holdovers: Mapping[Text, HoldoverSection], cx: Context) -> None:
    for name in holdovers:
        for suffix, kind in STEPS:
            cx.model.steps["account", f"{name}_{suffix}"] = kind


def lower(holdovers: Mapping[Text, HoldoverSection], cx: Context) -> tuple[Holdover, ...]:
    lowered = []
    for name, holdover in holdovers.items():
        role, text = cx.role(holdover.role), holdover.each
        each = cx.days(text)
        shares = [float(x) for x in holdover.credit]
        if each is None:
            continue
        account = s.Name("account")
        since, today = s.Path(account, cx.of_role("owner_since", role)), s.Name("today")
        former = s.Path(account, cx.of_role("former_owner", role))
        # each from the handover itself: a month after a month after 31 January would be 28 March
        ends: list[s.Node] = [s.Binary("+", since, _literal(_times(each, n), text, n)) for n in range(1, len(shares) + 1)]
        nobody = s.Or((s.is_missing(former), s.is_missing(since), s.Compare("<", today, since)))
        credit = [_rule("nobody", nobody, 0, text)]
        for i, (share, end) in enumerate(zip(shares, ends, strict=True), 1):
            credit.append(_rule(f"stage {i}", s.Compare("<", today, end), int(share) if share == int(share) else share, text))
        cx.steps["account", f"{name}_credit"] = Choose("account", f"{name}_credit", "holdover", "first", tuple(credit), 0)
        stage: s.Node = s.NULL
        for end in reversed(ends):
            stage = s.If(s.Compare("<", today, end), end, stage)
        over = s.Compare("=", s.Path(account, f"{name}_credit"), s.Literal(0, "0"))
        cx.steps["account", f"{name}_stage_until"] = Derive(
            "account", f"{name}_stage_until", "holdover", written(s.If(over, s.NULL, stage), text)
        )
        whole = s.If(s.is_missing(former), s.NULL, ends[-1])
        cx.steps["account", f"{name}_until"] = Derive("account", f"{name}_until", "holdover", written(whole, text))
        lowered.append(Holdover(str(name), role, each, tuple(shares)))
    return tuple(lowered)


def _times(each: Duration, n: int) -> Duration:
    """A duration in days so many times."""
    return v.WorkingDays(each.days * n) if isinstance(each, v.WorkingDays) else v.multiply(each, n)


def _literal(value: object, text: Text, n: int) -> s.Literal:
    shown = str(value) if isinstance(value, v.WorkingDays) else f'@"{v.string(value)}"'
    return s.Literal(value, str(text) if n == 1 else shown)


def _rule(name: str, tree: s.Node, value: float, text: Text) -> Rule:
    return Rule(Text(name, text.origin), (written(tree, text),), value)
