"""Score models beyond a sum of points: capped groups, dated signals that decay, weighted parts, a grade matrix, ranks inside a
segment, an ideal customer profile, and logistic models. Each part of a score is a step of its own, and so a line in the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.grammar.types import Type
from roe.plan.operators import Choose, Derive, Expr, Report, Rule
from roe.policy.context import Context, written
from roe.source import Text, span_of

KINDS = ("criteria", "signals", "weighted", "matrix", "rank", "logistic", "profile")


def kind_of(section: Any) -> str:
    """Which model a section of `scores:` is; empty for a table, and `criteria` where all there is are points."""
    found = next((k for k in KINDS if section.get(k)), "")
    more = found == "criteria" and (section.get("signals") or section.get("caps") or "least" in section or "most" in section)
    return "points" if more or found == "signals" else found


def parts_of(section: Any, kind: str) -> list[tuple[str, Type]]:
    """The fields that a model adds beside its own, by what follows its name."""
    if kind == "points":
        groups = dict.fromkeys(str(c.get("group") or "points") for c in section.get("criteria") or ())
        return [(f"_{x}", t.NUMBER) for x in (*groups, *(s["name"] for s in section.get("signals") or ()))]
    if kind in ("weighted", "logistic"):
        return [(f"_{x}", t.NUMBER) for x in (section[kind]["parts"] if kind == "logistic" else section[kind])]
    if kind == "rank":
        return [("_of", t.NUMBER), ("_within", t.ANY)]
    return [("_points", t.NUMBER)] if kind == "profile" else []


def type_of(section: Any, kind: str) -> Type:
    if kind == "matrix":
        return Type("string", values=tuple(_grades(section["matrix"])))
    if kind == "rank":
        tiers = tuple(map(str, section["rank"].get("tiers") or {}))
        tier = Type("string", values=tiers) if tiers else t.STRING
        return Type("record", fields={"rank": t.NUMBER, "of": t.NUMBER, "percentile": t.NUMBER, "tier": tier})
    return t.NUMBER


def lower(section: Any, kind: str, name: Text, entity: str, cx: Context) -> None:
    model = _Model(section, name, entity, cx)
    by_kind: dict[str, Callable[[], None]] = {
        "points": model.points, "weighted": model.weighted, "matrix": model.matrix, "rank": model.rank, "logistic": model.logistic, "profile": model.profile,
    }  # fmt: skip
    by_kind[kind]()


def reports(policy: Any, cx: Context) -> dict[str, Report]:
    """The report of each ideal customer profile: how many records meet each of its attributes."""
    found = {}
    for name, section in (policy.get("scores") or {}).items():
        if section.get("profile"):
            entity = str(section.get("for") or "account")
            measures: dict[str, Expr] = {}
            for item in section["profile"]:
                expr = cx.parse(item["when"])
                if expr:
                    measures[str(item["name"])] = expr
            fits = cx.parse(f"{entity}.{name} >= 75")
            if fits:
                measures["score of 75 and more"] = written(fits.tree, name)
            found[str(name)] = Report(str(name), entity, None, None, None, measures)
    return found


def _grades(matrix: Any) -> list[str]:
    rows, columns = (len(bounds) + 1 for bounds in matrix.values())
    return [f"{chr(65 + i)}{j + 1}" for i in range(rows) for j in range(columns)]


class _Model:
    def __init__(self, section: Any, name: Text, entity: str, cx: Context) -> None:
        self.section, self.name, self.entity, self.cx = section, name, entity, cx
        self.names = cx.names(entity)

    def derive(self, part: str, text: str, place: Any = None, **more: Any) -> None:
        tree = self.cx.parse(text)
        assert tree is not None, text
        step = f"{self.name}{part}"
        at = place if isinstance(place, Text) else self.name
        self.cx.steps[self.entity, step] = Derive(self.entity, step, "score", written(tree.tree, at), **more)

    def field(self, part: str = "") -> str:
        return f"{self.entity}.{self.name}{part}"

    def said(self, given: Any, *kinds: str) -> str:
        """A checked expression of the policy as text that can stand inside of another; `null` after a diagnostic."""
        text = given if isinstance(given, Text) else Text(str(given), self.name.origin)
        expr = self.cx.value(text, self.names, *kinds)
        return f"({show(expr.tree)})" if expr else "null"

    def number(self, given: Any) -> str:
        """The same of a number, of which a missing one counts as nothing."""
        text = self.said(given, "number")
        return f"(if {text} = null then 0 else {text})"

    def rules(self, items: Any, points: Callable[[Any], Any]) -> tuple[Rule, ...]:
        found = []
        for raw in items:
            when = self.cx.condition(raw["when"], self.names)
            conditions = ((when,) if when else ()) + self.cx.period(raw.get("from"), raw.get("until"))
            found.append(Rule(raw["name"], conditions, points(raw), raw.get("because")))
        return tuple(found)

    # --- points -----------------------------------------------------------------------------------------------------

    def points(self) -> None:
        """Criteria by group, each group capped; signals; the whole within bounds."""
        section, cx = self.section, self.cx
        criteria = section.get("criteria") or []
        cx.unique_names([c["name"] for c in criteria], "criteria")
        cx.unique_names([x["name"] for x in section.get("signals") or ()], "signals")
        by_group: dict[str, list[Any]] = {}
        for raw in criteria:
            by_group.setdefault(str(raw.get("group") or "points"), []).append(raw)
        caps = section.get("caps") or {}
        for group in caps:
            if group not in by_group:
                cx.say("R503", group, f"no criterion belongs to the group `{group}`", f"the groups are {', '.join(by_group) or 'none'}")
        terms = []
        for group, items in by_group.items():
            step = f"{self.name}_{group}"
            cx.steps[self.entity, step] = Choose(self.entity, step, "score", "collect sum", self.rules(items, lambda r: r["points"]), 0)
            field = self.field(f"_{group}")
            terms.append(f"min({field}, {_plain(caps[group])})" if group in caps else field)
        for raw in section.get("signals") or ():
            self.signal(raw)
            terms.append(self.field(f"_{raw['name']}"))
        total = " + ".join(terms)
        total = f"max({total}, {_plain(section['least'])})" if "least" in section else total
        self.derive("", f"min({total}, {_plain(section['most'])})" if "most" in section else total)

    def signal(self, raw: Any) -> None:
        """Dated records, each worth points that fade by half-life or by step; or one date that comes near."""
        cx, part = self.cx, f"_{raw['name']}"
        days = {key: self._days(raw, key) for key in ("half_life", "ahead")}
        points = _plain(raw["points"])
        if raw.get("at"):
            at, ahead = self.said(raw["at"], "date", "date and time"), days["ahead"] or "30 days"
            self.derive(part, f"if today <= date({at}) and date({at}) <= today + {ahead} then {points} else 0", raw["at"])
            return
        if not raw.get("of"):
            cx.say("R304", raw["name"], "a signal needs `of`, a list of dated records, or `at`, a date", "write `of: account.signals`")
            return
        records, when = self.said(raw["of"], "list"), str(raw.get("date") or "date")
        for field in (when, *([raw["weight"]] if raw.get("weight") else [])):
            self._has(records, field, raw["of"])
        age = f"(today - date(x.{when}))"
        worth = points + (f" * (if x.{raw['weight']} = null then 1 else x.{raw['weight']})" if raw.get("weight") else "")
        if days["half_life"]:
            worth += f" * 0.5 ** ({age} / {days['half_life']})"
        elif raw.get("step"):
            every = self._days(raw["step"], "every")
            worth = f"max(0, {worth} - {_plain(raw['step']['minus'])} * floor({age} / {every or '7 days'}))"
        listed = f"{records}[{when} != null and date({when}) <= today]"
        total = f"if count({listed}) = 0 then 0 else sum(for x in {listed} return {worth})"
        self.derive(part, f"min({total}, {_plain(raw['most'])})" if "most" in raw else total, raw["of"])

    def _has(self, records: str, field: Any, place: Any) -> None:
        """Say where the records of a list have no such field."""
        before = len(self.cx.found)
        self.cx.value(Text(f"for x in {records} return x.{field}", self.name.origin), self.names)
        at = field if isinstance(field, Text) else place
        self.cx.found[before:] = [replace(d, span=span_of(at)) for d in self.cx.found[before:]]

    def _days(self, raw: Any, key: str) -> str:
        """A duration of days or hours, as text; empty where there is none, or after a diagnostic."""
        if not raw.get(key):
            return ""
        found = self.cx.duration(raw[key])
        if found is not None and v.kind(found) != "days and time duration":
            self.cx.say("R311", raw[key], f"`{raw[key]}` is not a number of days", "write it in days, such as 90 days")
            return ""
        return str(raw[key]) if found is not None else ""

    # --- the others -------------------------------------------------------------------------------------------------

    def weighted(self) -> None:
        """Parts on a scale each (`of` is its full mark), by weight; the score is from 0 to 100."""
        parts = self.section["weighted"]
        whole = sum(p["weight"] for p in parts.values())
        for name, part in parts.items():
            share = f"min(1, max(0, {self.number(part['score'])} / {_plain(part.get('of') or 100)}))"
            self.derive(f"_{name}", f"100 * {_plain(part['weight'])} / {_plain(whole)} * {share}", part["score"])
        self.derive("", " + ".join(self.field(f"_{name}") for name in parts))

    def matrix(self) -> None:
        """Two scores cut into bands: letters for the first, figures for the second; A1 is the best."""
        (first, rows), (second, columns) = self.section["matrix"].items()
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
        raw = self.section["rank"]
        self.derive("_of", self.said(raw["of"], "number"), raw["of"])
        self.derive("_within", self.said(raw["within"]) if raw.get("within") else "null", raw.get("within"))
        tiers = tuple((str(name), float(share)) for name, share in (raw.get("tiers") or {}).items())
        if tiers and abs(sum(share for _, share in tiers) - 100) > 1e-9:
            self.cx.say("R304", raw.key("tiers"), f"the tiers add up to {sum(s for _, s in tiers):g} %", "make them add up to 100 %")
        self.derive("", self.field("_of"), raw["of"], among=tiers, strict=str(raw.get("ties") or "share") == "strict")

    def logistic(self) -> None:
        """A logistic model by its coefficients: each part adds to the log-odds, the score is the chance in percent."""
        raw = self.section["logistic"]
        for name, part in raw["parts"].items():
            value = self.said(part["of"], "number", "boolean")
            expr = self.cx.parse(value)
            if expr and self.cx.type_of(expr, self.names).name == "boolean":
                value = f"(if {value} then 1 else 0)"
            else:
                value = f"(if {value} = null then {_plain(part.get('missing') or 0)} else {value})"
            self.derive(f"_{name}", f"{_plain(part['weight'])} * {value}", part["of"])
        odds = " + ".join([_plain(raw["intercept"]), *(self.field(f"_{name}") for name in raw["parts"])])
        self.derive("", f"100 / (1 + exp(-max(-700, min(700, {odds}))))")

    def profile(self) -> None:
        """An ideal customer profile: the weight of the attributes that a record has, of 100; what is a must decides alone."""
        items = self.section["profile"]
        self.cx.unique_names([x["name"] for x in items], "attributes")
        whole = sum(x.get("weight") or 1 for x in items)
        rules = self.rules(items, lambda x: round(100 * (x.get("weight") or 1) / whole, 6))
        step = f"{self.name}_points"
        self.cx.steps[self.entity, step] = Choose(self.entity, step, "score", "collect sum", rules, 0)
        must = " and ".join(self.said(x["when"], "boolean") for x in items if x.get("must"))
        points = f"round_half_up({self.field('_points')}, 2)"
        self.derive("", f"if {must} then {points} else 0" if must else points)


def _plain(number: float) -> str:
    """A number as the language writes it, without an exponent."""
    text = f"{number:.15f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
    return f"({text})" if number < 0 else text
