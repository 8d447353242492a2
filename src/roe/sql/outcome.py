"""The steps of a role in SQL: the rule that holds, the owner, and by the outcome until when and why.

`ae_rule` stands in a table of its own, since the owner rests on it; `ae_owner` and `ae_outcome` (the number of the outcome that
decided) in the next, since until when and why rest on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from sqlglot import exp

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.operators import Expr, Rule
from roe.plan.outcome import Outcome, RoleSteps, Sentence, conditions
from roe.source import Inline, Text
from roe.sql.forms import NoSql, Sql, column, comment, equals, is_null, is_one_of, literal
from roe.sql.query import OwnersByRole, RecordOwners, RecordRow, Ref, SqlScalar, Translated
from roe.sql.translate import Translator

if TYPE_CHECKING:
    from roe.sql.statement import Statement

UNDECIDED = "(needs roe)"
EXCEPTION = "exception"

Given = TypeVar("Given")  # what an outcome gives, such as an expression for until when


class RoleSql:
    """One role of an entity while its statement is being written."""

    def __init__(self, statement: Statement, steps: RoleSteps) -> None:
        self.statement, self.steps, self.role = statement, steps, steps.role
        self.rules = steps.rules.rules
        self.excepted = steps.exceptions
        self.outcomes: list[tuple[Outcome, Text]] = []  # with the name of the rule that first has it

    def trees(self) -> Iterator[s.Node]:
        """Every expression that the statement may hold."""
        for rule in self.rules:
            yield from (c.tree for c in rule.conditions)
        for outcome in (*(self.steps.of(i) for i in range(len(self.rules))), self.steps.no_rule):
            yield from trees_of(outcome)
            if asks_if_able(outcome):
                yield from (s.Name("able"), s.Name("may_hold"))
        yield from (c for row in self.excepted for c in conditions(row))

    def write(self) -> None:
        """Add the tables of the role's rule, owner and outcome."""
        for tree in self.trees():
            self.statement.ensure(tree)
        entity = self.statement.entity
        query, t = self.statement.start(entity)
        rule = self._rule(t)
        self.statement.layer(entity, {f"{self.role}_rule": rule}, query, f"the rules of {entity} {self.role}: the first that holds decides")
        query, t = self.statement.start(entity)
        owner, outcome = self._owner(t)
        self.statement.layer(
            entity,
            {f"{self.role}_owner": owner, f"{self.role}_outcome": outcome},
            query,
            f"who has it as {self.role}, and by which outcome",
        )

    def columns(self, t: Translator) -> dict[str, Sql]:
        """What the statement gives of the role."""
        self._name_steps(t)
        undecided = equals(column(f"{self.role}_outcome", "r"), literal(0))
        action = self._by(lambda o: f"route: {o.pool}" if o.pool else o.action, literal)
        action = action.when(undecided, literal(UNDECIDED)) if isinstance(action, exp.Case) else action
        until = self._by(lambda o: o.until, lambda until: exp.null() if until is None else self._value(t, until))
        reason = self._by(lambda o: o.reason, lambda sentence: worded(t, sentence))
        return {
            f"{self.role}_rule": column(f"{self.role}_rule", "r"),
            f"{self.role}_action": action,
            f"{self.role}_owner": column(f"{self.role}_owner", "r"),
            f"{self.role}_until": until,
            f"{self.role}_reason": reason,
        }

    # --- rule and owner -----------------------------------------------------------------------------------------------

    def _rule(self, t: Translator) -> Sql:
        case = exp.Case()
        fields = self.statement.policy.model.field_names(self.statement.entity)
        for row in self.excepted:
            held = [t.true(c) for c in conditions(row, fields)]
            case = case.when(exp.and_(_same_record(row.record), *held), literal(EXCEPTION))
        for rule in self.rules:
            condition = self.statement.condition(t, rule, f"{self.statement.entity}.{self.role}")
            if condition is None:  # from here on this rule might come first
                return when(case, exp.true(), literal(UNDECIDED), rule)
            case = when(case, condition, literal(str(rule.name)), rule)
        return case

    def _owner(self, t: Translator) -> tuple[Sql, Sql]:
        """(the owner, the number of the outcome), by the rule that decided."""
        owner, number = exp.Case(), exp.Case()
        rule_column = column(f"{self.role}_rule", "r")
        for row in self.excepted:
            here = exp.and_(equals(rule_column.copy(), literal(EXCEPTION)), _same_record(row.record))
            who, which = self._chain(t, self.steps.approved(row), row.record)
            owner, number = owner.when(here, who), number.when(here.copy(), which)
        for i, rule in enumerate(self.rules):
            here = equals(rule_column.copy(), literal(str(rule.name)))
            try:
                who, which = self._chain(t, self.steps.of(i), rule.name)
            except NoSql as e:
                self.statement.say(e, rule.name, f"{self.statement.entity}.{self.role}: {rule.name}")
                who, which = exp.null(), literal(0)
            owner = owner.when(here, who, copy=False)
            number = number.when(here.copy(), which, copy=False)
        undecided = equals(rule_column.copy(), literal(UNDECIDED))
        number = number.when(undecided, literal(0))
        return owner, number.else_(self._number(self.steps.no_rule, Text("", Inline())))

    def _chain(self, t: Translator, outcome: Outcome, name: Text) -> tuple[Sql, Sql]:
        """(the owner, the number of the outcome) of an outcome and of those behind it."""
        if outcome.pool:
            return exp.null(), self._number(outcome, name)
        who = exp.null() if outcome.owner is None else self._assignee(t, outcome.owner)
        if outcome.asks_if_able:
            who = self._able(t, who, name)
        if outcome.otherwise is None or isinstance(who, exp.Literal):
            return who, self._number(outcome, name)
        number = self._number(outcome, name)
        rest, behind = self._chain(t, outcome.otherwise, name)
        missing = is_null(who.copy())
        whole = who if isinstance(rest, exp.Null) else exp.func("COALESCE", who, rest)
        return whole, exp.Case().when(missing, behind).else_(number)

    def _able(self, t: Translator, who: Sql, name: Text) -> Sql:
        """The rep, if able to receive the record, or who has it and may hold it; of whom the data does not list nothing is known."""
        rep = Ref("rep", who)
        able, may_hold = (exp.func("COALESCE", t.field(rep, x, s.Name(x)).sql, exp.true()) for x in ("able", "may_hold"))  # type: ignore[union-attr]
        keeps = exp.and_(equals(who.copy(), column(f"owner_{self.role}", "r")), may_hold)
        return exp.Case().when(exp.or_(keeps, able), who.copy())

    def _assignee(self, t: Translator, expr: Expr) -> Sql:
        value = t.value(expr.tree)
        if isinstance(value, (Ref, RecordRow)):
            return value.key
        if isinstance(value, OwnersByRole):
            return column(value.steps[self.role], value.row.alias)
        if isinstance(value, SqlScalar) and value.kind in ("string", "null"):
            return value.sql
        if isinstance(value, RecordOwners):
            return column(f"owner_{self.role}", value.row.alias)
        raise NoSql(f"`{expr.text}` does not name a rep in SQL", expr.tree)

    # --- by outcome ---------------------------------------------------------------------------------------------------

    def _number(self, outcome: Outcome, name: Text) -> Sql:
        """The outcome's number, from 1."""
        known = [o for o, _ in self.outcomes]
        if outcome not in known:
            self.outcomes.append((outcome, name))
            known.append(outcome)
        return literal(known.index(outcome) + 1)

    def _name_steps(self, t: Translator) -> None:
        """The steps of the role that later ones may read."""
        names = self.steps.names
        t.steps[names.rule] = SqlScalar(column(f"{self.role}_rule", "r"), "string")
        t.steps[names.owner] = Ref("rep", column(f"{self.role}_owner", "r"))

    def _by(self, what: Callable[[Outcome], Given], write: Callable[[Given], Sql]) -> Sql:
        """A value of the outcome that decided: each distinct one once, null where it cannot be written."""
        groups: dict[int, tuple[Given, list[int], Text]] = {}
        keys: dict[str | int, int] = {}
        for number, (outcome, name) in enumerate(self.outcomes, 1):
            value = what(outcome)
            key = keys.setdefault(value if isinstance(value, str) else id(value), len(keys))
            groups.setdefault(key, (value, [], name))[1].append(number)
        case = exp.Case()
        for value, numbers, name in groups.values():
            if value is None or (all(self.outcomes[n - 1][0].pool for n in numbers) and not isinstance(value, str)):
                continue
            try:
                sql = write(value)
            except NoSql as e:
                said = "the reason" if isinstance(value, Sentence) else "until when it holds"
                self.statement.say(e, name, f"{self.statement.entity}.{self.role}: {name}: {said}")
                continue
            among, wanted = column(f"{self.role}_outcome", "r"), [literal(n) for n in numbers]
            case = case.when(is_one_of(among, wanted), sql)
        return case if case.args.get("ifs") else exp.null()

    def _value(self, t: Translator, expr: Expr) -> Sql:
        return t.scalar(expr.tree).sql


