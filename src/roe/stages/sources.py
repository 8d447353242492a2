"""`sources:` the lead source, first match; it lowers to a `Choose` whose value is the rule's name."""

from __future__ import annotations

from roe.grammar.types import Type
from roe.plan.operators import Choose, Rule
from roe.policy.context import Context
from roe.policy.section import Day, Expression, Heading, Name, Overrides, Section, key, section
from roe.source import Text


@section
class SourceSection(Section):
    """a lead source, and the leads that come from it"""

    name: Name
    when: Expression
    because: Text | None = None
    description: Text | None = None
    overrides: Overrides | None = None
    from_: Day | None = key("in force from this day on", default=None)
    until: Day | None = key("in force up to, but not including, this day", default=None)


SOURCES = Heading("sources", tuple[SourceSection, ...], "lead sources, first match")


def declare(sources: tuple[SourceSection, ...], cx: Context) -> None:
    if sources:
        names = tuple(str(source.name) for source in sources)
        cx.model.steps["lead", "source"] = Type("string", values=names)


def lower(sources: tuple[SourceSection, ...], cx: Context) -> None:
    if not sources:
        return
    names = [source.name for source in sources]
    cx.unique_names(names, "sources")
    rules = []
    for source in sources:
        conditions = cx.conditions(source.when, cx.names("lead"), source.from_, source.until)
        overrides = cx.overrides(source.overrides, source.name, names)
        rules.append(Rule(source.name, conditions, str(source.name), source.because, overrides))
    cx.steps["lead", "source"] = Choose("lead", "source", "source", "first", tuple(rules))
