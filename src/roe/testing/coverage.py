"""What the tests of a policy reach: rules and table rows that decide, and both outcomes of every condition; with a reason for the rest.

The choosers of the one evaluator are watched while the tests run: of every decision the rules that were considered, up to the one that
decided, and each condition's truth. What is not covered was never reached, was always decided earlier, had conditions that never held,
or can never fire, which is the analysis' proof.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from roe.analysis.checked import WRITTEN, title
from roe.analysis.finder import Finder
from roe.analysis.verdicts import RuleTable
from roe.dynamic import Json
from roe.evaluator.choose import Choice, Chooser
from roe.evaluator.engine import Evaluator
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar.scopes import Scope
from roe.plan.operators import Choose
from roe.source import SameOrigin, Span
from roe.testing.cases import Case
from roe.testing.runner import CaseResult, run_case

Key = tuple[str, str, str]  # (steps or engagement, entity, name or role)


@dataclass(slots=True)
class OutcomeCoverage:
    """How often a condition was true, and how often it was not."""

    text: str
    place: Span
    true: int = 0
    other: int = 0

    @property
    def covered(self) -> int:
        return (self.true > 0) + (self.other > 0)


@dataclass(slots=True)
class Covered:
    """One rule: how often it was considered and decided, which rules decided before it, and its conditions."""

    name: str
    place: Span
    conditions: list[OutcomeCoverage]
    considered: int = 0
    fired: int = 0
    before: dict[str, int] = field(default_factory=dict)
    reason: str = ""


class CaseRecords:
    """The records that a case expects something of, and their accounts."""

    def __init__(self, case: Case) -> None:
        self.expected = {(e.entity, e.record) for e in case.expect}
        self.keys: set[tuple[str, str]] = set()
        self.world: World | None = None  # whose records they are: each step of a case has its own

    def records(self, world: World) -> set[tuple[str, str]]:
        if self.world is not world:
            self.world, self.keys = world, set()
            for entity, key in self.expected:
                row = world.find(entity, key) if entity in world.rows else None
                if row is None:
                    continue
                self.keys.add((entity, str(row["id"])))
                account = row["account"]
                if isinstance(account, Row):
                    self.keys.add(("account", str(account["id"])))
        return self.keys


class WatchedRules(Chooser):
    """A chooser that notes what it is asked, and decides as the one it stands for.

    `probes` say by rule which planted faults would decide otherwise: `differs` gathers their numbers, and whether that was about one of
    the records that a case is about.
    """

    __slots__ = ("about", "differs", "note", "probes")

    def __init__(self, chooser: Chooser, lists: Mapping[str, list[object]]) -> None:
        super().__init__(chooser.step, lists)
        self.note: list[tuple[tuple[int, ...], dict[int, list[bool]]]] = []
        self.probes: dict[int, list[tuple[int, Probe]]] = {}
        self.differs: dict[int, bool] = {}
        self.about: CaseRecords | None = None

    def __call__(self, scope: Scope) -> Choice:
        choice = super().__call__(scope)
        n = len(self.step.rules)
        last = choice.fired[0] + 1 if self.step.hit == "first" and choice.fired else n
        truths = {i: [code(scope) is True for code in self._conditions(i)] for i in range(last)}
        self.note.append((choice.fired, truths))
        if self.probes:
            row = scope[self.step.entity]
            wanted = self.about is not None and (row.entity, str(row["id"])) in self.about.records(row.world)
            for number in truths:
                for mutant, probe in self.probes.get(number, ()):
                    if self.differs.get(mutant, False) < wanted or mutant not in self.differs:
                        if probe(self, scope, truths[number], choice):
                            self.differs[mutant] = wanted
        return choice


Probe = Callable[[WatchedRules, Scope, list[bool], Choice], bool]


def _by_hand(step: Choose) -> bool:
    """Whether somebody wrote the rules, and not a stage, as those of a score's matrix."""
    if step.stage in ("engagement", "staffing"):
        return bool(step.rules)
    return any(not isinstance(c.text.origin, SameOrigin) for rule in step.rules for c in rule.conditions)


