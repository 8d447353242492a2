"""The policy as the rulebook that reps read: rules as sentences, who is where, windows, worked examples, and what has changed.

It is made from the policy, its tests and, where there is some, its data, so it is never out of date. A *block* is a heading, a paragraph,
a list or a table; `as_markdown` and `web.handbook` show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roe.analysis import words
from roe.analysis.graph import Said, said_of
from roe.dynamic import Written
from roe.evaluator.engine import Evaluator
from roe.grammar import values as v
from roe.grammar.parser import parse
from roe.plan.operators import Allocate, Choose, Derive, Expr, Rule
from roe.policy.loader import Map, load_policy_files
from roe.untrusted import markdown, paragraph
from roe.words import some

if TYPE_CHECKING:
    from roe.analysis.diff import PolicyChange
    from roe.evaluator.bound import Bound
    from roe.evaluator.engine import Run
    from roe.testing.cases import Case, CaseStep

MOST_ROWS = 60  # of one table that are shown
MOST_EXAMPLES = 40
LONGEST = 80  # characters of a name
HITS = {  # what a hit policy means
    "first": "The first line that matches decides.",
    "unique": "Only one line can match.",
    "priority": "If several lines match, the highest result counts.",
    "collect": "Every line that matches counts.",
    "any": "All lines that match give the same result.",
    "collect sum": "Add up the results of all lines that match.",
    "collect max": "Of all lines that match, the highest result counts.",
    "collect min": "Of all lines that match, the lowest result counts.",
    "collect count": "The result is the number of lines that match.",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the handbook: `kind` is h2, h3, p, ol, ul or table. Lists have items; a table has rows, and the first is its header."""

    kind: str
    text: str = ""
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines of a part as (name, what it asks, what follows); of a `ladder` the first line that holds decides."""

    title: str
    rows: tuple[Said, ...]
    ladder: bool = False


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the policy: as blocks, which the handbook shows, and as listings, which `roe graph` draws. `entity` and `role` are what it is about."""

    title: str
    blocks: tuple[Block, ...]
    listings: tuple[Listing, ...]
    entity: str = ""
    role: str = ""


def parts(evaluator: Evaluator, bound: Bound | None) -> list[Chapter]:
    """What the policy says, part by part, from the rules to what always holds."""
    book = _Book(evaluator, bound)
    made = (book.rules, book.territories, book.pools, book.windows, book.claims, book.sources, book.scores, book.terms, book.exceptions, book.invariants)  # fmt: skip
    return [section for some in made for section in some()]


def handbook(
    evaluator: Evaluator, bound: Bound | None, cases: Sequence[Case], changed: Sequence[PolicyChange] | None, since: str
) -> list[Block]:
    """All blocks, from the rules to worked examples and what has changed."""
    blocks = [block for section in parts(evaluator, bound) for block in (Block("h2", section.title), *section.blocks)]
    blocks += _examples(evaluator, cases)
    if changed is not None:
        blocks += _changes(changed, since)
    return blocks


def _changes(changed: Sequence[PolicyChange], since: str) -> Iterable[Block]:
    yield Block("h2", f"What has changed since {since}")
    if not changed:
        yield Block("p", "Nothing.")
        return
    rows = [("what", "where", "before", "now"), *((f"{c.name} ({c.kind})", c.where, c.before, c.after) for c in changed[:MOST_ROWS])]
    yield Block("table", rows=tuple(rows))


