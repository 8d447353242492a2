"""Cases run against a policy: each is a run of its own over the records it is given, or, in steps, several with one memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from roe.crm.ids import fold
from roe.dynamic import Value, Values
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator, Run
from roe.evaluator.render import brief
from roe.evaluator.reps import misnamed
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.functions.history import by_role
from roe.grammar.parser import parse
from roe.testing.cases import Case, CaseStep, Expectation, Given, as_read, updated


@dataclass(slots=True)
class Failure:
    """One expectation that did not hold: what was wanted, what came, and the conditions behind it."""

    what: str
    wanted: str
    got: str
    place: str
    why: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CaseResult:
    case: Case
    failures: list[Failure]

    @property
    def passed(self) -> bool:
        return not self.failures


def run_case(evaluator: Evaluator, case: Case) -> CaseResult:
    failures: list[Failure] = []
    try:
        for step, run in play(evaluator, case):
            of_step = [Failure("rep", "the name of one rep", f"{d.message}; {d.help}", str(d.span)) for d in misnamed(run.world)]
            for expected in step.expect:
                of_step += _check(run, expected)
            failures += of_step if len(case.steps) == 1 else [replace(f, what=f"{f.what} on {step.as_of}") for f in of_step]
    except (ValueError, OverflowError) as e:
        days = ", ".join(step.as_of for step in case.steps)
        return CaseResult(case, [Failure("as_of", "a date or date-time", f"{days} ({e})", str(case.place))])
    return CaseResult(case, failures)


def play(evaluator: Evaluator, case: Case) -> Iterator[tuple[CaseStep, Run]]:
    """The runs of a case, each with its step. Between two steps the CRM loads what was decided, unless the step says otherwise.

    Raises ValueError or OverflowError for a step whose `as_of` is not a day.
    """
    if len(case.steps) == 1:
        step = case.steps[0]
        yield step, evaluator.run(step.given, as_of=step.as_of)
        return
    from roe.run.nights import Nights

    tables: Given = {}
    waiting: dict[tuple[str, str], dict[str, str]] = {}  # by record what was decided, and is not loaded yet
    with Nights() as nights:
        for step in case.steps:
            if step.loaded:
                tables = _load_back(tables, waiting)
            tables = updated(tables, step.given, step.gone, evaluator.policy)
            run = nights.run(evaluator, tables, step.as_of)
            waiting = {}
            for d in run.decisions:
                if d.moved:
                    waiting.setdefault((d.entity, d.id), {})[f"owner.{d.role}"] = d.owner or ""
            yield step, run


def _load_back(tables: Given, owners: Mapping[tuple[str, str], Mapping[str, str]]) -> Given:
    """The records with the owners that were decided for them."""

    def loaded(entity: str, row: Values) -> Values:
        new = owners.get((entity, fold(str(row.get("id")))), {})
        skipped = ("owner_queue",) if any(new.values()) else ()
        return {**{k: x for k, x in row.items() if k not in skipped}, **new} if new else row

    return {entity: as_read([loaded(entity, row) for row in rows], rows) for entity, rows in tables.items()}


def _check(run: Run, e: Expectation) -> list[Failure]:
    """What an expectation of a run's records finds otherwise."""
    reject = next((r for r in run.world.rejects if fold(r.record) == fold(e.record) and r.entity == e.entity), None)
    if e.rejected is not None:
        got = reject.reason if reject else "it was not rejected"
        return [] if reject and str(e.rejected) in got else [Failure("rejected", str(e.rejected), got, str(e.rejected.span()))]
    if reject is not None:
        return [Failure("record", e.record, f"it was rejected: {reject.field}: {reject.reason}", str(e.place))]
    row = run.world.find(e.entity, e.record)
    decision = next((d for d in run.decisions if d.row is row and d.role == e.role), None)
    if row is None or (e.role and decision is None):
        return [_unknown(run, e)]
    failures = [] if decision is None else _decided_otherwise(run, decision, e)  # only who names no role expects values alone
    for text, wanted in e.values.items():
        value, want, problem = _value(run, row, text), *_literal(wanted)
        if problem or v.equal(value, want) is not True:
            failures.append(Failure(text, str(wanted), problem or brief(value), str(wanted.span()), []))
    return failures


