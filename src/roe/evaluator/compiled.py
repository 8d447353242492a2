"""A policy made ready once for any number of worlds: choosers, and closures for its expressions, each compiled when first asked for."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.choose import Chooser
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.grammar.functions.history import PER_ROLE, by_role
from roe.grammar.parser import parse
from roe.grammar.scopes import IMPLICIT, Code, Scope
from roe.plan.operators import TEMPLATE, Choose, Expr
from roe.plan.outcome import RoleSteps, Sentence, conditions
from roe.plan.parts import ExceptionRow
from roe.plan.standard import standard_steps
from roe.policy.model import Policy
from roe.source import Span, Text

if TYPE_CHECKING:
    from roe.evaluator.observe import WatchedExpression


class Compiled:
    """A policy made ready once for any number of worlds: choosers, and closures for every expression."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        lists = policy.plan.lists
        self.steps = {**standard_steps(policy.plan), **policy.plan.steps}  # every field that is computed
        self.choosers = {key: Chooser(step, lists, policy) for key, step in policy.plan.steps.items() if isinstance(step, Choose)}
        self.engagement = {key: Chooser(step, lists, policy) for key, step in policy.plan.engagement.items()}
        self.kernels: dict[int, Value] = {}  # column indexes by their chooser, made by the batch evaluator
        self._codes: dict[int, tuple[Expr, Code]] = {}
        self.watched: dict[int, WatchedExpression] = {}  # conditions compiled for watching, by their trees
        self._reads: dict[int, tuple[s.Node, list[tuple[str, Code]]]] = {}
        self._places: dict[int, tuple[Text, Span]] = {}
        self._pieces: dict[str, list[tuple[str, s.Node | None]]] = {}
        self._templates: dict[str, list[tuple[str, Code | None]]] = {}
        self._sentences: dict[int, tuple[Sentence, list[tuple[str, Code | None]]]] = {}
        self._roles: dict[tuple[str, str], RoleSteps] = {}
        self._excepted: dict[int, tuple[ExceptionRow, list[Code]]] = {}

    def apart(self) -> Compiled:
        """A copy whose rules can be replaced: closures are shared, and what rules lower to is made anew."""
        other = copy.copy(self)
        other._roles, other.kernels = {}, {}
        return other

    @cached_property
    def asks_for_history(self) -> bool:
        """Whether anything in the policy reads since when, after whom or by what somebody owns a record."""
        from roe.policy.reads import expressions

        nodes = (n for _, tree in expressions(self.policy) for n in s.walk(tree))
        return any(isinstance(n, s.Path) and n.field.partition(".")[0] in PER_ROLE for n in nodes)

    def role(self, entity: str, role: str) -> RoleSteps:
        """The steps that the rules of a role lower to. KeyError if it has none."""
        steps = self._roles.get((entity, role))
        if steps is None:
            steps = self._roles[entity, role] = RoleSteps(
                self.policy.plan, entity, role, self.policy.roles, self.policy.model.field_names(entity)
            )
        return steps

    def in_force(self, row: ExceptionRow, scope: Scope) -> bool:
        """Whether an approved exception decides the record of a scope, which is the one that it names."""
        known = self._excepted.get(id(row))
        if known is None:
            known = self._excepted[id(row)] = (row, [compile_expression(tree) for tree in conditions(row)])
        return all(code(scope) is True for code in known[1])

    def code(self, expr: Expr) -> Code:
        known = self._codes.get(id(expr))
        if known is None:
            known = self._codes[id(expr)] = (expr, compile_expression(expr.tree))
        return known[1]

    def reads(self, node: s.Node) -> list[tuple[str, Code]]:
        """The parts of an expression that may be steps of the plan: (name, the code of the record that has it)."""
        known = self._reads.get(id(node))
        if known is None:
            names = {name for _, name in self.steps}
            made: list[tuple[str, Code]] = []
            for at in s.walk(node):
                if isinstance(at, s.Path) and at.field in names:
                    made.append((at.field, compile_expression(at.base)))
                elif isinstance(at, s.Name) and at.id in names:
                    made.append((at.id, lambda scope: scope.get(IMPLICIT)))
            known = self._reads[id(node)] = (node, made)
        return known[1]

    def place(self, text: Text) -> Span:
        """Where a text of the policy stands; finding it means reading its file again, so it is kept."""
        known = self._places.get(id(text))
        if known is None:
            known = self._places[id(text)] = (text, text.span())
        return known[1]

    def pieces(self, text: str) -> list[tuple[str, s.Node | None]]:
        """A sentence with `{expressions}`, in pieces: plain text, or an expression and its tree."""
        known = self._pieces.get(text)
        if known is None:
            parts = TEMPLATE.split(text)
            trees = [parse(piece)[0] if i % 2 else None for i, piece in enumerate(parts)]
            roles = self.policy.roles
            known = self._pieces[text] = [(piece, tree and by_role(tree, roles)) for piece, tree in zip(parts, trees, strict=True)]
        return known

    def template(self, text: str) -> list[tuple[str, Code | None]]:
        """The same with the code of each expression."""
        known = self._templates.get(text)
        if known is None:
            pieces = self.pieces(text)
            known = self._templates[text] = [(piece, compile_expression(tree) if tree is not None else None) for piece, tree in pieces]
        return known

    def sentence(self, sentence: Sentence) -> list[tuple[str, Code | None]]:
        """The same for a sentence in pieces."""
        known = self._sentences.get(id(sentence))
        if known is None:
            pieces = [(piece, compile_expression(tree) if tree is not None else None) for piece, tree in sentence.pieces]
            known = self._sentences[id(sentence)] = (sentence, pieces)
        return known[1]