class _Book:
    def __init__(self, evaluator: Evaluator, bound: Bound | None) -> None:
        self.evaluator, self.policy, self.plan = evaluator, evaluator.policy, evaluator.policy.plan
        self.world = bound.world if bound is not None else None
        self.raw = [content for _, content in load_policy_files(self.policy.root)[0] if isinstance(content, Map)]

    def name(self, rep: object) -> str:
        """A rep by name, if the data has one."""
        row = self.world.find("rep", str(rep)) if self.world is not None and rep is not None else None
        return _short(row.label) if row is not None else "nobody" if rep is None else str(rep)

    def section(self, key: str) -> Mapping[str, Written]:
        return {str(k): x for content in self.raw for k, x in (content.get(key) or {}).items()}

    def rules(self) -> Iterable[Chapter]:
        for (entity, role), step in self.plan.engagement.items():
            title = f"Who is the {role.upper() if len(role) < 4 else role} of {words.an(entity)}"
            first = "The first rule that holds decides." + (
                " An approved exception comes before all of them." if self.plan.exceptions else ""
            )
            rows = said_of(step, self.name)
            rules = tuple(self._rule(rule, said, entity) for rule, said in zip(step.rules, rows, strict=True))
            yield Chapter(title, (Block("p", first), Block("ol", items=rules)), (Listing(title, tuple(rows), ladder=True),), entity, role)

    def _rule(self, rule: Rule, said: Said, entity: str) -> str:
        name, when, does = said
        lead = "In every other case" if when == "always" else f"If {when}"
        why = f" *Why:* {words.because(rule.because, entity)}." if rule.because else ""
        over = f" It takes precedence over {', '.join(map(str, rule.overrides))}." if rule.overrides else ""
        return f"**{name}.** {lead}, {does}.{over}{why}"

    def territories(self) -> Iterable[Chapter]:
        for (entity, name), step in self.plan.steps.items():
            if not isinstance(step, Choose) or step.stage != "territory" or name.endswith("_decided_by") or not len(step.rules):
                continue
            own = name.removeprefix("own_")
            title = "Territories" if own == "territory" and entity == "account" else f"{own.replace('_', ' ').capitalize()} of {entity}s"
            roles = [r for r in self.policy.roles if (staff := self._staffing(entity, own, r)) is not None and len(staff.rules)]
            outputs = _outputs(step)
            rows: list[tuple[str, ...]] = [("territory", "what belongs to it", *outputs, *roles)]
            listed: list[Said] = []
            for rule in step.rules[:MOST_ROWS]:
                values = rule.value if isinstance(rule.value, dict) else {}
                people = {role: self._staff(entity, own, role, str(rule.name)) for role in roles}
                when = words.when(rule, entity)
                rows.append((str(rule.name), when, *(str(values.get(k) or "") for k in outputs), *people.values()))
                listed.append((str(rule.name), when, "; ".join(f"{role}: {who}" for role, who in people.items() if who)))
            more = (Block("p", f"… and {len(step.rules) - MOST_ROWS} more."),) if len(step.rules) > MOST_ROWS else ()
            yield Chapter(title, (Block("table", rows=tuple(rows)), *more), (Listing(title, tuple(listed), ladder=True),), entity)

    def _staffing(self, entity: str, territory: str, role: str) -> Choose | None:
        step = self.plan.steps.get((entity, f"{territory}_owner.{role}"))
        return step if isinstance(step, Choose) else None

    def _staff(self, entity: str, name: str, role: str, territory: str) -> str:
        step = self._staffing(entity, name, role)
        assert step is not None
        names = []
        for rule in step.rules:
            if str(rule.conditions[0].text) == territory:
                days = "".join(f" {'from' if c.tree.op == '>=' else 'until'} {v.literal(c.tree.right.value)}" for c in rule.conditions[1:])  # type: ignore[union-attr]
                names.append(self.name(rule.value) + days)
        return "; ".join(names)

    def pools(self) -> Iterable[Chapter]:
        if not self.plan.pools:
            return
        said = {pool.name: self._pool(pool) for pool in self.plan.pools.values()}
        title = "Pools: who takes turns"
        blocks = tuple(block for name, text in said.items() for block in (Block("h3", name), Block("p", text)))
        yield Chapter(title, blocks, (Listing(title, tuple((name, "", text) for name, text in said.items())),))

    def _pool(self, pool: Allocate) -> str:
        how = {
            "round_robin": "Everybody in turn", "weighted": "In turn, by weight", "least_loaded": "Whoever has the least open", "top_score": "Whoever scores best",
        }.get(pool.strategy, pool.strategy)  # fmt: skip
        weight = f" ({pool.weight.text})" if pool.weight is not None else ""
        if isinstance(pool.members, Expr):
            members = f"every rep where {words.condition(pool.members.tree, 'rep')}"
            people = self._members(pool)
            members += f": {', '.join(people)}" if people else ""
        else:
            members = ", ".join(
                self.name(m.value) + (f" from {m.start}" if m.start else "") + (f" until {m.until}" if m.until else "")
                for m in pool.members
            )
        caps = "; ".join(f"at most {expr.text} {cap.replace('_', ' ')}" for cap, expr in pool.caps.items())
        late = f" What is not worked within {words.span(pool.sla.within)} goes to the next." if pool.sla is not None else ""
        spare = (
            f" When nobody can take it: {self.name(pool.fallback) if str(pool.fallback) not in self.plan.pools else pool.fallback}."
            if pool.fallback
            else ""
        )
        return f"{how}{weight}: {members}." + (f" Limits: {caps}." if caps else "") + late + spare

    def _members(self, pool: Allocate) -> list[str]:
        assert isinstance(pool.members, Expr)
        if self.world is None:
            return []
        code = self.evaluator.compiled.code(pool.members)
        return [_short(rep.label) for rep in self.world.all("rep") if code({**self.world.base, "rep": rep}) is True]

    def windows(self) -> Iterable[Chapter]:
        section = self.section("windows")
        if not section:
            return
        title = "Windows: how long an owner is protected"
        rows = [("window", "protects", "lasts", "begins, or is renewed", "grace", "rest afterwards")]
        listed: list[Said] = []
        for name, raw in section.items():
            entity = str(raw.get("for") or "account")
            whose = f"{entity}s, {raw.get('role') or self.policy.roles[0]}"
            lasts = str(raw.get("lasts") or f"{raw.get('from')} to {raw.get('until')}")
            starts, renewed = (str(raw.get(key) or "") for key in ("starts", "renewed_by"))
            begins = "; ".join(filter(None, (_moment(starts, entity), _condition(renewed)))) or "when the owner got it"
            grace, rest = str(raw.get("grace") or ""), str(raw.get("cool_off") or "")
            rows.append((name, whose, lasts, begins, grace, rest))
            after = "".join(f"; {what} {x}" for what, x in (("grace", grace), ("rest afterwards", rest)) if x)
            listed.append((name, whose, f"lasts {lasts}; begins, or is renewed: {begins}{after}"))
        yield Chapter(title, (Block("table", rows=tuple(rows)),), (Listing(title, tuple(listed)),))

    def claims(self) -> Iterable[Chapter]:
        c = self.plan.claims
        if c is None:
            return
        title = f"Claims: who may take {words.an(c.entity)}"
        times = ((c.work_within, "A claim is to be worked within {}."), (c.lasts, "It lasts {} from the last work that counts."), (c.wait, "Who let it go waits {}."), (c.rest, "After that it rests {} for everybody."))  # fmt: skip
        limits = "; ".join(f"at most {expr.text} {cap.replace('_', ' ')}" for cap, expr in c.caps.items())
        said = [
            "The first claim in time gets it.",
            *(text.format(words.span(x)) for x, text in times if x is not None),
            f"Limits: {limits}." if limits else "",
        ]
        text = " ".join(filter(None, said))
        blocked = [(r.name, words.when(r, c.entity)) for r in c.blocked_by]
        items = tuple(f"**{name}**: nobody may claim it if {when}" for name, when in blocked)
        listed = [*((name, when, "nobody may claim it") for name, when in blocked), ("claims", "", text)]
        yield Chapter(
            title, (Block("p", text), *((Block("ul", items=items),) if items else ())), (Listing(title, tuple(listed)),), c.entity
        )

    def sources(self) -> Iterable[Chapter]:
        step = self.plan.steps.get(("lead", "source"))
        if isinstance(step, Choose):
            rows = tuple((str(rule.name), words.when(rule, "lead"), f"source {rule.name}") for rule in step.rules)
            blocks = (Block("ol", items=tuple(f"**{name}**: {when}" for name, when, _ in rows)),)
            yield Chapter("Lead sources", blocks, (Listing("Lead sources", rows, ladder=True),), "lead")

    def scores(self) -> Iterable[Chapter]:
        steps = [x for x in self.plan.steps.values() if isinstance(x, Choose) and x.stage in ("score", "table")]
        if not steps:
            return
        blocks: list[Block] = []
        listings: list[Listing] = []
        for step in steps:
            name = f"{step.name} of {words.an(step.entity)}"
            adds = step.hit == "collect sum"
            rows = tuple((str(r.name), words.when(r, step.entity), words.action(r.value, step.entity)) for r in step.rules[:MOST_ROWS])
            blocks += [Block("h3", name), Block("p", HITS[step.hit])]
            blocks.append(Block("table", rows=(("", "when", "points" if adds else "gives"), *rows)))
            listings.append(Listing(f"Scores and tables: {name}", rows, ladder=step.hit in ("first", "unique")))
        yield Chapter("Scores and tables", tuple(blocks), tuple(listings))

    def terms(self) -> Iterable[Chapter]:
        definitions = [x for x in self.plan.steps.values() if isinstance(x, Derive) and x.stage == "definition" and x.expr is not None]
        lists = [(n, len(x), some(x, 6)) for n, x in self.plan.lists.items()]
        if not definitions and not lists:
            return
        title, blocks = "What words mean", []
        rows = [(f"{x.name.replace('_', ' ')} of {words.an(x.entity)}", _said(x)) for x in definitions]
        if definitions:
            blocks.append(Block("table", rows=(("word", "means"), *rows)))
        if lists:
            blocks.append(Block("table", rows=(("list", "values", "such as"), *((n, str(k), few) for n, k, few in lists))))
        listed = [*((name, "", text) for name, text in rows), *((n, f"a list of {k}", few) for n, k, few in lists)]
        yield Chapter(title, tuple(blocks), (Listing(title, tuple(listed)),))

    def exceptions(self) -> Iterable[Chapter]:
        if self.plan.exceptions:
            title = "Approved exceptions"
            rows = [
                (str(e.record), str(e.role), self.name(str(e.owner)), str(e.approved_by), str(e.until), str(e.reason))
                for e in self.plan.exceptions
            ]
            header = ("record", "role", "owner", "approved by", "until", "reason")
            listed = tuple(
                (f"{record} as {role}", f"until {until}", f"{owner}: {reason}") for record, role, owner, _, until, reason in rows
            )
            yield Chapter(title, (Block("table", rows=(header, *rows)),), (Listing(title, listed[:MOST_ROWS]),))

    def invariants(self) -> Iterable[Chapter]:
        if self.plan.invariants:
            title = "What always holds"
            rows = [(str(i.name), "" if " " in i.name else str(i.holds.text)) for i in self.plan.invariants]
            blocks = (Block("ul", items=tuple(f"{name}: `{text}`" if text else name for name, text in rows)),)
            yield Chapter(title, blocks, (Listing(title, tuple((name, "", text) for name, text in rows)),))