def _decided_otherwise(run: Run, decision: Decision, e: Expectation) -> list[Failure]:
    failures = []
    for what, wanted in e.wanted.items():
        owner = decision.owner if what == "owner" else None
        got = _shown(getattr(decision, what)) if owner is None else _owner(run, owner, str(wanted))
        if got != (str(wanted) or "nobody"):
            failures.append(Failure(what, str(wanted), got, str(wanted.span()), _because(decision)))
    return failures


def _unknown(run: Run, e: Expectation) -> Failure:
    """An expectation of a record that is not there, or that could be one of several."""
    same = ", ".join(r.written for r in run.world.search(e.entity, e.record))
    ids = same or ", ".join(sorted(r.written for r in run.world.rows[e.entity])[:8])
    what = "several have this name" if same else f"no {e.entity} has this id or name"
    return Failure("record", e.record, f"{what}; there are {ids or 'none'}", str(e.place))


def _owner(run: Run, owner: str, wanted: str) -> str:
    """An owner as a failure shows it; what was wanted, where that names the same rep."""
    rep, named = run.world.rep(owner), run.world.search("rep", wanted)
    if len(named) > 1:
        return "a name that several have: " + ", ".join(r.written for r in named)
    if rep in named:
        return wanted or "nobody"
    return rep.written if rep is not None else _shown(owner)


def _shown(value: object) -> str:
    return "nobody" if value is None or value == "" else str(v.string(value))


def _value(run: Run, row: Row, text: str) -> Value:
    """The value of an expression about the record, as its rules saw it; a bare field name will do."""
    tree, problems = parse(text)
    if tree is None:
        return problems[0].message
    with run.world.as_before(row.entity):
        return compile_expression(by_role(tree, run.world.policy.roles))(run.world.scope(row))


def _literal(text: str) -> tuple[object, str]:
    """An expected value: a literal, or a plain word for a text."""
    tree, _ = parse(text)
    from roe.api import scope_of
    from roe.grammar import syntax as s

    if tree is None or isinstance(tree, s.Name):
        return str(text), ""
    if v.parse_temporal(text) is not None:
        return v.parse_temporal(text), ""
    return compile_expression(tree)(scope_of({})), ""


def _because(d: Decision) -> list[str]:
    """The values under each part of the conditions that decided."""
    lines = [d.trace.sentence]
    for step in d.trace.steps[:1]:
        for rule in step.rules:
            mark = {True: "yes", False: "no", None: "unknown"}
            lines.append(f"{mark[rule.result]:<7} {rule.name}  ({rule.place})")
            for c in rule.conditions:
                values = "; ".join(f"{p.text} = {brief(p.value)}" for p in c.parts)
                lines.append(f"  {mark[c.result]:<7} {c.text}   [{values}]")
    return lines


def junit(results: Iterable[CaseResult], seconds: float) -> str:
    """JUnit XML, as CI services read it."""
    from xml.sax.saxutils import escape, quoteattr

    results = list(results)
    failed = sum(not r.passed for r in results)
    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    lines.append(f'<testsuite name="roe test" tests="{len(results)}" failures="{failed}" errors="0" time="{seconds:.3f}">')
    for r in results:
        place = f"line={quoteattr(str(r.case.place.line if r.case.place else 1))} file={quoteattr(r.case.file)}"
        lines.append(f"  <testcase classname={quoteattr(r.case.file)} name={quoteattr(_clean(r.case.name))} {place}>")
        for f in r.failures:
            body = "\n".join([f"{f.place}: {f.what}: expected {f.wanted}, got {f.got}", *f.why])
            message = quoteattr(_clean(f"{f.what}: expected {f.wanted}, got {f.got}"))
            lines.append(f"    <failure message={message}>{escape(_clean(body))}</failure>")
        lines.append("  </testcase>")
    return "\n".join([*lines, "</testsuite>", ""])


def _clean(text: str) -> str:
    """XML 1.0 has no control characters, not even escaped."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text)
