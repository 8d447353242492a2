"""Text to syntax tree, with errors that say what to write instead.

Lark does the parsing, from tables made once out of `feel.lark` (`python -m roe.grammar.tables` rewrites them). Lark is
imported on the first parse only, and trees are kept by text: a policy repeats itself, and a cached policy (`roe.cache`)
needs no parser at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.diagnostics import Diagnostic
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.source import span_of

if TYPE_CHECKING:
    from lark import Lark, UnexpectedInput

MAX_LENGTH = 20_000  # characters of one expression
MAX_DEPTH = 120  # nodes from the root of a tree to its deepest leaf
_MAX_BRACKETS = 1_000

_TREES: dict[tuple[str, str], s.Node] = {}
_KEPT: dict[tuple[str, str], Callable[[], s.Node]] = {}


def parse(text: str, kind: str = "expr") -> tuple[s.Node | None, list[Diagnostic]]:
    """The tree of an expression (`kind="expr"`) or of a table cell (`kind="tests"`), or what is wrong with it."""
    key = (kind, str(text))
    tree = _TREES.get(key)
    if tree is None and key in _KEPT:
        tree = _TREES[key] = _KEPT[key]()
    if tree is None:
        tree, problems = _parse(text, kind)
        if tree is None:
            return None, problems
        if len(_TREES) > 100_000:
            _TREES.clear()
        _TREES[key] = tree
    return tree, []


def forget() -> None:
    """Forget every tree, so that the next text is parsed; for measuring."""
    _TREES.clear()
    _KEPT.clear()


def remember_kept(kind: str, text: str, make: Callable[[], s.Node]) -> None:
    """Put a tree in place that is made from a cache when its text is first asked for."""
    _KEPT[kind, text] = make


def _parse(text: str, kind: str) -> tuple[s.Node | None, list[Diagnostic]]:
    if kind == "tests" and text.strip() in ("-", ""):
        return s.Anything((0, len(text))), []
    if not text.strip():
        return None, [Diagnostic("R101", "the expression is empty", span_of(text), "write a condition, or `true`")]
    if len(text) > MAX_LENGTH or sum(map(text.count, "([")) > _MAX_BRACKETS:
        return None, [_too_deep(text)]
    if kind == "expr" and (plain := _plain(str(text))) is not None:
        return plain, []
    from lark.exceptions import UnexpectedInput

    from roe.grammar.tree import Malformed

    try:
        tree: s.Node = _lark().parse(str(text), start=kind)  # type: ignore[assignment]  # `Build` makes nodes of Lark's trees
    except UnexpectedInput as e:
        return None, [_syntax_error(text, e)]
    except Malformed as bad:
        return None, [Diagnostic(bad.code, bad.message, span_of(text, *bad.at), bad.help)]
    if _depth(tree) > MAX_DEPTH:
        return None, [_too_deep(text)]
    return _finish(tree, text, kind)


_PLAIN = re.compile(r'([^\W\d]\w*)((?:\.[^\W\d]\w*){0,9})|\d{1,15}|-[1-9]\d{0,14}|@"\d{4}-\d\d-\d\d"|"[^"\\]*"')
_RESERVED = frozenset(["if", "for", "in", "and", "or", "then", "else", "return", "between", "satisfies", "some", "every", "not"])
_CONSTANTS = {"true": True, "false": False, "null": None}


def _plain(text: str) -> s.Node | None:
    """The tree of a field, a whole number, a day, a text or a constant: Lark takes longer to start than most tests to run."""
    match = _PLAIN.fullmatch(text)
    if match is None or match[1] in _RESERVED:
        return None
    if match[1] is None:
        value = fold(text[1:-1]) if text[0] == '"' else v.parse_temporal(text[2:-1]) if text[0] == "@" else v.number(int(text))
        return s.Literal(value, text, (0, len(text))) if value is not None else None
    end = len(match[1])
    if match[1] in _CONSTANTS:
        return s.Literal(_CONSTANTS[match[1]], text, (0, end)) if not match[2] else None
    tree: s.Node = s.Name(match[1], (0, end))
    for field in match[2].split(".")[1:]:
        end += 1 + len(field)
        tree = s.Path(tree, field, (0, end))
    return tree


def _too_deep(text: str) -> Diagnostic:
    message = f"the expression is longer than {MAX_LENGTH} characters or nested deeper than {MAX_DEPTH} levels"
    return Diagnostic("R104", message, span_of(text), "split it: give parts a name under `define:`")


def _depth(tree: s.Node) -> int:
    deepest, todo = 0, [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        todo.extend((child, depth + 1) for child in s.children(node))
    return deepest


def _finish(tree: s.Node, text: str, kind: str) -> tuple[s.Node | None, list[Diagnostic]]:
    """The few rules that the grammar leaves open: `not(a, b)` and `?` stand in cells only; no chained comparison."""
    if kind == "tests" and isinstance(tree, s.Tests) and len(tree.tests) == 1 and isinstance(tree.tests[0], s.Not):
        tree = s.Tests(tree.tests[0].operands, True, tree.at)
    problems = []
    for node in s.walk(tree):
        if isinstance(node, s.Not) and len(node.operands) > 1:
            problems.append(("R101", "`not` takes one condition here", node.at, "write `x not in (a, b)`"))
        elif isinstance(node, s.Not) and isinstance(node.operands[0], s.Unary):
            problems.append(("R101", "a test needs a value to test", node.at, "write `not(x > 5)`"))
        elif isinstance(node, s.Name) and node.id == "?" and kind == "expr":
            problems.append(("R101", "`?` stands for the cell's value, and only in table cells", node.at, "name the field"))
        elif isinstance(node, s.Compare) and isinstance(node.left, s.Compare) and node.op not in ("=", "!="):
            problems.append(("R101", "comparisons do not chain", node.at, "write `a < b and b < c`, or `b in (a..c)`"))
    if problems:
        return None, [Diagnostic(code, message, span_of(text, *at), help) for code, message, at, help in problems]
    return tree, []


# --- messages -------------------------------------------------------------------------------------------------------

# What people write, and what the language calls it. The first pattern that matches at or just before the error wins.
_HABITS: tuple[tuple[str, str, str], ...] = (
    (r"==", "`==` is not an operator", "write `=`"),
    (r"<>", "`<>` is not an operator", "write `!=`"),
    (r"&&?", "`&` is not an operator", "write `and`"),
    (r"\|\|?", "`|` is not an operator", "write `or`"),
    (r"!(?!=)", "`!` is not an operator", "write `not(…)`"),
    (r"not\s+(?!(?:in|like)\b)[^\s(]", "`not` is a function", "write `not(…)`, or `!=`"),
    (r"is\s+(not\s+)?null\b", "`is null` is not a test", "write `= null` or `!= null`"),
    (r"is\b", "`is` is not an operator", "write `=`"),
    (r"(not\s+)?like\b", "`like` is not an operator", 'write `contains(x, "…")` or `matches(x, "…")`'),
    (r"(AND|OR|NOT|IN|BETWEEN|IF|THEN|ELSE)\b", "keywords are written in small letters", "write it in small letters"),
    (r"'", "strings stand in double quotes", 'write `"…"`'),
    (r"[“”„]", "a typographic quotation mark", 'write `"…"`'),
    (r"date and time(?!\s*\()", "`date and time` needs its argument", 'write `date and time("2026-01-31T09:00:00")`'),
    (r"%", "`%` is not an operator", "write `modulo(a, b)`, or 0.05 for 5 %"),
    (r"\d{1,3}(,\d{3})+\b", "numbers have no commas between thousands", "leave the commas out"),
    (r"\d+(\.\d+)?\s?[kKM]\b", "amounts are written out", "write 100000 for 100k"),
    (r"\$\s*\d", "amounts have no currency sign", "write the bare number"),
    (r"\d+%", "percentages are written as fractions", "write 0.05 for 5 %"),
    (r"≥", "`≥` is not an operator", "write `>=`"),
    (r"≤", "`≤` is not an operator", "write `<=`"),
    (r"≠", "`≠` is not an operator", "write `!=`"),
    (r"=>", "`=>` is not an operator", "write `>=`"),
    (r"=<", "`=<` is not an operator", "write `<=`"),
    (r";", "`;` separates nothing", "write `,` or `and`"),
)
_SEE, _COMPLETE, _SPACES = "see docs/language.md for the syntax", "complete it", "names have no spaces"
UNSPECIFIC = (_SEE, _COMPLETE, _SPACES)  # next steps that whoever knows more of the place may replace
_OUTSIDE: tuple[tuple[str, str, str], ...] = (
    (r"\{", "a context `{…}`", "give the parts names under `define:`"),
    (r"function\s*\(", "a function definition", "use a definition under `define:`"),
    (r"instance\s+of\b", "`instance of`", "types are declared under `fields:` and checked before the run"),
)


def _syntax_error(text: str, error: UnexpectedInput) -> Diagnostic:
    at = error.pos_in_stream if isinstance(error.pos_in_stream, int) and error.pos_in_stream >= 0 else len(text)
    token = getattr(error, "token", None)
    width = len(token) if token is not None and token.type != "$END" else 1
    for pattern, what, help in _OUTSIDE:
        if m := _near(pattern, text, at):
            return Diagnostic("R102", f"{what} is not part of the language", span_of(text, *m), help)
    for pattern, message, help in _HABITS:
        if m := _near(pattern, text, at):
            return Diagnostic("R101", message, span_of(text, *m), help)
    if (token is not None and token.type == "$END") or at >= len(text.rstrip()):
        open_ones = _unclosed(text)
        message = f"`{open_ones}` is never closed" if open_ones else "the expression ends too early"
        end = len(text.rstrip())
        return Diagnostic("R101", message, span_of(text, max(0, end - 1), end), _COMPLETE)
    if text[at] == '"':
        if text.count('"', at) == 1:
            return Diagnostic("R101", "the string is never closed", span_of(text, at, len(text)), 'end it with `"`')
        return Diagnostic("R101", "a string does not belong here", span_of(text, at, at + width), "is an operator missing before it?")
    before = re.search(r"[^\W\d]\w*$", text[:at].rstrip())
    here = re.match(r"[^\W\d]\w*", text[at:])
    if before and here and before[0] not in ("and", "or", "not"):
        called = _function_between(text, at)
        if called is not None:
            name, help = called
            return Diagnostic("R101", f"`{name.replace('_', ' ')}` is a function, not an operator", span_of(text, at, at + len(name)), help)
        name = f"{before[0]}_{here[0]}"
        help = f"{_SPACES}: write `{name}`, or is an operator missing?"
        return Diagnostic("R101", f"`{here[0]}` does not belong here", span_of(text, at, at + len(here[0])), help)
    shown = text[at : at + width] or text[at]
    return Diagnostic("R101", f"`{shown}` does not belong here", span_of(text, at, at + width), _SEE)


_OPERANDS = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\w.]+)')


def _function_between(text: str, at: int) -> tuple[str, str] | None:
    """(the function, what to write) where a text names one between two values: `lead.email contains "acme"`, `account.name starts with "A"`."""
    from roe.grammar.functions import BY_NAME

    words = re.match(r"[^\W\d]\w*(?:\s+[^\W\d]\w*)?", text[at:])
    left = re.search(r"[\w.]+$", text[:at].rstrip())
    if words is None or left is None:
        return None
    for spelt in (words[0], words[0].split()[0]):
        name = "_".join(spelt.split())
        if name in BY_NAME and len(BY_NAME[name].parameters) > 1:
            if BY_NAME[name].parameters[1].type != "string":
                return name, f"write it as in `{BY_NAME[name].example}`"
            right = _OPERANDS.match(text, at + len(spelt))
            second = right[1] if right else "…"
            is_written = second.startswith('"') or "." in second
            return name, f"write `{name}({left[0]}, {second if is_written else json.dumps(second, ensure_ascii=False)})`"
    return None


def _near(regex: str, text: str, at: int) -> tuple[int, int] | None:
    """A match that covers the error, or begins a word or two before it."""
    pattern = re.compile(regex)
    for start in range(max(0, at - 14), min(at + 1, len(text))):
        if start and text[start - 1].isalnum() and text[start].isalnum():
            continue
        m = pattern.match(text, start)
        if m and not text[m.end() : at].strip():
            return m.span()
    return None


def _unclosed(text: str) -> str:
    stack = []
    for char in re.sub(r'"([^"\\]|\\.)*"', "", text):
        if char in "([":
            stack.append(char)
        elif char in ")]" and stack:
            stack.pop()
    return stack[-1] if stack else ""


# --- Lark -----------------------------------------------------------------------------------------------------------


@cache
def _lark() -> Lark:
    """The parser from its stored tables: a fifth of the time that building it from the grammar takes."""
    from lark import Lark

    from roe.grammar.tree import Build

    stored = json.loads(Path(__file__).with_name("tables.json").read_text("utf-8"), object_hook=_int_keys)
    parser: Lark = Lark._load_from_dict(stored["data"], stored["memo"], transformer=Build())  # type: ignore[no-untyped-call]
    return parser


def _int_keys(value: dict[str, object]) -> dict[str | int, object]:
    """Undo `roe.grammar.tables.storable`: JSON has no integer keys."""
    return {int(k[1:]) if k[:1] == "#" else k: v for k, v in value.items()}