def trees_of(outcome: Outcome | None) -> Iterator[s.Node]:
    """Every expression of an outcome and of those behind it."""
    while outcome is not None:
        yield from (x.tree for x in (outcome.owner, outcome.until) if x is not None)
        yield from (tree for _, tree in outcome.reason.pieces if tree is not None)
        outcome = outcome.otherwise


def asks_if_able(outcome: Outcome | None) -> bool:
    return outcome is not None and (outcome.asks_if_able or asks_if_able(outcome.otherwise))


def when(case: exp.Case, condition: Sql, value: Sql, rule: Rule) -> exp.Case:
    """One more branch, with the rule's name beside it."""
    made = case.when(condition, value, copy=False)
    if not isinstance(value, exp.Literal) or not value.is_string:
        made.args["ifs"][-1].args["true"].add_comments([comment(rule.name)])
    return made


def _same_record(record: Text) -> Sql:
    return equals(column("id", "r"), literal(str(record)))


# --- sentences --------------------------------------------------------------------------------------------------------


def worded(t: Translator, sentence: Sentence) -> Sql:
    """The text of a sentence."""
    made: Sql = None
    for text, tree in sentence.pieces:
        piece = literal(text) if tree is None else exp.func("COALESCE", said(t, t.value(tree), tree), literal("(unknown)"))
        made = piece if made is None else exp.DPipe(this=made, expression=piece)
    return literal("") if made is None else made


