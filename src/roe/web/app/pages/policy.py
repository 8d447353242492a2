"""The policy as the rulebook that reps read, with what each rule decided in this run, what `roe check` finds, and the policy's tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from markupsafe import Markup
from starlette.responses import Response

from roe.handbook import Block, handbook
from roe.untrusted import visible
from roe.web.app.search import plain
from roe.web.app.site import Ask
from roe.web.app.snapshot import Snapshot
from roe.web.page import with_marks

COUNTED = timedelta(days=30)  # over which the ledger's decisions are counted
SIZE = 100  # findings, tests and rules that are listed together
ROWS = 300  # of a table of the handbook: whoever looks for another one searches
MOST = 400  # rules whose counts are listed together


@dataclass(slots=True)
class HandbookSection:
    """A heading of the handbook and what stands below it; `roles` are the rules' counts by the rule's name."""

    title: str
    anchor: str
    blocks: list[Block]


def show(ask: Ask) -> Response:
    text = ask.text("q")
    chosen = [s for s in (searched(section, text) for section in sections(ask.snapshot)) if s is not None]
    since = ask.snapshot.clock.today - COUNTED
    history = ask.options.history.by_rule(since) if ask.options.history is not None else None
    return ask.render(
        "policy.html",
        q=text,
        sections=chosen,
        marked=marked,
        share=share(ask.snapshot),
        history=history,
        unknown=ask.snapshot.unknown,
        most=ROWS,
        days=COUNTED.days,
        **ask.paged(counts(ask.snapshot), MOST),
    )


def counts(snapshot: Snapshot) -> list[tuple[str, str, str, int]]:
    """(entity, role, rule, how many records it decided) of every rule, in the order of the rules."""
    return [
        (entity, role, str(rule.name), snapshot.outcomes.rules[entity, role, str(rule.name)])
        for (entity, role), step in snapshot.plan.engagement.items()
        for rule in step.rules
        if not rule.is_built_in or snapshot.outcomes.rules[entity, role, str(rule.name)]
    ]


def share(snapshot: Snapshot) -> dict[tuple[str, str], int]:
    """How many records were decided for each entity and role."""
    decided: dict[tuple[str, str], int] = {}
    for (entity, role, _), n in snapshot.outcomes.rules.items():
        decided[entity, role] = decided.get((entity, role), 0) + n
    return decided


def sections(snapshot: Snapshot) -> list[HandbookSection]:
    """The handbook in its sections; made once for a snapshot."""
    return snapshot.once("handbook", lambda: _sections(blocks(snapshot)))


def _sections(blocks: Iterable[Block]) -> list[HandbookSection]:
    made: list[HandbookSection] = []
    for block in blocks:
        if block.kind == "h2":
            made.append(HandbookSection(block.text, f"part-{len(made) + 1}", []))
        elif made:
            made[-1].blocks.append(block)
    return made


def blocks(snapshot: Snapshot) -> list[Block]:
    from roe.testing.cases import load_cases

    cases, _ = load_cases(snapshot.policy)
    return handbook(snapshot.evaluator, snapshot.bound, cases, None, "")


def searched(section: HandbookSection, text: str) -> HandbookSection | None:
    """The section with only what answers to a text; None if nothing does."""
    wanted = plain(text)
    if not wanted or wanted in plain(section.title):
        return section
    left = []
    for block in section.blocks:
        if block.kind in ("ol", "ul"):
            items = tuple(x for x in block.items if wanted in plain(x))
            left += [Block(block.kind, block.text, items)] if items else []
        elif block.kind == "table":
            header, *rows = block.rows
            rows = [row for row in rows if any(wanted in plain(str(cell)) for cell in row)]
            left += [Block("table", block.text, rows=(header, *rows))] if rows else []
        elif wanted in plain(block.text):
            left.append(block)
    return HandbookSection(section.title, section.anchor, left) if left else None


def marked(text: str) -> Markup:
    """The few marks that rules have; everything else is escaped before they are looked for."""
    return Markup(with_marks(visible(text)))


def findings(ask: Ask) -> Response:
    """What `roe check` finds with the records that are loaded."""
    from roe.analysis.check import findings as found
    from roe.analysis.checked import CheckedPolicy

    snapshot = ask.snapshot
    bound = snapshot.bound if snapshot.rows_alone else None
    every = snapshot.once("findings", lambda: found(CheckedPolicy(snapshot.evaluator, bound, snapshot.clock.today)))
    shown = [d for d in every if d.severity != "hint"]
    return ask.render("findings.html", **ask.paged(shown, SIZE), hints=len(every) - len(shown))


def tests(ask: Ask) -> Response:
    """The policy's own tests, and whether each passes."""
    from roe.testing.cases import load_cases
    from roe.testing.runner import run_case

    snapshot = ask.snapshot
    cases, problems = snapshot.once("cases", lambda: load_cases(snapshot.policy))
    results = snapshot.once("tests", lambda: [run_case(snapshot.evaluator, case) for case in cases])
    failed, passed = ([r for r in results if r.passed is x] for x in (False, True))
    return ask.render("tests.html", **ask.paged([*failed, *passed], SIZE), failed=len(failed), problems=problems)


def coverage(ask: Ask) -> Response:
    """What the tests reach of the rules, and why the others decide in none."""
    from roe.testing.cases import load_cases
    from roe.testing.coverage import cover
    from roe.web.coverage import by_list, idle, said

    snapshot = ask.snapshot
    report = snapshot.once("coverage", lambda: cover(snapshot.evaluator, snapshot.once("cases", lambda: load_cases(snapshot.policy))[0]))
    words, lists, never = snapshot.once("coverage in words", lambda: (said(report), by_list(report), idle(report)))
    return ask.render("coverage.html", said=words, lists=lists, **ask.paged(never, SIZE))