@dataclass(slots=True)
class CoverageReport:
    """What the tests reached, list by list; `noticed` says of each case which planted faults decide something in it otherwise,
    and whether it is something that the case expects.
    """

    lists: dict[Key, list[Covered]]
    titles: dict[Key, str]
    results: list[CaseResult]
    noticed: list[tuple[Case, dict[int, bool]]]

    def rules(self) -> tuple[int, int]:
        every_rule = [rule for rules in self.lists.values() for rule in rules]
        return sum(rule.fired > 0 for rule in every_rule), len(every_rule)

    def outcomes(self) -> tuple[int, int]:
        conditions = [c for rules in self.lists.values() for rule in rules for c in rule.conditions]
        return sum(c.covered for c in conditions), 2 * len(conditions)

    @property
    def share(self) -> float:
        """Rules that decided and outcomes that were met, of all there are, in percent."""
        (fired, rules), (met, outcomes) = self.rules(), self.outcomes()
        return 100 * (fired + met) / (rules + outcomes) if rules + outcomes else 100.0

    def as_json(self) -> Json:
        return {
            "percent": round(self.share, 1),
            "lists": [
                {
                    "title": self.titles[key],
                    "rules": [
                        {"name": r.name, "file": r.place.file, "line": r.place.line, "considered": r.considered, "fired": r.fired, "reason": r.reason or None,
                         "conditions": [{"text": c.text, "true": c.true, "other": c.other} for c in r.conditions]}
                        for r in rules
                    ],
                }
                for key, rules in self.lists.items()
            ],
        }  # fmt: skip


def watched(evaluator: Evaluator) -> tuple[Evaluator, dict[Key, WatchedRules]]:
    """The evaluator with a watch on every list of rules that somebody wrote."""
    lists = evaluator.policy.plan.lists
    by_list: dict[Key, WatchedRules] = {}
    compiled = evaluator.compiled.apart()
    for attribute, kind in (("choosers", "steps"), ("engagement", "engagement")):
        known = dict(getattr(compiled, attribute))
        for (entity, name), chooser in known.items():
            if chooser.step.stage in WRITTEN and _by_hand(chooser.step):
                known[entity, name] = by_list[kind, entity, name] = WatchedRules(chooser, lists)
        setattr(compiled, attribute, known)
    other = copy.copy(evaluator)
    other.compiled = compiled
    return other, by_list


def cover(evaluator: Evaluator, cases: Iterable[Case], probes: Iterable[tuple[Key, int, Probe]] = ()) -> CoverageReport:
    """Run the cases, and see what they reach; `probes` are (list, rule, fault) of faults that are asked about on the way."""
    other, watches = watched(evaluator)
    for number, (key, rule, probe) in enumerate(probes):
        watches[key].probes.setdefault(rule, []).append((number, probe))
    lists = {key: [_rule(evaluator, chooser.step, i) for i in range(len(chooser.step.rules))] for key, chooser in watches.items()}
    report = CoverageReport(lists, {key: title(chooser.step) for key, chooser in watches.items()}, [], [])
    for case in cases:
        about = CaseRecords(case)
        for chooser in watches.values():
            chooser.about = about
        report.results.append(run_case(other, case))
        differs: dict[int, bool] = {}
        for key, chooser in watches.items():
            _add(lists[key], chooser)
            differs |= chooser.differs
            chooser.differs, chooser.note = {}, []
        report.noticed.append((case, differs))
    _reasons(evaluator, report, watches)
    for key, chooser in watches.items():
        report.lists[key] = [covered for covered, rule in zip(lists[key], chooser.step.rules, strict=True) if not rule.is_built_in]
    return report


def _rule(evaluator: Evaluator, step: Choose, number: int) -> Covered:
    rule = step.rules[number]
    conditions = [
        OutcomeCoverage(str(expr.text)[slice(*tree.at)] if tree.at != s.NOWHERE else str(expr.text), expr.text.span(*tree.at) if tree.at != s.NOWHERE else expr.text.span())
        for expr in rule.conditions
        for tree in s.conjuncts(expr.tree)
    ]  # fmt: skip
    return Covered(str(rule.name), evaluator.compiled.place(rule.name), conditions)


