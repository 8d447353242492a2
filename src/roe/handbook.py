"""The policy as the rulebook that reps read: rules as sentences, who is where, windows, worked examples, and what has changed.

It is made from the policy, its tests and, where there is some, its data, so it is never out of date. A *block* is a heading, a paragraph,
a list or a table; `as_markdown` and `web.handbook` show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roe.analysis import words
from roe.evaluator.engine import Evaluator
from roe.grammar import values as v
from roe.plan.operators import Allocate, Choose, Derive, Expr
from roe.policy.loader import Map, load_policy_files
from roe.untrusted import markdown, paragraph

if TYPE_CHECKING:
    from roe.analysis.diff import Change
    from roe.evaluator.engine import Bound, Run
    from roe.testing.cases import Case, Step

MOST_ROWS = 60  # of one table that are shown
MOST_EXAMPLES = 40


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the handbook: `kind` is h2, h3, p, ol, ul or table; a table's first row is its header."""

    kind: str
    text: str = ""
    items: tuple[Any, ...] = ()


def handbook(evaluator: Evaluator, bound: Bound | None, cases: Sequence[Case], changed: Sequence[Change] | None, since: str) -> list[Block]:
    """All blocks, from the rules to what has changed."""
    book = _Book(evaluator, bound)
    parts = (
        book.rules,
        book.territories,
        book.pools,
        book.windows,
        book.claims,
        book.sources,
        book.scores,
        book.terms,
        book.exceptions,
        book.invariants,
    )
    out = [block for part in parts for block in part()]
    out += book.examples(cases)
    if changed is not None:
        out += _changes(changed, since)
    return out


def _changes(changed: Sequence[Change], since: str) -> Iterable[Block]:
    yield Block("h2", f"What has changed since {since}")
    if not changed:
        yield Block("p", "Nothing.")
        return
    rows = [("what", "where", "before", "now"), *((f"{c.name} ({c.kind})", c.where, c.before, c.after) for c in changed[:MOST_ROWS])]
    yield Block("table", items=tuple(rows))


