"""`territories:` a table, and who staffs each territory in which role and when; `overlays:` are more of the same.

A table lowers to a `Choose` with a record of outputs; staffing to one `Choose` per role on the territory's name and the
effective dates, and a `Derive` that gathers them as `territory_owner`, with whoever covers for a rep on leave and a
fallback for what is vacant. Where another record decides (`decided_by`: the ultimate parent, say), the table is asked about
that record, but for the declared exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from roe.diagnostics import suggest
from roe.dynamic import Value, Values
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Choose, Derive, Expr, Rule
from roe.policy.context import Context, written
from roe.policy.decision_tables import choose, split, table_of
from roe.policy.section import Day, Expression, FilePath, Heading, Identifier, Name, Section, key, section
from roe.policy.tables import Table, TableSection
from roe.source import Text, span_of
from roe.stages.scores import output_type

OWN = "itself"  # whose attributes decide where nothing else is said


@section
class StaffingSection(Section):
    """who holds a territory, in which role, and when"""

    territory: Text
    role: Text
    rep: Text | None = None
    from_: Day | None = key("in force from this day on", default=None)
    until: Day | None = key("in force up to, but not including, this day", default=None)


@section
class DecidedBySelfSection(Section):
    """records whose own attributes decide"""

    name: Name
    when: Expression
    description: Text | None = None


@section
class DecidedBySection(Section):
    """another record whose attributes decide, such as the ultimate parent"""

    account: Expression = key("the record whose attributes decide, such as account.ultimate_parent")
    except_: tuple[DecidedBySelfSection, ...] = key("records whose own attributes decide", default=())


@section
class TerritoriesSection(TableSection):
    """a table of territories, and who staffs them"""

    staffing: FilePath | tuple[StaffingSection, ...] | None = None
    decided_by: DecidedBySection | None = None
    fallback: Text | Mapping[Text, Text] | None = key("who owns accounts in vacant territories: a rep, or one per role", default=None)
    levels: tuple[Text, ...] = key(
        "outputs from the widest to the narrowest, such as [region, area]; a run has totals for each level", default=()
    )
    cover: Literal["leave"] | None = key("the cover (leaves.csv) takes over while a rep is on leave", default=None)


TERRITORIES = Heading("territories", TerritoriesSection)
OVERLAYS = Heading(
    "overlays", Mapping[Identifier, TerritoriesSection], "more territory sets, such as for specialists; each is a field of its entity"
)
Overlays = Mapping[Text, TerritoriesSection]


def sections(territories: TerritoriesSection | None, overlays: Overlays) -> list[tuple[str, TerritoriesSection]]:
    """(the name of the step, the section): the territories, then each overlay."""
    named = [("territory", territories)] if territories else []
    return [*named, *((str(name), overlay) for name, overlay in overlays.items())]


def entities(section: TerritoriesSection) -> list[str]:
    return [str(entity) for entity in section.entities] or ["account"]


def declare(territories: TerritoriesSection | None, overlays: Overlays, cx: Context) -> None:
    for name, territory_set in sections(territories, overlays):
        for entity in entities(territory_set):
            if entity not in cx.model.entities:
                cx.say("R504", territory_set.key("for"), f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
                continue
            if not cx.is_free(entity, name, territory_set.heading):
                continue
            for step in (name, _own(name)) if territory_set.decided_by else (name,):
                cx.model.steps[entity, step] = lambda territory_set=territory_set, entity=entity, name=name: _type(
                    territory_set, cx, entity, name
                )  # type: ignore[misc]
            if territory_set.decided_by:
                labels = (OWN, *(str(x.name) for x in territory_set.decided_by.except_), str(territory_set.decided_by.account))
                cx.model.steps[entity, f"{name}_decided_by"] = t.Type("string", values=labels)
            if territory_set.staffing is not None:
                cx.model.steps[entity, f"{name}_owner"] = t.OWNERS


def _own(name: str) -> str:
    return f"own_{name}"


def _type(section: TerritoriesSection, cx: Context, entity: str, name: str) -> t.Type:
    with cx.apart():
        table = table_of(cx, section, section.asked)
        kind = t.ANY if table is None else output_type(table, section, cx, entity, name)
    if kind.name != "record" and table is not None:
        _, outputs = split(cx, table, section, cx.names(entity, implicit=True), name)
        kind = t.Type("record", fields={"name": t.STRING, **dict.fromkeys(outputs.values(), kind)})
    return kind


def lower(territories: TerritoriesSection | None, overlays: Overlays, cx: Context) -> None:
    for name, territory_set in sections(territories, overlays):
        _lower(name, territory_set, cx)


def _lower(name: str, section: TerritoriesSection, cx: Context) -> None:
    def as_value(label: str, outputs: Values) -> Value:
        return {"name": None if label is None else str(label), **outputs}

    staffing = _staffing(section, cx)
    for entity in entities(section):
        if (entity, name) not in cx.model.steps:
            continue
        decided = section.decided_by
        own = _own(name) if decided else name
        with cx.apart() as problems:
            step = choose(cx, section, section.asked, entity, name, "territory", as_value)
        is_first = entity == entities(section)[0]  # of several entities, only of the first is said what is wrong
        cx.diagnostics += problems if is_first else []
        if step is None:
            continue
        if isinstance(section.default, Text):  # it names the territory where no row holds
            step = replace(step, default={**step.default, "name": str(section.default)})
        cx.steps[entity, own] = replace(step, name=own)
        if decided:
            _decided_by(name, decided, entity, cx)
        cx.unique_names([r.name for r in step.rules if section.hit == "unique"], "territories")
        if staffing:
            known = {str(r.name) for r in step.rules} | ({str(step.default.get("name"))} if step.default else set())
            with cx.apart() as problems:
                _staff(name, section, staffing, known, entity, cx)
            cx.diagnostics += problems if is_first else []


def rows_of(entity: str, cx: Context) -> Choose | None:
    """The rows of the territories of an entity, whichever record's attributes they are asked about."""
    steps = (cx.steps.get((entity, name)) for name in (_own("territory"), "territory"))
    return next((step for step in steps if isinstance(step, Choose)), None)


