"""`invariants:` what must hold after every run and every change: of each record, of each rep, or of the run as a whole.

Each is a mapping (`every`, `holds`), or a sentence that stands for one. What is asked of records lowers to a `Derive` that is true or not;
what is asked of reps and runs is an expression over a few figures.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.grammar.names import Names
from roe.plan.operators import Derive, Expr
from roe.plan.parts import RUN_FACTS, Invariant
from roe.policy.context import Context
from roe.policy.section import Expression, Form, Heading, Name, Section, key, section
from roe.source import SameOrigin, Span, Text, span_of

SENTENCES = (
    (re.compile(r"every (\w+) has (?:exactly )?(?:one|an|a) (\w+)"), lambda m: (m[1], f"{m[1]}.owner.{m[2]} != null", "")),
    (re.compile(r"no rep (?:is )?over capacity(?: as (\w+))?"), lambda m: ("rep", "rep.capacity = null or owned <= rep.capacity", m[1] or "")),
    (re.compile(rf"({'|'.join(RUN_FACTS)}) (<=|<|=|>=|>) (\d+(?:\.\d+)?) ?(%?)"), lambda m: ("run", _fact(m[1], m[2], m[3], m[4]), "")),
)  # fmt: skip
EXAMPLES = "write `every account has exactly one ae`, `no rep over capacity`, `moved <= 5 %`, or `{name: …, every: account, holds: …}`"


@section
class InvariantSection(Section):
    """what must be true of every record of an entity, of every rep, or of the run"""

    name: Name
    every: Text | None = key("the entity to check, `rep`, or `run` for the whole run; default: `run`", default=None)
    holds: Expression
    role: Text | None = key("with `every: rep`: the role whose accounts count as `owned`; default: the first role", default=None)
    severity: Literal["error", "warn"] = key("whether a broken invariant fails the run; default: error", default="error")
    description: Text | None = None


Sentence = Annotated[Text, Form(description="a sentence: `every account has exactly one ae`, `no rep over capacity`, `moved <= 5 %`")]
Invariants = tuple[Sentence | InvariantSection, ...]
INVARIANTS = Heading("invariants", Invariants, "what must be true after every run and every policy change")


def _fact(name: str, op: str, number: str, percent: str) -> str:
    return f"{name} {op} {number}" if not percent else f"{name} * 100 {op} {number} * decided"


def declare(invariants: Invariants, cx: Context) -> None:
    for number, invariant in enumerate(invariants):
        said = _read(invariant)
        if said and said[0] in cx.model.entities and said[0] != "rep":
            cx.model.steps[said[0], step_name(number)] = t.BOOLEAN


def step_name(number: int) -> str:
    return f"invariant_{number + 1}"


def _read(invariant: Text | InvariantSection) -> tuple[str, str, str] | None:
    """(of what, the condition, the role whose records count) of a mapping or a sentence; None for what is not a sentence."""
    if isinstance(invariant, InvariantSection):
        return str(invariant.every or "run"), invariant.holds, str(invariant.role or "")
    for pattern, made in SENTENCES:
        m = pattern.fullmatch(invariant.strip())
        if m:
            return made(m)
    return None


def lower(invariants: Invariants, cx: Context) -> tuple[Invariant, ...]:
    lowered: list[Invariant] = []
    cx.unique_names([x.name for x in invariants if isinstance(x, InvariantSection)], "invariants")
    for number, invariant in enumerate(invariants):
        said = _read(invariant)
        if said is None:
            cx.say("R304", invariant, f"`{invariant}` is not one of the known sentences", EXAMPLES)
            continue
        of, text, role = said
        whole = not isinstance(invariant, InvariantSection)
        if isinstance(invariant, InvariantSection):
            name, severity, place = invariant.name, invariant.severity, span_of(invariant.every or invariant.name)
        else:
            name, severity, place = invariant, "error", span_of(invariant)
            text = Text(text, SameOrigin(invariant))
        if role and role not in cx.model.roles():
            cx.say("R502", place, f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
            continue
        if of not in ("run", *cx.model.entities):
            cx.say("R504", place, f"there is no entity `{of}`", suggest(of, [*cx.model.entities, "run"], "correct it"))
            continue
        holds = _condition(of, text, cx, whole, place)
        if holds is None:
            continue
        step = ""
        if of not in ("run", "rep"):
            step = step_name(number)
            cx.steps[of, step] = Derive(of, step, "invariant", holds)
        lowered.append(Invariant(name, of, holds, severity, role or cx.model.roles()[0], step))
    return tuple(lowered)


def _condition(of: str, text: str, cx: Context, whole: bool, place: Text | Span) -> Expr | None:
    names: Names
    if of == "run":
        names = Names(cx.model, dict.fromkeys(RUN_FACTS, t.NUMBER))
    else:
        names = cx.names(of)
        if of == "rep":
            names = names.binding(owned=t.NUMBER, rep=t.record("rep"))
    if not whole:
        return cx.condition(text, names)
    with cx.apart() as problems:
        expr = cx.condition(text, names)
    for wrong in problems[:1]:  # the sentence names what there is not
        cx.say(wrong.code, place, wrong.message, wrong.help)
    return None if problems else expr