class _Book:
    def __init__(self, evaluator: Evaluator, bound: Bound | None) -> None:
        self.evaluator, self.policy, self.plan = evaluator, evaluator.policy, evaluator.policy.plan
        self.world = bound.world if bound is not None else None
        self.raw = [content for _, content in load_policy_files(self.policy.root)[0] if isinstance(content, Map)]

    def name(self, rep: Any) -> str:
        """A rep by name, if the data has one."""
        found = self.world.find("rep", str(rep)) if self.world is not None and rep is not None else None
        return str(found.label) if found is not None else "nobody" if rep is None else str(rep)

    def section(self, key: str) -> dict[str, Any]:
        return {str(k): x for content in self.raw for k, x in (content.get(key) or {}).items()}

    def rules(self) -> Iterable[Block]:
        for (entity, role), step in self.plan.engagement.items():
            yield Block("h2", f"Who is the {role.upper() if len(role) < 4 else role} of {words.an(entity)}")
            yield Block(
                "p",
                "The first rule that holds decides." + (" An approved exception comes before all of them." if self.plan.exceptions else ""),
            )
            yield Block("ol", items=tuple(self._rule(rule, entity) for rule in step.rules))

    def _rule(self, rule: Any, entity: str) -> str:
        when = words.when(rule, entity)
        lead = "In every other case" if when == "always" else f"If {when}"
        why = f" *Why:* {words.because(rule.because, entity)}." if rule.because else ""
        over = f" It takes precedence over {', '.join(map(str, rule.overrides))}." if rule.overrides else ""
        return f"**{rule.name}.** {lead}, {words.action(rule.value, entity)}.{over}{why}"

    def territories(self) -> Iterable[Block]:
        for (entity, name), step in self.plan.steps.items():
            if not isinstance(step, Choose) or step.stage != "territory" or name.endswith("_decided_by") or not len(step.rules):
                continue
            own = name.removeprefix("own_")
            yield Block(
                "h2", "Territories" if own == "territory" and entity == "account" else f"{own.replace('_', ' ').capitalize()} of {entity}s"
            )
            roles = [r for r in self.policy.roles if isinstance(self.plan.steps.get((entity, f"{own}_{r}")), Choose)]
            roles = [r for r in roles if len(self.plan.steps[entity, f"{own}_{r}"].rules)]  # type: ignore[union-attr]
            outputs = [k for k in (step.rules[0].value if isinstance(step.rules[0].value, dict) else {}) if k != "name"]
            rows: list[tuple[str, ...]] = [("territory", "what belongs to it", *outputs, *roles)]
            for rule in step.rules[:MOST_ROWS]:
                values = rule.value if isinstance(rule.value, dict) else {}
                people = (self._staff(entity, own, role, str(rule.name)) for role in roles)
                rows.append((str(rule.name), words.when(rule, entity), *(str(values.get(k) or "") for k in outputs), *people))
            yield Block("table", items=tuple(rows))
            if len(step.rules) > MOST_ROWS:
                yield Block("p", f"… and {len(step.rules) - MOST_ROWS} more.")

    def _staff(self, entity: str, name: str, role: str, territory: str) -> str:
        step = self.plan.steps[entity, f"{name}_owner.{role}"]
        assert isinstance(step, Choose)
        found = []
        for rule in step.rules:
            if str(rule.conditions[0].text) == territory:
                days = "".join(f" {'from' if c.tree.op == '>=' else 'until'} {v.literal(c.tree.right.value)}" for c in rule.conditions[1:])  # type: ignore[union-attr]
                found.append(self.name(rule.value) + days)
        return "; ".join(found)

    def pools(self) -> Iterable[Block]:
        if not self.plan.pools:
            return
        yield Block("h2", "Pools: who takes turns")
        for pool in self.plan.pools.values():
            yield Block("h3", pool.name)
            yield Block("p", self._pool(pool))

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
        return [str(rep.label) for rep in self.world.all("rep") if code({**self.world.base, "rep": rep}) is True]

    def windows(self) -> Iterable[Block]:
        found = self.section("windows")
        if not found:
            return
        yield Block("h2", "Windows: how long an owner is protected")
        rows = [("window", "of", "lasts", "begins, or is renewed", "grace", "rest afterwards")]
        for name, raw in found.items():
            lasts = raw.get("lasts") or f"{raw.get('from')} to {raw.get('until')}"
            begins = "; ".join(str(x) for x in (raw.get("starts"), raw.get("renewed_by")) if x) or "when the owner got it"
            rows.append((name, f"{raw.get('for') or 'account'}s, {raw.get('role') or self.policy.roles[0]}", str(lasts), begins, str(raw.get("grace") or ""), str(raw.get("cool_off") or "")))  # fmt: skip
        yield Block("table", items=tuple(rows))

    def claims(self) -> Iterable[Block]:
        c = self.plan.claims
        if c is None:
            return
        yield Block("h2", f"Claims: who may take {'an' if c.entity[0] in 'aeio' else 'a'} {c.entity}")
        times = ((c.work_within, "A claim is to be worked within {}."), (c.lasts, "It lasts {} from the last work that counts."), (c.wait, "Who let it go waits {}."), (c.rest, "After that it rests {} for everybody."))  # fmt: skip
        limits = "; ".join(f"at most {expr.text} {cap.replace('_', ' ')}" for cap, expr in c.caps.items())
        said = [
            "The first claim in time gets it.",
            *(text.format(words.span(x)) for x, text in times if x is not None),
            f"Limits: {limits}." if limits else "",
        ]
        yield Block("p", " ".join(filter(None, said)))
        if c.blocked_by:
            yield Block("ul", items=tuple(f"**{r.name}**: nobody may claim it if {words.when(r, c.entity)}" for r in c.blocked_by))

    def sources(self) -> Iterable[Block]:
        step = self.plan.steps.get(("lead", "source"))
        if isinstance(step, Choose):
            yield Block("h2", "Lead sources")
            yield Block("ol", items=tuple(f"**{rule.name}**: {words.when(rule, 'lead')}" for rule in step.rules))

    def scores(self) -> Iterable[Block]:
        steps = [x for x in self.plan.steps.values() if isinstance(x, Choose) and x.stage in ("score", "table")]
        if steps:
            yield Block("h2", "Scores and tables")
        for step in steps:
            yield Block("h3", f"{step.name} of {words.an(step.entity)}" + ("" if step.hit == "first" else f" ({step.hit})"))
            gives = "points" if step.hit == "collect sum" else "gives"
            rows = [(str(r.name), words.when(r, step.entity), words.action(r.value, step.entity)) for r in step.rules[:MOST_ROWS]]
            yield Block("table", items=(("", "when", gives), *rows))

    def terms(self) -> Iterable[Block]:
        found = [x for x in self.plan.steps.values() if isinstance(x, Derive) and x.stage == "definition" and x.expr is not None]
        lists = [(n, len(x), ", ".join(map(str, x[:6])) + (", …" if len(x) > 6 else "")) for n, x in self.plan.lists.items()]
        if found or lists:
            yield Block("h2", "What words mean")
        if found:
            rows = [(f"{x.name.replace('_', ' ')} of {words.an(x.entity)}", _said(x)) for x in found]
            yield Block("table", items=(("word", "means"), *rows))
        if lists:
            yield Block("table", items=(("list", "values", "such as"), *((n, str(k), few) for n, k, few in lists)))

    def exceptions(self) -> Iterable[Block]:
        if self.plan.exceptions:
            yield Block("h2", "Approved exceptions")
            rows = [
                (str(e.record), str(e.role), self.name(str(e.owner)), str(e.approved_by), str(e.until), str(e.reason))
                for e in self.plan.exceptions
            ]
            yield Block("table", items=(("record", "role", "owner", "approved by", "until", "reason"), *rows))

    def invariants(self) -> Iterable[Block]:
        if self.plan.invariants:
            yield Block("h2", "What always holds")
            yield Block("ul", items=tuple(str(i.name) if " " in i.name else f"{i.name}: `{i.holds.text}`" for i in self.plan.invariants))

    def examples(self, cases: Sequence[Case]) -> Iterable[Block]:
        from roe.testing.runner import play

        rows: list[tuple[str, ...]] = []
        for case in cases:
            try:
                for step, run in play(self.evaluator, case):
                    name = case.name if len(case.steps) == 1 else f"{case.name}, {step.as_of}"
                    rows += _example_rows(name, step, run)
            except (ValueError, OverflowError):
                continue
        if rows:
            yield Block("h2", "Worked examples")
            yield Block("p", "From the policy's own tests, which hold at every change.")
            yield Block("table", items=(("case", "record", "owner", "why"), *rows[:MOST_EXAMPLES]))


