"""`roe eval`: the value of an expression, its type, and the value of every part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.api import adopt, parse_checked, scope_of
from roe.cli.common import PATH, WithMinus, clock, fail, format_option, load, not_a_moment, read
from roe.cli.settings import Command, as_of_setting, data_setting
from roe.cli.table import table
from roe.diagnostics import user_error
from roe.dynamic import Value
from roe.evaluator.observe import watch
from roe.evaluator.render import brief
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.printer import show as printed
from roe.source import Inline, Text

if TYPE_CHECKING:
    from roe.grammar.scopes import Code, Scope


def scope_options(command: Command) -> Command:
    """The options that say what an expression can name; `roe eval` and `roe repl` share them."""
    for option in (
        as_of_setting("The date or date-time to use as `today` and `now`.", default="1970-01-01", beside="record"),
        click.option("--policy", type=PATH, help="Policy with the record's fields and definitions."),
        click.option("--record", help="Record to evaluate expressions on: an id, a name or a domain."),
        data_setting("With --record: folder with the records.", beside="record"),
        click.option("--vars", "variables", metavar="JSON", help="Values for variables, such as '{\"x\": 5}'."),
    ):
        command = option(command)
    return command


@click.command("eval", cls=WithMinus)
@click.argument("expression")
@scope_options
@format_option("text", "json")
def command(
    expression: str, variables: str | None, data: Path | None, record: str | None, policy: Path | None, as_of: str, shape: str
) -> None:
    """Evaluate EXPRESSION, and show the value of each part."""
    scope = scope_from(variables, data, record, policy, as_of)
    click.echo(show(expression, scope, shape))


def scope_from(variables: str | None, data: Path | None, record: str | None, policy: Path | None, as_of: str) -> Scope:
    given = {}
    if variables:
        try:
            given = json.loads(variables)
            if not isinstance(given, dict):
                raise ValueError("it is not an object")
        except (ValueError, RecursionError) as e:
            raise user_error("R801", f"the variables are not a JSON object: {e}", "--vars", "write '{\"name\": value}'", variables) from e
    if (data is None) != (record is None):
        raise user_error("R801", "--data and --record go together", "--record", "give both, or neither")
    if data is not None and record is not None:
        from roe.cli.explain import find_record

        evaluator = load(policy)
        bound = evaluator.bind(read(evaluator, data), as_of=clock(evaluator, as_of))
        scope: Scope = bound.world.scope(find_record(bound, record))
        return scope | {k: adopt(x) for k, x in given.items()}
    try:
        return scope_of(given, as_of)
    except (ValueError, OverflowError):
        raise not_a_moment(as_of) from None


def show(expression: str, scope: Scope, shape: str = "text") -> str:
    """The value, the type and every part's value; raises SystemExit with the findings if it does not parse."""
    tree, problems = parse_checked(Text(expression, Inline()))
    if tree is None:
        fail(problems)
    value, _ = watch(tree, scope, {})
    parts = every_part(tree, scope)
    if shape == "json":
        rows = [{"text": t, "type": v.kind(x), "value": v.plain(x)} for t, x in parts]
        return json.dumps({"text": printed(tree), "type": v.kind(value), "value": v.plain(value), "parts": rows}, ensure_ascii=False)
    lines = [f"{brief(value) if hasattr(value, 'label') else v.literal(value)}   ({v.kind(value)})"]
    shown = [[t, brief(x) if x is not None else "null", v.kind(x)] for t, x in parts if t != printed(tree)]
    return "\n".join(lines + ([table(shown, ["part", "value", "type"])] if shown else []))


def every_part(tree: s.Node, scope: Scope) -> list[tuple[str, object]]:
    """Each sub-expression as it was evaluated, outside first; inside a loop the last time round."""
    seen: dict[int, object] = {}

    def wrap(node: s.Node, code: Code) -> Code:
        def watched(inner: Scope) -> Value:
            seen[id(node)] = code(inner)
            return seen[id(node)]

        return watched

    compile_expression(tree, wrap)(scope)
    parts = {printed(n): seen[id(n)] for n in s.walk(tree) if id(n) in seen and not isinstance(n, s.Literal)}
    return list(parts.items())