def _examples(evaluator: Evaluator, cases: Sequence[Case]) -> Iterable[Block]:
    from roe.testing.runner import play

    rows: list[tuple[str, ...]] = []
    for case in cases:
        try:
            for step, run in play(evaluator, case):
                name = case.name if len(case.steps) == 1 else f"{case.name}, {step.as_of}"
                rows += _example_rows(name, step, run)
        except (ValueError, OverflowError):
            continue
    if rows:
        yield Block("h2", "Worked examples")
        yield Block("p", "From the policy's own tests, which hold at every change.")
        yield Block("table", rows=(("case", "record", "owner", "why"), *rows[:MOST_EXAMPLES]))


def _example_rows(name: str, step: CaseStep, run: Run) -> Iterator[tuple[str, ...]]:
    """What a run decided of the records that a test asks for: name, record, owner, why."""
    by = {(d.entity, d.id, d.role): d for d in run.decisions}
    for e in step.expect:
        row = run.world.find(e.entity, e.record)
        d = by.get((e.entity, row["id"], e.role)) if row is not None else None
        if d is not None and e.wanted:
            yield name, f"{d.name} ({d.role})", d.owner_name or "nobody", f"{d.rule}: {d.reason}"


def _short(name: object) -> str:
    """A person's name, of which a hostile one can have any length."""
    text = str(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _outputs(step: Choose) -> list[str]:
    """The columns of a territory table that say more than the territory's name."""
    values = [rule.value if isinstance(rule.value, dict) else {} for rule in step.rules]
    return [k for k in values[0] if k != "name" and any(x.get(k) != x.get("name") for x in values)]


def _moment(text: str, entity: str) -> str:
    """A moment of the policy's text in words, or as it is written."""
    tree, _ = parse(text) if text else (None, ())
    return words.value(tree, entity) if tree is not None else text


def _condition(text: str) -> str:
    """A condition of the policy's text in words, or as it is written."""
    if not text:
        return ""
    tree, _ = parse(text)
    said = f"`{text}`" if tree is None else words.condition(tree, "")
    return f"`{text}`" if "`" in said else said


def _said(step: Derive) -> str:
    assert step.expr is not None
    text = words.condition(step.expr.tree, step.entity)
    return text if not text.startswith("`") else str(step.expr.text)


# --- Markdown -------------------------------------------------------------------------------------------------------


def as_markdown(title: str, subtitle: str, blocks: Sequence[Block]) -> str:
    """The handbook as Markdown; what comes from data cannot become markup."""
    lines = [f"# {markdown(title)}", "", paragraph(subtitle), ""]
    for block in blocks:
        if block.kind in ("h2", "h3"):
            lines += [f"{'##' if block.kind == 'h2' else '###'} {markdown(block.text)}", ""]
        elif block.kind == "p":
            lines += [paragraph(block.text), ""]
        elif block.kind in ("ol", "ul"):
            lines += [*(f"{i}. {paragraph(x)}" if block.kind == "ol" else f"- {paragraph(x)}" for i, x in enumerate(block.items, 1)), ""]
        else:
            header, *rows = block.rows
            lines += ["| " + " | ".join(map(markdown, header)) + " |", "|" + "---|" * len(header)]
            lines += ["| " + " | ".join(map(markdown, row)) + " |" for row in rows] + [""]
    return "\n".join(lines).rstrip() + "\n"
