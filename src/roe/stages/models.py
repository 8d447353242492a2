"""Score models beyond a sum of points: capped groups, dated signals that decay, weighted parts, a grade matrix, ranks inside a
segment, an ideal customer profile, and logistic models. Each part of a score is a step of its own, and so a line in the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from roe.dynamic import Value
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.grammar.types import Type
from roe.plan.operators import Choose, Derive, Rule
from roe.plan.parts import Report
from roe.policy.context import Context, written
from roe.policy.section import Day, Duration, Expression, Form, Identifier, Name, Percent, PositiveDuration, Section, key, section
from roe.policy.tables import TableSection
from roe.source import SameOrigin, Text, span_of

Positive = Annotated[float, Form(exclusiveMinimum=0)]


@section
class CriterionSection(Section):
    """a condition, and the points that it gives"""

    name: Name
    when: Expression
    points: float
    because: Text | None = None
    from_: Day | None = key("in force from this day on", default=None)
    until: Day | None = key("in force up to, but not including, this day", default=None)


@section
class GroupedCriterionSection(CriterionSection):
    """a condition, the points that it gives, and the group whose cap it shares"""

    group: Identifier | None = key("criteria in the same group share a cap", default=None)


@section
class StepSection(Section):
    """points that fall from time to time"""

    minus: float
    every: PositiveDuration


@section
class SignalSection(Section):
    """dated records whose points fade, or a date that comes near"""

    name: Identifier
    points: float
    of: Expression | None = key("a list of dated records", default=None)
    at: Expression | None = key("one date; the points count as it comes near", default=None)
    ahead: Duration | None = None
    date: Identifier | None = key("the field with the date; default `date`", default=None)
    weight: Identifier | None = key("a field whose number multiplies the points", default=None)
    half_life: PositiveDuration | None = None
    step: StepSection | None = None
    most: float | None = None


@section
class WeightedSection(Section):
    """a part of a score, and its weight"""

    score: Expression
    of: Positive = key("the maximum of the part; default 100", default=100)
    weight: Positive


@section
class RankSection(Section):
    """the rank of a value within a segment"""

    of: Expression
    within: Expression | None = None
    tiers: Mapping[Text, Percent] = key("shares in percent, the best first", default={})
    ties: Literal["share", "strict"] = key(
        "whether equal values share the best rank, or are ordered by id; default: they share it", default="share"
    )


@section
class CoefficientSection(Section):
    """a part of a logistic model"""

    of: Expression
    weight: float
    missing: float = 0


@section
class LogisticSection(Section):
    """a logistic model"""

    intercept: float
    parts: Annotated[Mapping[Identifier, CoefficientSection], Form(minProperties=1)]


@section
class AttributeSection(Section):
    """an attribute of an ideal customer"""

    name: Name
    when: Expression
    weight: Positive = 1
    must: bool = False
    because: Text | None = None


@section
class DecisionTableSection(TableSection):
    """a decision table, or points from criteria"""

    criteria: tuple[CriterionSection, ...] = ()


@section
class ScoreSection(TableSection):
    """a score: criteria, a table, or one of the models"""

    criteria: tuple[GroupedCriterionSection, ...] = ()
    description: Text | None = None
    caps: Mapping[str, float] = key("the maximum points of a group", default={})
    least: float | None = key("the lowest score", default=None)
    most: float | None = key("the highest score", default=None)
    signals: tuple[SignalSection, ...] = key("dated records whose points decay", default=())
    weighted: Annotated[Mapping[Identifier, WeightedSection], Form(minProperties=1)] = key("parts by weight, from 0 to 100", default={})
    matrix: Mapping[Text, Annotated[tuple[float, ...], Form(minItems=1, maxItems=9)]] = key(
        "two scores with the lower bounds of their bands, from the highest: A1 to D4", default={}, minProperties=2, maxProperties=2
    )
    rank: RankSection | None = key("the rank of a value within a segment", default=None)
    logistic: LogisticSection | None = key("a logistic model; the score is the probability in percent", default=None)
    profile: Annotated[tuple[AttributeSection, ...], Form(minItems=1)] = key("an ideal customer profile, with its own report", default=())


KINDS = ("criteria", "signals", "weighted", "matrix", "rank", "logistic", "profile")


def kind_of(section: ScoreSection | DecisionTableSection) -> str:
    """Which model a section of `scores:` is; empty for a table, and `criteria` where all there is are points."""
    if not isinstance(section, ScoreSection):
        return "criteria" if section.criteria else ""
    kind = next((k for k in KINDS if getattr(section, k)), "")
    more = kind == "criteria" and (section.signals or section.caps or section.least is not None or section.most is not None)
    return "points" if more or kind == "signals" else kind


def parts_of(section: ScoreSection | DecisionTableSection, kind: str) -> list[tuple[str, Type]]:
    """The fields that a model adds beside its own, by what follows its name."""
    if not isinstance(section, ScoreSection):
        return []
    if kind == "points":
        groups = dict.fromkeys(str(c.group or "points") for c in section.criteria)
        return [(f"_{x}", t.NUMBER) for x in (*groups, *(signal.name for signal in section.signals))]
    if kind == "weighted":
        return [(f"_{name}", t.NUMBER) for name in section.weighted]
    if section.logistic and kind == "logistic":
        return [(f"_{name}", t.NUMBER) for name in section.logistic.parts]
    if kind == "rank":
        return [("_of", t.NUMBER), ("_within", t.ANY)]
    return [("_points", t.NUMBER)] if kind == "profile" else []


def type_of(section: ScoreSection | DecisionTableSection, kind: str) -> Type:
    if not isinstance(section, ScoreSection):
        return t.NUMBER
    if kind == "matrix":
        return Type("string", values=tuple(_grades(section.matrix)))
    if section.rank and kind == "rank":
        tiers = tuple(map(str, section.rank.tiers))
        tier = Type("string", values=tiers) if tiers else t.STRING
        return Type("record", fields={"rank": t.NUMBER, "of": t.NUMBER, "percentile": t.NUMBER, "tier": tier})
    return t.NUMBER


def lower(section: ScoreSection, kind: str, name: Text, entity: str, cx: Context) -> None:
    model = _Model(section, name, entity, cx)
    by_kind: dict[str, Callable[[], None]] = {
        "points": model.points, "weighted": model.weighted, "matrix": model.matrix, "rank": model.rank, "logistic": model.logistic, "profile": model.profile,
    }  # fmt: skip
    by_kind[kind]()


def points_rule(criterion: CriterionSection, entity: str, cx: Context) -> Rule:
    conditions = cx.conditions(criterion.when, cx.names(entity), criterion.from_, criterion.until)
    return Rule(criterion.name, conditions, criterion.points, criterion.because)


def _grades(matrix: Mapping[Text, Sequence[float]]) -> list[str]:
    rows, columns = (len(bounds) + 1 for bounds in matrix.values())
    return [f"{chr(65 + i)}{j + 1}" for i in range(rows) for j in range(columns)]


class _Model:
    def __init__(self, section: ScoreSection, name: Text, entity: str, cx: Context) -> None:
        self.section, self.name, self.entity, self.cx = section, name, entity, cx
        self.names = cx.names(entity)

    def derive(self, suffix: str, text: str, place: Text | None = None, **more: Value) -> None:
        tree = self.cx.parse(text)
        assert tree is not None, text
        step = f"{self.name}{suffix}"
        self.cx.steps[self.entity, step] = Derive(self.entity, step, "score", written(tree.tree, place or self.name), **more)

    def field(self, suffix: str = "") -> str:
        return f"{self.entity}.{self.name}{suffix}"

    def said(self, text: Text, *kinds: str) -> str:
        """A checked expression of the policy as text that can stand inside of another; `null` after a diagnostic."""
        expr = self.cx.value(text, self.names, *kinds)
        return f"({show(expr.tree)})" if expr else "null"

    def number(self, text: Text) -> str:
        """The same of a number, of which a missing one counts as nothing."""
        shown = self.said(text, "number")
        return f"(if {shown} = null then 0 else {shown})"

    # --- points -----------------------------------------------------------------------------------------------------

    def points(self) -> None:
        """Criteria by group, each group capped; signals; the whole within bounds."""
        section, cx = self.section, self.cx
        cx.unique_names([criterion.name for criterion in section.criteria], "criteria")
        cx.unique_names([signal.name for signal in section.signals], "signals")
        by_group: dict[str, list[Rule]] = {}
        for criterion in section.criteria:
            by_group.setdefault(str(criterion.group or "points"), []).append(points_rule(criterion, self.entity, cx))
        caps = section.caps
        for group in caps:
            if group not in by_group:
                cx.say("R201", group, f"no criterion belongs to the group `{group}`", f"the groups are {', '.join(by_group) or 'none'}")
        terms = []
        for group, rules in by_group.items():
            step = f"{self.name}_{group}"
            cx.steps[self.entity, step] = Choose(self.entity, step, "score", "collect sum", tuple(rules), 0)
            field = self.field(f"_{group}")
            terms.append(f"min({field}, {_plain(caps[group])})" if group in caps else field)
        for signal in section.signals:
            self.signal(signal)
            terms.append(self.field(f"_{signal.name}"))
        total = " + ".join(terms)
        total = f"max({total}, {_plain(section.least)})" if section.least is not None else total
        self.derive("", f"min({total}, {_plain(section.most)})" if section.most is not None else total)

    def signal(self, signal: SignalSection) -> None:
        """Dated records, each worth points that fade by half-life or by step; or one date that comes near."""
        cx, points_name = self.cx, f"_{signal.name}"
        half_life, ahead = self._days(signal.half_life), self._days(signal.ahead)
        points = _plain(signal.points)
        if signal.at:
            at = self.said(signal.at, "date", "date and time")
            self.derive(
                points_name, f"if today <= date({at}) and date({at}) <= today + {ahead or '30 days'} then {points} else 0", signal.at
            )
            return
        if not signal.of:
            cx.say("R304", signal.name, "a signal needs `of`, a list of dated records, or `at`, a date", "write `of: account.signals`")
            return
        records, when = self.said(signal.of, "list"), str(signal.date or "date")
        for field in (when, *([signal.weight] if signal.weight else [])):
            self._has(records, field, signal.of)
        age = f"(today - date(x.{when}))"
        worth = points + (f" * (if x.{signal.weight} = null then 1 else x.{signal.weight})" if signal.weight else "")
        if half_life:
            worth += f" * 0.5 ** ({age} / {half_life})"
        elif signal.step:
            every = self._days(signal.step.every)
            worth = f"max(0, {worth} - {_plain(signal.step.minus)} * floor({age} / {every or '7 days'}))"
        listed = f"{records}[{when} != null and date({when}) <= today]"
        total = f"if count({listed}) = 0 then 0 else sum(for x in {listed} return {worth})"
        self.derive(points_name, f"min({total}, {_plain(signal.most)})" if signal.most is not None else total, signal.of)

    def _has(self, records: str, field: str, place: Text) -> None:
        """Say where the records of a list have no such field."""
        with self.cx.apart() as problems:
            self.cx.value(Text(f"for x in {records} return x.{field}", SameOrigin(self.name)), self.names)
        at = field if isinstance(field, Text) else place
        self.cx.diagnostics += [replace(d, span=span_of(at)) for d in problems]

    def _days(self, text: Text | None) -> str:
        """A duration of days or hours, as text; empty where there is none, or after a diagnostic."""
        if not text:
            return ""
        duration = self.cx.duration(text)
        if duration is not None and v.kind(duration) != "days and time duration":
            self.cx.say("R311", text, f"`{text}` is not a number of days", "write it in days, such as 90 days")
            return ""
        return str(text) if duration is not None else ""

    # --- the others -------------------------------------------------------------------------------------------------

    def weighted(self) -> None:
        """Parts on a scale each (`of` is its full mark), by weight; the score is from 0 to 100."""
        parts = self.section.weighted
        whole = sum(weighted.weight for weighted in parts.values())
        for name, weighted in parts.items():
            share = f"min(1, max(0, {self.number(weighted.score)} / {_plain(weighted.of)}))"
            self.derive(f"_{name}", f"100 * {_plain(weighted.weight)} / {_plain(whole)} * {share}", weighted.score)
        self.derive("", " + ".join(self.field(f"_{name}") for name in parts))

    def matrix(self) -> None:
        """Two scores cut into bands: letters for the first, figures for the second; A1 is the best."""
        (first, rows), (second, columns) = self.section.matrix.items()
        rules = []
        one, two = self.said(first, "number"), self.said(second, "number")
        for bounds in (rows, columns):
            if list(bounds) != sorted(set(bounds), reverse=True):
                self.cx.say(
                    "R304",
                    self.name,
                    f"the bounds {', '.join(map(str, bounds))} must go down",
                    "write them from the highest: [75, 50, 25]",
                )
        for i, row in enumerate([*rows, None]):
            for j, column in enumerate([*columns, None]):
                tests = [
                    f"{one} >= {_plain(row)}" if row is not None else f"{one} != null",
                    f"{two} >= {_plain(column)}" if column is not None else f"{two} != null",
                ]
                grade = f"{chr(65 + i)}{j + 1}"
                exprs = [self.cx.parse(test) for test in tests]
                rules.append(Rule(Text(grade, self.name.origin), tuple(written(e.tree, first) for e in exprs if e), grade))
        self.cx.steps[self.entity, str(self.name)] = Choose(self.entity, str(self.name), "score", "first", tuple(rules))

    def rank(self) -> None:
        """The place of a value among the records of a segment, with percentile and tier."""
        rank = self.section.rank
        assert rank is not None
        self.derive("_of", self.said(rank.of, "number"), rank.of)
        self.derive("_within", self.said(rank.within) if rank.within else "null", rank.within)
        tiers = tuple((str(name), float(share)) for name, share in rank.tiers.items())
        if tiers and abs(sum(share for _, share in tiers) - 100) > 1e-9:
            self.cx.say("R304", rank.key("tiers"), f"the tiers add up to {sum(s for _, s in tiers):g} %", "make them add up to 100 %")
        self.derive("", self.field("_of"), rank.of, among=tiers, strict=rank.ties == "strict")

    def logistic(self) -> None:
        """A logistic model by its coefficients: each part adds to the log-odds, the score is the chance in percent."""
        model = self.section.logistic
        assert model is not None
        for name, coefficient in model.parts.items():
            value = self.said(coefficient.of, "number", "boolean")
            expr = self.cx.parse(value)
            if expr and self.cx.type_of(expr, self.names).name == "boolean":
                value = f"(if {value} then 1 else 0)"
            else:
                value = f"(if {value} = null then {_plain(coefficient.missing)} else {value})"
            self.derive(f"_{name}", f"{_plain(coefficient.weight)} * {value}", coefficient.of)
        odds = " + ".join([_plain(model.intercept), *(self.field(f"_{name}") for name in model.parts)])
        self.derive("", f"100 / (1 + exp(-max(-700, min(700, {odds}))))")

    def profile(self) -> None:
        """An ideal customer profile: the weight of the attributes that a record has, of 100; what is a must decides alone."""
        attributes = self.section.profile
        self.cx.unique_names([attribute.name for attribute in attributes], "attributes")
        whole = sum(attribute.weight for attribute in attributes)
        rules = []
        for attribute in attributes:
            when = self.cx.condition(attribute.when, self.names)
            rules.append(Rule(attribute.name, (when,) if when else (), round(100 * attribute.weight / whole, 6), attribute.because))
        step = f"{self.name}_points"
        self.cx.steps[self.entity, step] = Choose(self.entity, step, "score", "collect sum", tuple(rules), 0)
        must = " and ".join(self.said(attribute.when, "boolean") for attribute in attributes if attribute.must)
        points = f"round_half_up({self.field('_points')}, 2)"
        self.derive("", f"if {must} then {points} else 0" if must else points)
        self.cx.reports[str(self.name)] = self._report()

    def _report(self) -> Report:
        """How many records meet each attribute of an ideal customer profile, and how many fit it."""
        measures = {str(x.name): expr for x in self.section.profile if (expr := self.cx.parse(x.when))}
        fits = self.cx.parse(f"{self.entity}.{self.name} >= 75")
        if fits:
            measures["score of 75 and more"] = written(fits.tree, self.name)
        return Report(str(self.name), self.entity, None, None, None, measures)


def _plain(number: float) -> str:
    """A number as the language writes it, without an exponent."""
    text = f"{number:.15f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
    return f"({text})" if number < 0 else text