def _add(rules: list[Covered], chooser: WatchedRules) -> None:
    for fired, truths in chooser.note:
        for number, conditions in truths.items():
            rules[number].considered += 1
            for outcome, truth in zip(rules[number].conditions, conditions, strict=True):
                outcome.true += truth
                outcome.other += not truth
        for number in fired:
            rules[number].fired += 1
        if chooser.step.hit == "first" and fired:
            for later in rules[fired[0] + 1 :]:
                later.before[rules[fired[0]].name] = later.before.get(rules[fired[0]].name, 0) + 1


def _reasons(evaluator: Evaluator, report: CoverageReport, watches: Mapping[Key, WatchedRules]) -> None:
    """Why rules that decided nothing did not."""
    finder = Finder(evaluator)
    for key, rules in report.lists.items():
        if all(rule.fired for rule in rules):
            continue
        step = watches[key].step
        never = {
            v.rules[0]: [str(step.rules[i].name) for i in v.others]
            for v in RuleTable(finder, step, Chooser(step, evaluator.policy.plan.lists)).never
        }
        for number, rule in enumerate(rules):
            if rule.fired:
                continue
            if number in never:
                by = ", ".join(f"`{n}`" for n in never[number][:3])
                rule.reason = f"can never fire: shadowed by {by}" if by else "can never fire: no record meets its conditions"
            elif not any(r.considered for r in rules):
                rule.reason = "never reached: no test asks for it"
            elif not rule.considered:
                by = ", ".join(f"`{n}`" for n in list(rule.before)[:3])
                rule.reason = f"always decided earlier, by {by}"
            else:
                failing = [c.text for c in rule.conditions if not c.true]
                rule.reason = f"considered {rule.considered} times, and never held" + (
                    f": `{failing[0]}` was never true" if failing else ""
                )


def lines(report: CoverageReport) -> dict[str, dict[int, tuple[int, int, int]]]:
    """By file and line: how often rules of the line decided, how many outcomes of its conditions were met, and of how many."""
    by_file: dict[str, dict[int, tuple[int, int, int]]] = {}

    def add(place: Span, hits: int, met: int, of: int) -> None:
        here = by_file.setdefault(place.file, {})
        a, b, c = here.get(place.line, (hits, 0, 0))
        here[place.line] = (min(a, hits), b + met, c + of)

    for rules in report.lists.values():
        for rule in rules:
            add(rule.place, rule.fired, 0, 0)
            for c in rule.conditions:
                add(c.place, rule.fired, c.covered, 2)
    return by_file


def cobertura(report: CoverageReport, root: str) -> str:
    """Cobertura XML, which CI services read: a line for each rule, its conditions' outcomes as branches."""
    from xml.sax.saxutils import quoteattr

    files = lines(report)
    (fired, rules), (met, outcomes) = report.rules(), report.outcomes()
    rate, branches = fired / max(rules, 1), met / max(outcomes, 1)
    head = (
        f'<coverage line-rate="{rate:.4f}" branch-rate="{branches:.4f}" lines-covered="{fired}" lines-valid="{rules}" '
        f'branches-covered="{met}" branches-valid="{outcomes}" complexity="0" version="1" timestamp="0">'
    )
    xml = ['<?xml version="1.0" encoding="utf-8"?>', head, f"<sources><source>{_text(root)}</source></sources>", "<packages>"]
    xml.append(f'<package name="policy" line-rate="{rate:.4f}" branch-rate="{branches:.4f}" complexity="0"><classes>')
    for file, covered in sorted(files.items()):
        xml.append(
            f'<class name={quoteattr(file)} filename={quoteattr(file)} line-rate="{_share(covered):.4f}" branch-rate="0" complexity="0"><methods/><lines>'
        )
        for number, (hits, here, of) in sorted(covered.items()):
            branch = f' branch="true" condition-coverage="{100 * here // of}% ({here}/{of})"' if of else ' branch="false"'
            xml.append(f'<line number="{number}" hits="{hits}"{branch}/>')
        xml.append("</lines></class>")
    return "\n".join([*xml, "</classes></package>", "</packages>", "</coverage>", ""])


def _share(counts: Mapping[int, tuple[int, int, int]]) -> float:
    return sum(hits > 0 for hits, _, _ in counts.values()) / max(len(counts), 1)


def _text(text: str) -> str:
    from xml.sax.saxutils import escape

    return escape(text)