def said(t: Translator, value: Translated, tree: s.Node) -> Sql:
    """A value as a sentence has it."""
    if isinstance(value, (Ref, RecordRow)):
        name = t.field(value, "name", tree)
        assert isinstance(name, SqlScalar)
        return exp.func("COALESCE", name.sql, value.key.copy())
    if isinstance(value, SqlScalar) and value.kind in ("string", "null"):
        return value.sql
    if isinstance(value, SqlScalar) and value.kind == "boolean":
        return exp.Case().when(value.sql, literal("true")).when(exp.Not(this=exp.paren(value.sql.copy())), literal("false"))
    if isinstance(value, SqlScalar) and value.kind == "date":
        day, month, year = (t.part(value.sql.copy(), part) for part in ("day", "month", "year"))
        named = exp.Case()
        for i, name_of_month in enumerate(v.MONTHS, 1):
            named = named.when(equals(month.copy(), literal(i)), literal(f" {name_of_month} "))
        before, after = (exp.cast(exp.cast(x, "BIGINT"), "TEXT") for x in (day, year))
        return exp.DPipe(this=exp.DPipe(this=before, expression=named), expression=after)
    kind = value.kind if isinstance(value, SqlScalar) else "list"
    raise NoSql(f"a {kind} in a sentence is not written the same way in every warehouse", tree)
