"""`do_not_route:` records that nothing touches, such as those in a lawsuit; they lower to the first rules of their entity.

The rules hold a record with whoever has it, able or not, or with nobody. No exception, claim, timer or book moves it until its day.
"""

from __future__ import annotations

from collections.abc import Sequence

from roe.crm.ids import fold
from roe.grammar import syntax as s
from roe.plan.operators import Action, Rule
from roe.plan.parts import Untouched
from roe.policy.context import Context, written
from roe.policy.section import Day, Entity, Heading, Section, section
from roe.source import Inline, Text

NAME = "do-not-route"


@section
class UntouchedSection(Section):
    """a record that stays where it is"""

    record: Text
    reason: Text
    entity: Entity = Text("account", Inline())
    until: Day | None = None


DO_NOT_ROUTE = Heading(
    "do_not_route", tuple[UntouchedSection, ...], "records that stay where they are: no rule, exception, claim, timer or book moves them"
)


def lower(untouched: tuple[UntouchedSection, ...], cx: Context) -> tuple[Untouched, ...]:
    """The records by entity, id, reason and end."""
    records = []
    for one in untouched:
        if not cx.has_entity(one.entity):
            continue
        until = None if one.until is None else cx.day(one.until)
        if one.until is None or until is not None:
            records.append(Untouched(str(one.entity), Text(fold(one.record), one.record.origin), one.reason, until))
    return tuple(records)


def rules(untouched: Sequence[Untouched], entity: str) -> tuple[Rule, ...]:
    """The rules that an entity's lists begin with: one for the records of each reason and end."""
    together: dict[tuple[str, object], list[Untouched]] = {}
    for one in untouched:
        if one.entity == entity:
            together.setdefault((str(one.reason), one.until), []).append(one)
    made = []
    for number, ((reason, until), some) in enumerate(together.items(), 1):
        name = Text(NAME if number == 1 else f"{NAME} {number}", Inline(NAME))
        ids = tuple(s.Literal(x.record, f'"{x.record}"') for x in some)
        conditions = [written(s.In(s.Path(s.Name(entity), "id"), ids), name)]
        if until is not None:
            conditions.append(written(s.Compare("<", s.Name("today"), s.Literal(until, f'date("{until}")')), name))
        because = Text(f"do not route: {reason}".replace("{", "(").replace("}", ")"), Inline(NAME))
        made.append(Rule(name, tuple(conditions), Action("hold"), because))
    return tuple(made)