def _example_rows(name: str, step: Step, run: Run) -> Iterator[tuple[str, ...]]:
    """What a run decided of the records that a test asks for: name, record, owner, why."""
    by = {(d.entity, d.id, d.role): d for d in run.decisions}
    for e in step.expect:
        row = run.world.find(e.entity, e.record)
        d = by.get((e.entity, row["id"], e.role)) if row is not None else None
        if d is not None and e.wanted:
            yield name, f"{d.name} ({d.role})", d.owner_name or "nobody", f"{d.rule}: {d.reason}"


def _said(step: Derive) -> str:
    assert step.expr is not None
    text = words.condition(step.expr.tree, step.entity)
    return text if not text.startswith("`") else str(step.expr.text)


# --- Markdown -------------------------------------------------------------------------------------------------------


def as_markdown(title: str, subtitle: str, blocks: Sequence[Block]) -> str:
    """The handbook as Markdown; what comes from data cannot become markup."""
    out = [f"# {markdown(title)}", "", paragraph(subtitle), ""]
    for block in blocks:
        if block.kind in ("h2", "h3"):
            out += [f"{'##' if block.kind == 'h2' else '###'} {markdown(block.text)}", ""]
        elif block.kind == "p":
            out += [paragraph(block.text), ""]
        elif block.kind in ("ol", "ul"):
            out += [*(f"{i}. {paragraph(x)}" if block.kind == "ol" else f"- {paragraph(x)}" for i, x in enumerate(block.items, 1)), ""]
        else:
            header, *rows = block.items
            out += ["| " + " | ".join(map(markdown, header)) + " |", "|" + "---|" * len(header)]
            out += ["| " + " | ".join(map(markdown, row)) + " |" for row in rows] + [""]
    return "\n".join(out).rstrip() + "\n"