def levels(territories: TerritoriesSection | None, overlays: Overlays, cx: Context) -> dict[str, dict[str, tuple[str, ...]]]:
    """Of each entity, what its territories are part of, from the widest to the narrowest."""
    if not territories or not territories.levels:
        return {}
    by_entity: dict[str, dict[str, tuple[str, ...]]] = {}
    for entity in entities(territories):
        step = rows_of(entity, cx)
        if step is None:
            continue
        values = [*(rule.value for rule in step.rules), *([step.default] if step.default else [])]
        for level in territories.levels:
            if values and level not in values[0]:
                known = [k for k in values[0] if k != "name"]
                cx.say("R403", level, f"the territories have no column `{level}`", suggest(level, known, "add the column"))
        by_entity[entity] = {str(x["name"]): tuple(str(x.get(level) or "-") for level in territories.levels) for x in values}
    return by_entity


def _decided_by(name: str, decided: DecidedBySection, entity: str, cx: Context) -> None:
    """The table's answer about another record, but for the exceptions: which it is, and what it says."""
    names = cx.names(entity)
    other = cx.value(decided.account, names, "record")
    if other is None:
        return
    label = str(decided.account)
    cx.unique_names([exception.name for exception in decided.except_], "exceptions")
    rules = [Rule(x.name, (when,), str(x.name)) for x in decided.except_ if (when := cx.condition(x.when, names))]
    missing = written(s.is_missing(other.tree), decided.account)
    rules.append(Rule(Text(OWN, decided.account.origin), (missing,), OWN))
    cx.steps[entity, f"{name}_decided_by"] = Choose(entity, f"{name}_decided_by", "territory", "first", tuple(rules), label)
    record = s.Name(entity)
    parent = s.Compare("=", s.Path(record, f"{name}_decided_by"), s.Literal(label, label))
    tree = s.If(parent, s.Path(other.tree, _own(name)), s.Path(record, _own(name)))
    cx.steps[entity, name] = Derive(entity, name, "territory", written(tree, decided.account))


def _staffing(section: TerritoriesSection, cx: Context) -> Table | None:
    if section.staffing is None:
        return None
    if isinstance(section.staffing, Text):
        table = cx.file_table(section.staffing)
    else:
        table = cx.inline_table([row.texts() for row in section.staffing], span_of(section.key("staffing")))
    return table if table is not None and cx.has_columns(table, "the staffing table has", ("territory", "role", "rep")) else None


def _staff(name: str, section: TerritoriesSection, table: Table, known: set[str], entity: str, cx: Context) -> None:
    rules: dict[str, list[Rule]] = {role: [] for role in cx.model.roles()}
    subject = s.Path(s.Path(s.Name(entity), name), "name")
    for row in table.rows:
        cells = table.cells(row)
        territory, role, rep = cells["territory"], cells["role"], cells["rep"]
        if territory not in known:
            cx.say("R201", territory, f"there is no territory `{territory}`", suggest(territory, known, "add it to the territories"))
        if role not in rules:
            cx.say("R502", role, f"there is no role `{role}`", suggest(role, rules, "add it under `roles:`"))
            continue
        here = Expr(s.Compare("=", subject, s.Literal(str(territory), str(territory))), territory)
        conditions = (here, *cx.period(cells.get("from"), cells.get("until")))
        label = Text(f"{rep} for {territory}" if rep else f"vacant: {territory}", rep.origin)
        rules[role].append(Rule(label, conditions, str(rep) or None))
    given = section.fallback
    for named in given if isinstance(given, Mapping) else ():
        if named not in rules:
            cx.has_role(named)
    for title, staffed in rules.items():
        cx.steps[entity, f"{name}_owner.{title}"] = Choose(entity, f"{name}_owner.{title}", "staffing", "first", tuple(staffed))
    group = {title: f"{name}_owner.{title}" for title in rules}
    vacant = dict.fromkeys(rules, given) if isinstance(given, Text) else {str(role): rep for role, rep in (given or {}).items()}
    cx.steps[entity, f"{name}_owner"] = Derive(entity, f"{name}_owner", "staffing", None, group, vacant, section.cover == "leave")
