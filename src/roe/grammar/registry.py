"""The function table's shape: one row per function, which the checker, every back end, the docs and the editor read.

A row has the parameters with their types, so that the static checker and the run-time guard cannot differ, and an
example with its value, which `docs/language.md` shows and a test runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from roe.dynamic import Value
from roe.grammar.values import kind
from roe.node import node

if TYPE_CHECKING:
    from roe.grammar.clock import Clock, Fiscal

F = TypeVar("F", bound=Callable[..., object])
SqlForm: TypeAlias = "str | Callable[[Fiscal], str]"
WAREHOUSES_DIFFER = "cannot be written the same way in every warehouse"


@node
class Parameter:
    """`type` is a FEEL type name, `any`, or several joined by `|`; `any` alone takes null.

    `other` is the name that FEEL gives the parameter in another signature of the function.
    """

    name: str
    type: str
    optional: bool = False
    other: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(LONG.get(t, t) for t in self.type.split("|"))


@node
class Function:
    """One function. `cost` orders subjects of the partition index: cheap tests are made first.

    `sql` is the function in SQL that every warehouse reads alike, with the parameters' names for the arguments; where it depends on the
    policy's fiscal year, what gives that text. A function of a list has an aggregate. Where `sql` is empty, `no_sql` says why.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    run: Callable[..., Value]
    doc: str
    example: str
    value: str
    own: bool  # roe's own, not in FEEL
    variadic: bool  # the one list may also be given as separate arguments
    clock: bool  # takes the run's clock as its first argument
    cost: int = 1
    sql: SqlForm = ""
    no_sql: str = WAREHOUSES_DIFFER
    accepts: tuple[tuple[frozenset[str], bool], ...] = ()

    @property
    def feel(self) -> str:
        """FEEL's spelling where it has spaces, else ''."""
        return "" if self.own or "_" not in self.name else self.name.replace("_", " ")

    @property
    def signature(self) -> str:
        shown = [f"{p.name}{'?' if p.optional else ''}: {p.type}" for p in self.parameters]
        return f"{self.name}({', '.join(shown)}{', …' if self.variadic else ''}) -> {self.result}"

    @property
    def takes_a_text(self) -> bool:
        """Whether it is a function of one text and of nothing else."""
        return not self.variadic and not self.clock and self.accepts == ((frozenset({"string"}), False),)

    def clocked(self, clock: Clock, args: list[Value]) -> Value:
        """The same as `invoke`, for a function that asks the run's clock."""
        return self._invoke(args, (clock,))

    def invoke(self, args: list[Value]) -> Value:
        """The value for these arguments, null for any that do not fit; `...` stands for one that was left out."""
        return self._invoke(args, ())

    def _invoke(self, args: list[Value], first: tuple[Clock, ...]) -> Value:
        if self.variadic and (len(args) != 1 or kind(args[0]) != "list"):
            if len(args) == 1 and args[0] is None:
                return None
            args = [args] if args else []
        if len(args) > len(self.parameters):
            return None
        for i, (parameter, (kinds, nullable)) in enumerate(zip(self.parameters, self.accepts, strict=True)):
            given = args[i] if i < len(args) else ...
            if given is ...:
                if not parameter.optional:
                    return None
            elif not nullable and kind(given) not in kinds:
                args[i] = _converted(given, kinds)
                if args[i] is ...:
                    return None
        try:
            return self.run(*first, *(None if a is ... else a for a in args))
        except (OverflowError, ZeroDivisionError, ValueError):  # beyond the numbers or the calendar: there is no such value
            return None


def _converted(given: Value, kinds: frozenset[str]) -> Value:
    """FEEL's implicit conversions: a value for a list of one, and a list of one for its value; `...` where neither fits."""
    if given is None:
        return ...
    if "list" in kinds:
        return [given]
    if kind(given) == "list" and len(given) == 1 and kind(given[0]) in kinds:
        return given[0]
    return ...


LONG = {
    "datetime": "date and time",
    "duration": "days and time duration",
    "months": "years and months duration",
    "working": "working days duration",
    "working_hours": "working hours duration",
}

BY_NAME: dict[str, Function] = {}
ALIASES: dict[str, str] = {}


def function(
    name: str,
    parameters: str,
    result: str,
    example: str,
    value: str,
    doc: str,
    *,
    own: bool = False,
    variadic: bool = False,
    clock: bool = False,
    cost: int = 1,
    sql: SqlForm = "",
    no_sql: str = WAREHOUSES_DIFFER,
) -> Callable[[F], F]:
    """Register a row; `parameters` reads `"string: string, length: number?"`."""
    params = [_parameter(written) for written in parameters.split(", ") if written]
    accepts = tuple((p.kinds, p.type == "any") for p in params)

    def register(run: F) -> F:
        row = Function(name, tuple(params), result, run, doc, example, value, own, variadic, clock, cost, sql, no_sql, accepts)
        BY_NAME[name] = row
        if row.feel:
            ALIASES[row.feel] = name
        return run

    return register


own_function = partial(function, own=True)


def _parameter(written: str) -> Parameter:
    names, _, type = written.partition(": ")
    name, _, other = names.partition("/")
    return Parameter(name, type.rstrip("?"), type.endswith("?"), other)


def canonical(name: str) -> str:
    """snake_case for FEEL's spaced names; any other name as it is."""
    return ALIASES.get(" ".join(name.split()), name)
