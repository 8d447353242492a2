"""What an editor is told, without a word of any protocol: texts and positions in, plain data out.

A *project* is one policy folder with the texts that are open and not saved. It is built again when a text changes; while it cannot be
built, names are those of the last time that it could.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roe.analysis.check import findings
from roe.analysis.checked import CheckedPolicy
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.files import drafts
from roe.grammar import types as t
from roe.grammar.functions import BY_NAME
from roe.grammar.names import Names
from roe.grammar.types import Type
from roe.lsp.symbols import Name, Use, described, uses
from roe.plan.operators import Expr
from roe.policy.format import format_policy
from roe.policy.loader import load_policy_files
from roe.policy.model import Policy
from roe.source import Span
from roe.stages.build import build

PATIENCE = 2.0  # seconds of the processor that a check may take at each key; other programs that keep it busy do not count
MAX_DATA = 8 << 20  # bytes of records that are decided while somebody types
WORD = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
OPEN_TEXT = re.compile(r'([^\W\d][\w.]*)\s*(?:(?:=|!=)\s*|(?:not\s+)?in\s*\((?:\s*"[^"]*"\s*,)*\s*)"[^"]*$')
KEYWORDS = (
    "and", "or", "not", "in", "between", "if", "then", "else", "some", "every", "satisfies", "for", "return", "null", "true", "false",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """Something to complete with: `kind` is field, value, function, list, pool, name or keyword."""

    label: str
    kind: str
    detail: str = ""
    insert: str = ""


@dataclass(frozen=True, slots=True)
class Lens:
    """What stands above a rule."""

    span: Span
    text: str


@dataclass(slots=True)
class Project:
    """One policy folder, as an editor has it open."""

    root: Path
    open: dict[Path, str] = field(default_factory=dict)
    policy: Policy | None = None
    symbols: list[Use] = field(default_factory=list)
    lenses: list[Lens] = field(default_factory=list)
    slow: bool = False

    def refresh(self, typing: bool = False) -> list[Diagnostic]:
        """Build the policy from the texts of now, and say everything that there is to say; while somebody is typing, what takes long waits
        until the file is saved.
        """
        start = time.process_time()
        with drafts(self.open):
            checked: list[tuple[Expr, Names]] = []
            policy, problems = build(self.root, checked=checked)
            if policy is not None and not errors(problems):
                self.policy = policy
                files, _ = load_policy_files(self.root)
                self.symbols = uses(policy, files, checked)
                if typing and self.slow:
                    return problems
                subject = self._subject(policy)
                problems = problems + findings(subject)
                self.lenses = _lenses(subject)
                self.slow = time.process_time() - start > PATIENCE
        return problems

    def _subject(self, policy: Policy) -> CheckedPolicy:
        """The policy with the records of its own data folder, unless there are too many to decide while somebody types."""
        from roe.data.read import newest, read_tables

        evaluator = Evaluator(policy)
        data = self.root / "data"
        if not data.is_dir() or sum(p.stat().st_size for p in data.iterdir() if p.is_file()) > MAX_DATA:
            return CheckedPolicy(evaluator)
        tables, problems = read_tables(policy, data)
        if errors(problems):
            return CheckedPolicy(evaluator)
        try:
            bound = evaluator.bind(tables, as_of=newest(evaluator, tables))
        except PolicyError:
            return CheckedPolicy(evaluator)
        return CheckedPolicy(evaluator, bound, bound.world.clock.today)

    # --- at a position: 1-based line, 0-based column -----------------------------------------------------------------

    def use_at(self, file: str, line: int, column: int) -> Use | None:
        here = [u for u in self.symbols if u.span.file == file and u.span.line == line and u.span.column - 1 <= column < u.span.end_column]
        return min(here, key=lambda u: u.span.end_column - u.span.column, default=None)

    def hover(self, file: str, line: int, column: int, text: str) -> str | None:
        """What a name means, in Markdown."""
        use = self.use_at(file, line, column)
        if use is not None and self.policy is not None and self._known(use.name):
            return described(self.policy, use.name)
        word = next((m for m in WORD.finditer(text) if m.start() <= column <= m.end()), None)
        function = BY_NAME.get(word[0]) if word else None
        if function is not None:
            return f"**`{function.signature}`**\n\n{function.doc}\n\n`{function.example}` is `{function.value}`"
        return None

    def _known(self, name: Name) -> bool:
        plan = self.policy.plan  # type: ignore[union-attr]
        return name[0] == "field" or name[1] in {"list": {*plan.lists, *plan.dated_lists}, "pool": {*plan.pools}}[name[0]]

    def _is_standard(self, name: Name) -> bool:
        """Whether a name is that of a field which the data has by itself, though the policy may give it a column."""
        entity, _, field = name[1].partition(".")
        known = self.policy.model.entities.get(entity, {}).get(field) if self.policy is not None else None
        return name[0] == "field" and known is not None and known.standard

    def definition(self, file: str, line: int, column: int) -> Span | None:
        use = self.use_at(file, line, column)
        return next((u.span for u in self.symbols if use is not None and u.name == use.name and u.declares), None)

    def rename(self, file: str, line: int, column: int, new: str) -> list[Span] | str:
        """Every place of a name, to be written anew; or why that cannot be."""
        use = self.use_at(file, line, column)
        if use is None:
            return "no field, list or pool of the policy stands here"
        if self._is_standard(use.name) or not any(u.declares for u in self.symbols if u.name == use.name):
            return f"`{use.name[1]}` is a standard field: give it a column under `fields:` instead"
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*" if use.name[0] != "pool" else r"[A-Za-z0-9_][A-Za-z0-9_-]*", new):
            return f"`{new}` is not a name: letters, digits and _ alone"
        other = f"{use.name[1].rpartition('.')[0]}.{new}" if use.name[0] == "field" else new
        if any(u.name == (use.name[0], other) for u in self.symbols):
            return f"`{other}` exists already"
        return [u.span for u in self.symbols if u.name == use.name]

    def complete(self, text: str) -> list[Item]:
        """What may come next after the text of a line up to the cursor."""
        if self.policy is None:
            return []
        plan, model = self.policy.plan, self.policy.model
        target = re.search(r"\b(route|fallback):\s*\{?\s*([\w-]*)$", text)
        if target:
            return [Item(name, "pool", pool.strategy.replace("_", " ")) for name, pool in plan.pools.items()]
        quoted = OPEN_TEXT.search(text)
        if quoted:
            kind = self._type(quoted[1])
            return [Item(x, "value", quoted[1]) for x in (kind.values if kind is not None else ())]
        path = re.search(r"([^\W\d][\w.]*)\.(\w*)$", text)
        if path:
            base = self._type(path[1])
            return self._fields(base) if base is not None else []
        names = [Item(e, "name", "a record") for e in ("account", "lead", "contact", "opportunity", "rep") if e in model.entities]
        names += [Item(n, "name", d) for n, d in (("today", "the day of the run"), ("now", "the moment of the run"))]
        lists = [Item(n, "list", f"{len(plan.lists.get(n, ()))} values") for n in (*plan.lists, *plan.dated_lists)]
        functions = [Item(f.name, "function", f.signature, f"{f.name}(") for f in BY_NAME.values()]
        return [*names, *lists, *functions, *(Item(k, "keyword") for k in KEYWORDS)]

    def _type(self, path: str) -> Type | None:
        """The type of a path of names, as far as it is one."""
        assert self.policy is not None
        model = self.policy.model
        first, *rest = path.split(".")
        kind: Type | None = t.record(first) if first in model.entities else None
        if kind is None:  # a field without its record, as in a table's header or a filter
            kind = next((x for e in ("account", "lead", "activity", "rep") if (x := model.field_type(e, first)) is not None), None)
        for name in rest:
            kind = self._member(kind, name)
        return kind

    def _member(self, of: Type | None, name: str) -> Type | None:
        assert self.policy is not None
        if of is not None and of.name == "list":
            of = of.item
        if of is None:
            return None
        if of.name == "owners":
            return t.record("rep") if name in self.policy.roles else None
        if of.name == "record":
            return of.fields.get(name) if of.fields is not None else self.policy.model.field_type(of.entity, name)
        return t.PROPERTIES.get(of.name, {}).get(name)

    def _fields(self, of: Type) -> list[Item]:
        assert self.policy is not None
        if of.name == "list" and of.item is not None:
            of = of.item
        if of.name == "owners":
            return [Item(role, "field", "the owner in this role") for role in self.policy.roles]
        if of.name == "record" and of.fields is not None:
            return [Item(name, "field", str(kind)) for name, kind in of.fields.items()]
        if of.name == "record":
            model = self.policy.model
            names = [n for n in model.field_names(of.entity) if not n.startswith("invariant_")]
            return [Item(n, "field", str(model.field_type(of.entity, n))) for n in names]
        return [Item(n, "field", str(kind)) for n, kind in t.PROPERTIES.get(of.name, {}).items()]

    def format(self, path: Path) -> str | None:
        """The text of an open file in canonical spelling; None where it is not a policy file, or is in it already."""
        source = self.open.get(path.resolve())
        if source is None or path.suffix not in (".yaml", ".yml"):
            return None
        new = format_policy(source, path.name)
        return new if new != source else None


def _lenses(subject: CheckedPolicy) -> list[Lens]:
    """Above each rule of engagement how many records of the data it decides."""
    if subject.bound is None:
        return []
    decided: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for d in subject.bound.decide_all():
        decided[d.entity, d.role, d.rule] += 1
        total[d.entity, d.role] += 1
    lenses = []
    for (entity, role), rules in subject.evaluator.policy.plan.engagement.items():
        for rule in rules.rules:
            n, of = decided[entity, role, str(rule.name)], total[entity, role]
            lenses.append(Lens(rule.name.span(), f"decides {n} of {of} {entity}s as {role}" + (f" ({n / of:.0%})" if of else "")))
    return lenses


def project_of(path: Path, open_: Mapping[Path, str]) -> Project | None:
    """The policy folder that a file belongs to: the nearest one above it with a policy.yaml."""
    for folder in path.resolve().parents:
        if (folder / "policy.yaml").is_file() or folder / "policy.yaml" in open_:
            return Project(folder)
    return None
